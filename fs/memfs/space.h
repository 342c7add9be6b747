// What a memory filesystem may use, and uses.
#ifndef BAREFUSE_FS_MEMFS_SPACE_H_
#define BAREFUSE_FS_MEMFS_SPACE_H_

#include <atomic>
#include <cstdint>

namespace barefuse::memfs {

// Counts bytes and inodes against their limits. File pages, names, link targets
// and extended attributes are all counted, so that no operation can grow the
// process without end. Any thread, no locks.
class Space {
 public:
  Space(uint64_t byte_limit, uint64_t inode_limit)
      : bytes_(byte_limit), inodes_(inode_limit) {}
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  // False: there is no room, and nothing was taken.
  bool Take(uint64_t bytes) { return bytes_.Take(bytes); }
  void GiveBack(uint64_t bytes) { bytes_.GiveBack(bytes); }
  bool TakeInode() { return inodes_.Take(1); }
  void GiveBackInode() { inodes_.GiveBack(1); }

  uint64_t byte_limit() const { return bytes_.limit; }
  uint64_t bytes_used() const { return bytes_.used.load(); }
  uint64_t inode_limit() const { return inodes_.limit; }
  uint64_t inodes_used() const { return inodes_.used.load(); }

 private:
  struct Count {
    explicit Count(uint64_t most) : limit(most) {}
    bool Take(uint64_t amount) {
      uint64_t now = used.load(std::memory_order_relaxed);
      do {
        if (amount > limit - now) return false;
      } while (!used.compare_exchange_weak(now, now + amount));
      return true;
    }
    void GiveBack(uint64_t amount) { used.fetch_sub(amount); }

    const uint64_t limit;
    std::atomic<uint64_t> used{0};
  };

  Count bytes_;
  Count inodes_;
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_SPACE_H_
