// A memfs that tests talk to in messages, as the kernel does.
#ifndef BAREFUSE_FS_MEMFS_MEMFS_FIXTURE_H_
#define BAREFUSE_FS_MEMFS_MEMFS_FIXTURE_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/memfs/memfs.h"
#include "proto/directory.h"
#include "tests/testing/local_server.h"

namespace barefuse::memfs {

// Helpers give 0 or a positive errno, and what they found in pointers.
class MemfsFixture : public ::testing::Test {
 protected:
  static constexpr uint64_t kRoot = abi::FUSE_ROOT_ID;

  explicit MemfsFixture(MemfsOptions options = {.root_mode = 01777})
      : fs_(Memfs::Create(options).value()),
        server_(fs_, fs_->WantedCapabilities(), /*slots=*/16) {
    fs_->Init(server_.connection());
  }

  struct Caller {
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t pid = 77;
  };
  Caller caller_;

  testing::MessageBuilder Message(uint32_t opcode, uint64_t node) {
    testing::MessageBuilder message(opcode, node, unique_ += 2);
    message.header().uid = caller_.uid;
    message.header().gid = caller_.gid;
    message.header().pid = caller_.pid;
    return message;
  }
  // The error, -1 where there was no reply.
  int Ask(const testing::MessageBuilder& message, std::string* body = nullptr) {
    std::optional<testing::RawReply> reply = server_.Ask(message);
    if (!reply) return -1;
    if (body != nullptr) *body = reply->body;
    return reply->error();
  }
  template <class Out>
  int AskFor(const testing::MessageBuilder& message, Out* out) {
    std::string body;
    const int error = Ask(message, &body);
    if (error == 0 && body.size() < sizeof *out) return -2;
    if (error == 0) std::memcpy(out, body.data(), sizeof *out);
    return error;
  }

