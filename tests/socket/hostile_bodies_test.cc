// Bodies that are wrong: lengths, counts, names, opcodes, random bytes.
#include <errno.h>

#include <random>
#include <vector>

#include "proto/encode_request.h"
#include "tests/codec/random_messages.h"
#include "tests/socket/hostile_test.h"

namespace barefuse::testing {
namespace {

TEST_P(HostileTest, LengthsThatAreWrong) {
  for (uint32_t opcode : AllOpcodes()) {
    const proto::Operation& operation = *proto::FindOperation(opcode);
    for (size_t size :
         {size_t{0}, size_t{1}, size_t{7}, size_t{operation.fixed_size} - 1,
          size_t{operation.fixed_size} + 3, size_t{5000}}) {
      if (size > 5000) continue;
      MessageBuilder message = Message(opcode, file_);
      message.Raw(std::string(size, '\xff'));
      const uint64_t unique = Send(message);
      if (operation.owed != proto::Owed::kReply) continue;
      const int error = peer_.Await(unique).error();
      // An empty body, and one of 0xff, are right for a few.
      if (size == 1) {
        EXPECT_EQ(error, EIO) << operation.name;
      }
    }
    ExpectHealth();
    // A header that lies of the length: to nobody.
    for (int32_t off : {-1, 1, 1 << 20}) {
      MessageBuilder message = Message(opcode, file_);
      message.Raw(std::string(64, '\0'));
      message.header().len = 40 + 64 + off;
      Send(message);
    }
    ExpectHealth();
  }
}

TEST_P(HostileTest, CountsThatLie) {
  for (uint32_t count : {1u, 3u, 1u << 28, 0x10000001u, UINT32_MAX}) {
    Send(Message(abi::FUSE_BATCH_FORGET, 0)
             .Struct(abi::fuse_batch_forget_in{count, 0}));
    Send(Message(abi::FUSE_BATCH_FORGET, 0)
             .Struct(abi::fuse_batch_forget_in{count + 1, 0})
             .Struct(abi::fuse_forget_one{file_, 1}));
    EXPECT_EQ(Ask(Message(abi::FUSE_REMOVEMAPPING, file_)
                      .Struct(abi::fuse_removemapping_in{count})),
              EIO);
    abi::fuse_setxattr_in setxattr{};
    setxattr.size = count;
    EXPECT_EQ(Ask(Message(abi::FUSE_SETXATTR, file_)
                      .Struct(setxattr, 8)
                      .Name("user.x")),
              EIO);
    abi::fuse_write_in write{};
    write.fh = fh_;
    write.size = count;
    EXPECT_EQ(Ask(Message(abi::FUSE_WRITE, file_).Struct(write)), EIO);
    abi::fuse_ioctl_in ioctl{};
    ioctl.in_size = count;
    EXPECT_EQ(Ask(Message(abi::FUSE_IOCTL, file_).Struct(ioctl)), EIO);
    ExpectHealth();
  }
  // Without a NUL.
  EXPECT_EQ(Ask(Message(abi::FUSE_SETXATTR, file_)
                    .Struct(abi::fuse_setxattr_in{}, 8)
                    .Raw("user.x")),
            EIO);
  EXPECT_EQ(Ask(Message(abi::FUSE_LOOKUP).Raw("no end")), EIO);
  EXPECT_EQ(Ask(Message(abi::FUSE_SYMLINK).Name("one")), EIO);
  EXPECT_EQ(Ask(Message(abi::FUSE_RENAME)
                    .Struct(abi::fuse_rename_in{1})
                    .Name("one")
                    .Raw("two")),
            EIO);
  ExpectHealth();
}

TEST_P(HostileTest, Names) {
  for (size_t size :
       {size_t{0}, size_t{1024}, size_t{1025}, size_t{4095}, size_t{4096}}) {
    const std::string name(size, 'n');
    for (uint32_t opcode :
         {abi::FUSE_LOOKUP, abi::FUSE_UNLINK, abi::FUSE_RMDIR}) {
      const int error = Ask(Message(opcode).Name(name));
      if (size == 0 || size > proto::kLongNameMax) {
        EXPECT_EQ(error, EIO) << size;
      } else if (real()) {
        EXPECT_EQ(error, ENAMETOOLONG) << size;
      }
    }
    if (size != 0 && real()) {
      EXPECT_NE(Ask(Message(abi::FUSE_MKDIR)
                        .Struct(abi::fuse_mkdir_in{0755, 0})
                        .Name(name)),
                0);
    }
    ExpectHealth();
  }
  for (std::string_view name : {"/", "a/b", "/etc/passwd", "../x", "a/"}) {
    EXPECT_EQ(Ask(Message(abi::FUSE_LOOKUP).Name(name)), EIO) << name;
    EXPECT_EQ(Ask(Message(abi::FUSE_UNLINK).Name(name)), EIO) << name;
    EXPECT_EQ(Ask(Message(abi::FUSE_RENAME)
                      .Struct(abi::fuse_rename_in{1})
                      .Name("file")
                      .Name(name)),
              EIO)
        << name;
  }
  // The root has nothing above it, and no name is made of dots.
  if (real()) {
    const Received above = peer_.Ask(Message(abi::FUSE_LOOKUP).Name(".."));
    if (above.error() == 0) {
      EXPECT_EQ(above.As<abi::fuse_entry_out>().nodeid, 1u);
    }
    for (std::string_view name : {".", ".."}) {
      EXPECT_NE(Ask(Message(abi::FUSE_MKDIR)
                        .Struct(abi::fuse_mkdir_in{0755, 0})
                        .Name(name)),
                0);
      EXPECT_NE(Ask(Message(abi::FUSE_RMDIR).Name(name)), 0);
      EXPECT_NE(Ask(Message(abi::FUSE_RENAME)
                        .Struct(abi::fuse_rename_in{1})
                        .Name("file")
                        .Name(name)),
                0);
    }
  }
  ExpectHealth();
}

TEST_P(HostileTest, OpcodesThatDoNotExist) {
  for (uint32_t opcode :
       {0u, 7u, 19u, 54u, 1000u, 4095u, 4097u, 1u << 31, UINT32_MAX}) {
    EXPECT_EQ(Ask(Message(opcode)), ENOSYS) << opcode;
    EXPECT_EQ(Ask(Message(opcode).Raw(std::string(5000, 'x'))), ENOSYS);
  }
  EXPECT_EQ(session_->statistics().unknown, 18u);
  // Those that exist but are nobody's here.
  EXPECT_NE(Ask(Message(abi::CUSE_INIT).Struct(abi::cuse_init_in{})), 0);
  if (real()) {
    EXPECT_EQ(Ask(Message(abi::FUSE_SETUPMAPPING, file_)
                      .Struct(abi::fuse_setupmapping_in{})),
              ENOSYS);
    EXPECT_EQ(Ask(Message(abi::FUSE_REMOVEMAPPING, file_)
                      .Struct(abi::fuse_removemapping_in{0})),
              ENOSYS);
  }
  // Unique 0: there is nobody to answer.
  for (uint32_t opcode : AllOpcodes()) {
    MessageBuilder message = Message(opcode);
    message.header().unique = 0;
    Send(message);
  }
  ExpectHealth();
}

TEST_P(HostileTest, RandomBodies) {
  std::mt19937_64 random(20240607);
  const std::vector<uint32_t> opcodes = AllOpcodes();
  const uint64_t nodes[] = {1, file_, file_ + 1, 0};
  for (int i = 0; i < 6000; ++i) {
    const uint32_t opcode = opcodes[random() % opcodes.size()];
    // Nobody unlocks, so nobody waits.
    if (opcode == abi::FUSE_SETLKW) continue;
    const proto::Operation& operation = *proto::FindOperation(opcode);
    std::string body;
    // Half of them are long enough for the struct, and end as names do.
    const bool likely = random() % 2 == 0;
    const size_t size =
        likely ? operation.fixed_size + random() % 40 : random() % 200;
    for (size_t k = 0; k < size; ++k) {
      body += static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
    }
    if (likely && size > operation.fixed_size) body.back() = '\0';
    MessageBuilder message = Message(opcode, nodes[random() % 4]);
    message.header().total_extlen = random() % 8 == 0 ? random() % 5 : 0;
    message.Raw(body);
    const uint64_t unique = Send(message);
    if (operation.owed == proto::Owed::kReply) {
      const Received reply = peer_.Await(unique);
      ASSERT_TRUE(reply.came) << operation.name;
      ASSERT_GE(reply.error(), 0);
      ASSERT_LE(reply.error(), 511);
    }
    if (i % 100 == 0) {
      peer_.ExpectSilence();
    }
  }
  peer_.ExpectSilence();
}

INSTANTIATE_TEST_SUITE_P(FileSystems, HostileTest,
                         ::testing::Values(Kind::kHook, Kind::kMemfs,
                                           Kind::kPassthrough),
                         KindName);

}  // namespace
}  // namespace barefuse::testing
