#include "tests/golden/by_hand.h"

#include <errno.h>

#include "tests/testing/messages.h"

namespace barefuse::testing {
namespace {

// Replies and notifications, piece by piece like MessageBuilder's requests.
class ReplyBuilder {
 public:
  explicit ReplyBuilder(int32_t error = 0, uint64_t unique = 2)
      : header_{0, error, unique} {}
  template <class T>
  ReplyBuilder& Struct(const T& value, size_t size = sizeof(T)) {
    return Raw({reinterpret_cast<const char*>(&value), size});
  }
  ReplyBuilder& Raw(std::string_view bytes) {
    body_ += bytes;
    return *this;
  }
  std::vector<std::byte> Bytes() const {
    abi::fuse_out_header header = header_;
    header.len = static_cast<uint32_t>(sizeof header + body_.size());
    std::vector<std::byte> bytes(header.len);
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!body_.empty()) {
      std::memcpy(bytes.data() + sizeof header, body_.data(), body_.size());
    }
    return bytes;
  }

 private:
  abi::fuse_out_header header_;
  std::string body_;
};

class Collection {
 public:
  // What the messages added from here on are.
  void Because(std::string_view reason) { reason_ = reason; }

  Golden& Request(const std::string& name, const MessageBuilder& message) {
    MessageBuilder copy = message;
    Golden& golden = Add(name + ".request", GoldenKind::kRequest);
    golden.opcode = copy.header().opcode;
    golden.bytes = message.Bytes();
    return golden;
  }
  Golden& Reply(const std::string& name, uint32_t opcode,
                const ReplyBuilder& reply, uint32_t asked = 0) {
    Golden& golden = Add(name + ".reply", GoldenKind::kReply);
    golden.opcode = opcode;
    golden.asked = asked;
    golden.bytes = reply.Bytes();
    return golden;
  }
  std::map<std::string, Golden> Take() { return std::move(all_); }

 private:
  Golden& Add(const std::string& name, GoldenKind kind) {
    Golden golden;
    golden.kind = kind;
    golden.origin = "Built by hand: " + reason_;
    return all_[name + ".golden"] = std::move(golden);
  }