  // Negative entries are ENOENT here.
  int Lookup(uint64_t parent, std::string_view name,
             abi::fuse_entry_out* entry) {
    const int error =
        AskFor(Message(abi::FUSE_LOOKUP, parent).Name(name), entry);
    return error == 0 && entry->nodeid == 0 ? ENOENT : error;
  }
  uint64_t IdOf(uint64_t parent, std::string_view name) {
    abi::fuse_entry_out entry{};
    return Lookup(parent, name, &entry) == 0 ? entry.nodeid : 0;
  }
  bool Exists(uint64_t parent, std::string_view name) {
    abi::fuse_entry_out entry{};
    return Lookup(parent, name, &entry) == 0;
  }
  int Mkdir(uint64_t parent, std::string_view name, uint64_t* node = nullptr,
            uint32_t mode = 0755, uint32_t umask = 0) {
    abi::fuse_entry_out entry{};
    const int error = AskFor(Message(abi::FUSE_MKDIR, parent)
                                 .Struct(abi::fuse_mkdir_in{mode, umask})
                                 .Name(name),
                             &entry);
    if (node != nullptr) *node = entry.nodeid;
    return error;
  }
  int Create(uint64_t parent, std::string_view name, uint64_t* node = nullptr,
             uint64_t* fh = nullptr, uint32_t mode = 0644, uint32_t umask = 0,
             uint32_t flags = O_RDWR | O_CREAT | O_EXCL) {
    struct {
      abi::fuse_entry_out entry;
      abi::fuse_open_out open;
    } out{};
    const int error =
        AskFor(Message(abi::FUSE_CREATE, parent)
                   .Struct(abi::fuse_create_in{flags, mode | S_IFREG, umask, 0})
                   .Name(name),
               &out);
    if (node != nullptr) *node = out.entry.nodeid;
    if (fh != nullptr) *fh = out.open.fh;
    return error;
  }
  int Open(uint64_t node, uint32_t flags, uint64_t* fh) {
    abi::fuse_open_out out{};
    const int error = AskFor(
        Message(abi::FUSE_OPEN, node).Struct(abi::fuse_open_in{flags, 0}),
        &out);
    *fh = out.fh;
    return error;
  }
  int Release(uint64_t node, uint64_t fh) {
    abi::fuse_release_in in{};
    in.fh = fh;
    return Ask(Message(abi::FUSE_RELEASE, node).Struct(in));
  }
  int Unlink(uint64_t parent, std::string_view name) {
    return Ask(Message(abi::FUSE_UNLINK, parent).Name(name));
  }
  int Rmdir(uint64_t parent, std::string_view name) {
    return Ask(Message(abi::FUSE_RMDIR, parent).Name(name));
  }
  int Link(uint64_t node, uint64_t parent, std::string_view name) {
    abi::fuse_entry_out entry{};
    return AskFor(Message(abi::FUSE_LINK, parent)
                      .Struct(abi::fuse_link_in{node})
                      .Name(name),
                  &entry);
  }
  int Rename(uint64_t from, std::string_view name, uint64_t to,
             std::string_view to_name, uint32_t flags = 0) {
    return Ask(Message(abi::FUSE_RENAME2, from)
                   .Struct(abi::fuse_rename2_in{to, flags, 0})
                   .Name(name)
                   .Name(to_name));
  }
  void Forget(uint64_t node, uint64_t lookups) {
    server_.Send(Message(abi::FUSE_FORGET, node)
                     .Struct(abi::fuse_forget_in{lookups})
                     .Bytes());
    EXPECT_TRUE(server_.Take().empty());
  }
  int Getattr(uint64_t node, abi::fuse_attr* attr) {
    abi::fuse_attr_out out{};
    const int error = AskFor(
        Message(abi::FUSE_GETATTR, node).Struct(abi::fuse_getattr_in{}), &out);
    *attr = out.attr;
    return error;
  }
  abi::fuse_attr Attr(uint64_t node) {
    abi::fuse_attr attr{};
    EXPECT_EQ(Getattr(node, &attr), 0);
    return attr;
  }
  int Setattr(uint64_t node, const abi::fuse_setattr_in& in,
              abi::fuse_attr* attr = nullptr) {
    abi::fuse_attr_out out{};
    const int error = AskFor(Message(abi::FUSE_SETATTR, node).Struct(in), &out);
    if (attr != nullptr) *attr = out.attr;
    return error;
  }
  int Chmod(uint64_t node, uint32_t mode) {
    abi::fuse_setattr_in in{};
    in.valid = abi::FATTR_MODE;
    in.mode = mode;
    return Setattr(node, in);
  }
  int Truncate(uint64_t node, uint64_t size) {
    abi::fuse_setattr_in in{};
    in.valid = abi::FATTR_SIZE;
    in.size = size;
    return Setattr(node, in);
  }
  int Write(uint64_t node, uint64_t fh, uint64_t offset, std::string_view data,
            uint32_t* written = nullptr, uint32_t flags = 0) {
    abi::fuse_write_in in{};
    in.fh = fh;
    in.offset = offset;
    in.size = static_cast<uint32_t>(data.size());
    in.write_flags = flags;
    abi::fuse_write_out out{};
    const int error =
        AskFor(Message(abi::FUSE_WRITE, node).Struct(in).Raw(data), &out);
    if (written != nullptr) *written = out.size;
    return error;
  }
  int Read(uint64_t node, uint64_t fh, uint64_t offset, uint32_t size,
           std::string* data) {
    abi::fuse_read_in in{};
    in.fh = fh;
    in.offset = offset;
    in.size = size;
    return Ask(Message(abi::FUSE_READ, node).Struct(in), data);
  }
  int Setxattr(uint64_t node, std::string_view name, std::string_view value,
               uint32_t flags = 0, uint32_t setxattr_flags = 0) {
    return Ask(
        Message(abi::FUSE_SETXATTR, node)
            .Struct(abi::fuse_setxattr_in{static_cast<uint32_t>(value.size()),
                                          flags, setxattr_flags, 0})
            .Name(name)
            .Raw(value));
  }
  int Getxattr(uint64_t node, std::string_view name, std::string* value,
               uint32_t size = 65536) {
    return Ask(Message(abi::FUSE_GETXATTR, node)
                   .Struct(abi::fuse_getxattr_in{size, 0})
                   .Name(name),
               value);
  }
  int Removexattr(uint64_t node, std::string_view name) {
    return Ask(Message(abi::FUSE_REMOVEXATTR, node).Name(name));
  }
  abi::fuse_kstatfs Statfs() {
    abi::fuse_statfs_out out{};
    EXPECT_EQ(AskFor(Message(abi::FUSE_STATFS, kRoot), &out), 0);
    return out.st;
  }

  std::shared_ptr<Memfs> fs_;
  testing::LocalServer server_;

 private:
  uint64_t unique_ = 0;
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_MEMFS_FIXTURE_H_
