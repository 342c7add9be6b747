// The entries of one directory.
#ifndef BAREFUSE_FS_MEMFS_DIRECTORY_H_
#define BAREFUSE_FS_MEMFS_DIRECTORY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "fs/memfs/space.h"

namespace barefuse::memfs {

struct Node;

// Each entry has a cookie, larger than those of all entries before it and never
// used again: the offset at which reading goes on behind it. So a reader
// neither meets an entry twice nor misses one that stays, whatever else is
// added and removed meanwhile. Not thread-safe.
class Directory {
 public:
  struct Entry {
    std::string name;
    std::shared_ptr<Node> node;
  };
  // The offsets behind "." and "..", which are not stored.
  static constexpr uint64_t kDotCookie = 1;
  static constexpr uint64_t kDotDotCookie = 2;

  // `space` outlives it.
  explicit Directory(Space& space) : space_(space) {}
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // nullptr: there is no such name.
  Node* Find(std::string_view name) const;
  std::shared_ptr<Node> FindShared(std::string_view name) const;
  // Requires that the name is not there. False: no space.
  bool Add(std::string_view name, std::shared_ptr<Node> node);
  // Moves an entry to a name that is not there, in this directory or another:
  // for that no space is needed.
  void Move(std::string_view name, Directory& to, std::string_view to_name);
  // Requires that the name is there. The entry keeps its cookie.
  void Replace(std::string_view name, std::shared_ptr<Node> node);
  void Remove(std::string_view name);

  bool empty() const { return entries_.empty(); }
  // By cookie.
  const std::map<uint64_t, Entry>& entries() const { return entries_; }
  // The cookie that the next entry gets: all that exist are below it.
  uint64_t next_cookie() const { return next_cookie_; }

 private:
  // What an entry takes, whatever its name, in bytes.
  static constexpr uint64_t kCost = 256;

  void Insert(std::string_view name, std::shared_ptr<Node> node);

  Space& space_;
  uint64_t next_cookie_ = kDotDotCookie + 1;
  std::map<uint64_t, Entry> entries_;
  // The names are those in entries_.
  std::unordered_map<std::string_view, uint64_t> cookies_;
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_DIRECTORY_H_
