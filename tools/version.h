#ifndef BAREFUSE_TOOLS_VERSION_H_
#define BAREFUSE_TOOLS_VERSION_H_

namespace barefuse {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_VERSION_H_
