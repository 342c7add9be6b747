// What the server is known to do wrong. Each is kept from happening until it is
// mended: then its line goes, and what asks for it.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_KNOWN_FAULTS_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_KNOWN_FAULTS_H_

namespace barefuse::differential {

// Set-group-id of a file that its group may not execute is lost when one of the
// group, who is not root, truncates it or allocates room.
inline constexpr bool kLosesSetgid = true;

// A file that can only be appended to is not opened for that either.
inline constexpr bool kCannotAppendOnly = true;

// The whiteouts that RENAME_WHITEOUT leaves are root's, not the caller's.
inline constexpr bool kWhiteoutsAreRoots = true;

// truncate(2) to the size that a file has moves its times.
inline constexpr bool kTruncationTouches = true;

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_KNOWN_FAULTS_H_