  std::string reason_;
  std::map<std::string, Golden> all_;
};

void At(Golden& golden, uint32_t minor, uint64_t flags = 0) {
  golden.dialect.minor = golden.dialect.kernel_minor = minor;
  golden.dialect.flags = flags;
}

// Of virtio-fs and of character devices.
void AddOtherCarriers(Collection& all) {
  all.Because("only virtio-fs with DAX has it.");
  all.Request("setupmapping", MessageBuilder(abi::FUSE_SETUPMAPPING, 3)
                                  .Struct(abi::fuse_setupmapping_in{
                                      5, 0, 2 << 20, 3, 4 << 20}));
  all.Reply("setupmapping", abi::FUSE_SETUPMAPPING, ReplyBuilder());
  all.Request("removemapping",
              MessageBuilder(abi::FUSE_REMOVEMAPPING, 3)
                  .Struct(abi::fuse_removemapping_in{2})
                  .Struct(abi::fuse_removemapping_one{0, 2 << 20})
                  .Struct(abi::fuse_removemapping_one{4 << 20, 2 << 20}));
  all.Reply("removemapping", abi::FUSE_REMOVEMAPPING, ReplyBuilder());

  all.Because("only /dev/cuse sends it.");
  all.Request(
      "cuse_init",
      MessageBuilder(abi::CUSE_INIT, 0).Struct(abi::cuse_init_in{7, 45, 0, 1}));
  abi::cuse_init_out cuse{};
  cuse.major = 7;
  cuse.minor = 45;
  cuse.flags = abi::CUSE_UNRESTRICTED_IOCTL;
  cuse.max_read = cuse.max_write = 65536;
  cuse.dev_major = 240;
  all.Reply("cuse_init", abi::CUSE_INIT,
            ReplyBuilder().Struct(cuse).Raw({"DEVNAME=odd\0", 12}));
}

// The sizes of older minors.
void AddOldVersions(Collection& all) {
  all.Because("the change list of the interface.");
  abi::fuse_init_in init{};
  init.major = 7;
  init.minor = 5;
  init.max_readahead = 131072;
  init.flags = 1;
  At(all.Request("init-7.5", MessageBuilder(abi::FUSE_INIT, 0).Struct(init, 8)),
     5);
  init.minor = 31;
  At(all.Request("init-7.31",
                 MessageBuilder(abi::FUSE_INIT, 0).Struct(init, 16)),
     31);
  abi::fuse_init_out init_out{};
  init_out.major = 7;
  init_out.minor = 4;
  At(all.Reply("init-7.4", abi::FUSE_INIT, ReplyBuilder().Struct(init_out, 8)),
     4);
  init_out.minor = 22;
  init_out.max_write = 131072;
  At(all.Reply("init-7.22", abi::FUSE_INIT,
               ReplyBuilder().Struct(init_out, 24)),
     22);
  At(all.Request("getattr-7.8", MessageBuilder(abi::FUSE_GETATTR, 2)), 8);
  abi::fuse_attr_out attr{};
  attr.attr_valid = 1;
  attr.attr.ino = 2;
  attr.attr.mode = 0100644;
  At(all.Reply("getattr-7.8", abi::FUSE_GETATTR,
               ReplyBuilder().Struct(attr, 96)),
     8);
  abi::fuse_entry_out entry{};
  entry.nodeid = 2;
  entry.attr.mode = 0100644;
  At(all.Reply("lookup-7.8", abi::FUSE_LOOKUP,
               ReplyBuilder().Struct(entry, 120)),
     8);
  abi::fuse_statfs_out statfs{};
  statfs.st.blocks = 1000;
  statfs.st.namelen = 255;
  At(all.Reply("statfs-7.3", abi::FUSE_STATFS,
               ReplyBuilder().Struct(statfs, 48)),
     3);
  abi::fuse_read_in read{};
  read.fh = 1;
  read.size = 4096;
  At(all.Request("read-7.8",
                 MessageBuilder(abi::FUSE_READ, 2).Struct(read, 24)),
     8);
  abi::fuse_write_in write{};
  write.fh = 1;
  write.size = 4;
  At(all.Request(
         "write-7.8",
         MessageBuilder(abi::FUSE_WRITE, 2).Struct(write, 24).Raw("data")),
     8);
  abi::fuse_lk_in lk{};
  lk.fh = 1;
  lk.lk.end = ~uint64_t{0} >> 1;
  At(all.Request("getlk-7.8",
                 MessageBuilder(abi::FUSE_GETLK, 2).Struct(lk, 40)),
     8);
  abi::fuse_mknod_in mknod{};
  mknod.mode = 0100644;
  At(all.Request(
         "mknod-7.11",
         MessageBuilder(abi::FUSE_MKNOD, 1).Struct(mknod, 8).Name("old")),
     11);
  abi::fuse_create_in create{};
  create.flags = 0x8042;
  create.mode = 0100644;
  At(all.Request(
         "create-7.11",
         MessageBuilder(abi::FUSE_CREATE, 1).Struct(create, 8).Name("old")),
     11);
  abi::fuse_release_in release{};
  release.fh = 1;
  At(all.Request("release-7.7",
                 MessageBuilder(abi::FUSE_RELEASE, 2).Struct(release, 16)),
     7);
  abi::fuse_flush_in flush{};
  flush.fh = 1;
  At(all.Request("flush-7.6",
                 MessageBuilder(abi::FUSE_FLUSH, 2).Struct(flush, 16)),
     6);
}

// Forms that the recordings do not have.
void AddOtherForms(Collection& all) {
  all.Because("the form with which a size is asked for.");
  all.Request("getxattr-size", MessageBuilder(abi::FUSE_GETXATTR, 2)
                                   .Struct(abi::fuse_getxattr_in{0, 0})
                                   .Name("user.key"));
  all.Reply("getxattr-size", abi::FUSE_GETXATTR,
            ReplyBuilder().Struct(abi::fuse_getxattr_out{5, 0}));
  all.Because("the long layout of FUSE_SETXATTR_EXT.");
  At(all.Request("setxattr-ext",
                 MessageBuilder(abi::FUSE_SETXATTR, 2)
                     .Struct(abi::fuse_setxattr_in{
                         1, 2, abi::FUSE_SETXATTR_ACL_KILL_SGID, 0})
                     .Name("system.posix_acl_access")
                     .Raw("v")),
     45, abi::FUSE_SETXATTR_EXT);
  all.Because("an error.");
  all.Reply("lookup-error", abi::FUSE_LOOKUP, ReplyBuilder(-ENOENT));
  all.Reply("interrupt-again", abi::FUSE_INTERRUPT, ReplyBuilder(-EAGAIN));
  all.Because("an unrestricted ioctl that asks for memory.");
  all.Reply("ioctl-retry", abi::FUSE_IOCTL,
            ReplyBuilder()
                .Struct(abi::fuse_ioctl_out{0, abi::FUSE_IOCTL_RETRY, 1, 1})
                .Struct(abi::fuse_ioctl_iovec{0x7000, 16})
                .Struct(abi::fuse_ioctl_iovec{0x7000, 32}));

  all.Because("two security contexts, a group, and what nobody knows.");
  MessageBuilder mkdir(abi::FUSE_MKDIR, 1);
  mkdir.Struct(abi::fuse_mkdir_in{0755, 022}).Name("labelled");
  mkdir.Struct(abi::fuse_secctx_header{72, 2})
      .Struct(abi::fuse_secctx{4, 0})
      .Name("security.selinux")
      .Raw(std::string_view("ctx\0"
                            "\0\0\0",
                            7))
      .Struct(abi::fuse_secctx{5, 0})
      .Name("security.smack")
      .Raw(std::string_view("label\0\0\0\0", 9))
      .Struct(abi::fuse_ext_header{16, abi::FUSE_EXT_GROUPS})
      .Struct(abi::fuse_supp_groups{1})
      .Struct(uint32_t{100})
      .Struct(abi::fuse_ext_header{16, 77})
      .Struct(uint64_t{0});
  mkdir.header().total_extlen = (72 + 16 + 16) / 8;
  At(all.Request("mkdir-extensions", mkdir), 45,
     abi::FUSE_SECURITY_CTX | abi::FUSE_CREATE_SUPP_GROUP);
}

}  // namespace

std::map<std::string, Golden> MessagesByHand() {
  Collection all;
  AddOtherCarriers(all);
  AddOldVersions(all);
  AddOtherForms(all);
  return all.Take();
}

}  // namespace barefuse::testing
