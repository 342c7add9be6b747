#include "proto/decode_request.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/testing/messages.h"

namespace barefuse::proto {
namespace {

using barefuse::testing::MessageBuilder;

// Decodes and expects success; the request's views point into `bytes`.
template <class Op>
Op Decoded(const std::vector<std::byte>& bytes, const Dialect& dialect = {}) {
  Request request;
  DecodeError error = DecodeRequest(bytes, dialect, &request);
  EXPECT_TRUE(error.ok()) << FaultText(error.fault) << " at " << error.offset;
  const Op* op = std::get_if<Op>(&request.operation);
  EXPECT_NE(op, nullptr);
  return op != nullptr ? *op : Op{};
}

DecodeError ErrorOf(const std::vector<std::byte>& bytes,
                    const Dialect& dialect = {}) {
  Request request;
  DecodeError error = DecodeRequest(bytes, dialect, &request);
  EXPECT_EQ(std::holds_alternative<std::monostate>(request.operation),
            !error.ok());
  return error;
}

void ExpectFault(const MessageBuilder& message, Fault fault, uint32_t offset,
                 const Dialect& dialect = {}) {
  DecodeError error = ErrorOf(message.Bytes(), dialect);
  EXPECT_EQ(error.fault, fault) << FaultText(error.fault);
  EXPECT_EQ(error.offset, offset);
}

TEST(DecodeRequest, GivesTheHeader) {
  auto bytes = MessageBuilder(abi::FUSE_STATFS, 5, 42).Bytes();
  Request request;
  ASSERT_TRUE(DecodeRequest(bytes, Dialect{}, &request).ok());
  EXPECT_EQ(request.header.nodeid, 5u);
  EXPECT_EQ(request.header.unique, 42u);
  EXPECT_EQ(request.header.uid, 1000u);
  EXPECT_EQ(request.header.gid, 100u);
  EXPECT_EQ(request.header.pid, 77u);
}

TEST(DecodeRequest, ReadsNames) {
  auto lookup = MessageBuilder(abi::FUSE_LOOKUP).Name("file").Bytes();
  EXPECT_EQ(Decoded<Lookup>(lookup).name, "file");

  auto rename = MessageBuilder(abi::FUSE_RENAME2)
                    .Struct(abi::fuse_rename2_in{9, 2, 0})
                    .Name("from")
                    .Name("to")
                    .Bytes();
  Rename2 op = Decoded<Rename2>(rename);
  EXPECT_EQ(op.newdir, 9u);
  EXPECT_EQ(op.flags, 2u);
  EXPECT_EQ(op.old_name, "from");
  EXPECT_EQ(op.new_name, "to");
}

TEST(DecodeRequest, ReadsASymlinksNameThenItsTarget) {
  auto bytes =
      MessageBuilder(abi::FUSE_SYMLINK).Name("link").Name("/a/target").Bytes();
  Symlink op = Decoded<Symlink>(bytes);
  EXPECT_EQ(op.name, "link");
  EXPECT_EQ(op.target, "/a/target");
}

TEST(DecodeRequest, ReadsData) {
  abi::fuse_write_in in{};
  in.fh = 3;
  in.offset = 4096;
  in.size = 5;
  auto bytes = MessageBuilder(abi::FUSE_WRITE).Struct(in).Raw("hello").Bytes();
  Write op = Decoded<Write>(bytes);
  EXPECT_EQ(op.fh, 3u);
  EXPECT_EQ(op.offset, 4096u);
  ASSERT_EQ(op.data.size(), 5u);
  EXPECT_EQ(std::memcmp(op.data.data(), "hello", 5), 0);
}

TEST(DecodeRequest, ReadsAnArrayAtAnyAlignment) {
  abi::fuse_batch_forget_in in{2, 0};
  auto bytes = MessageBuilder(abi::FUSE_BATCH_FORGET)
                   .Struct(in)
                   .Struct(abi::fuse_forget_one{10, 1})
                   .Struct(abi::fuse_forget_one{11, 7})
                   .Bytes();
  // The same message at an odd address.
  std::vector<std::byte> odd(bytes.size() + 1);
  std::memcpy(odd.data() + 1, bytes.data(), bytes.size());
  Request request;
  ASSERT_TRUE(DecodeRequest(Bytes(odd).subspan(1), Dialect{}, &request).ok());
  const auto& op = std::get<BatchForget>(request.operation);
  ASSERT_EQ(op.items.size(), 2u);
  EXPECT_EQ(op.items[1].nodeid, 11u);
  EXPECT_EQ(op.items[1].nlookup, 7u);
}

TEST(DecodeRequest, CompletesTheShorterStructsOfOlderKernelsWithZeros) {
  abi::fuse_read_in in{};
  in.fh = 1;
  in.size = 100;
  auto old_read = MessageBuilder(abi::FUSE_READ).Struct(in, 24).Bytes();
  EXPECT_EQ(Decoded<Read>(old_read).size, 100u);
  EXPECT_EQ(Decoded<Read>(old_read).lock_owner, 0u);

  EXPECT_EQ(Decoded<Getattr>(MessageBuilder(abi::FUSE_GETATTR).Bytes()).fh, 0u);

  abi::fuse_release_in release{};
  release.fh = 4;
  auto old_release =
      MessageBuilder(abi::FUSE_RELEASE).Struct(release, 16).Bytes();
  EXPECT_EQ(Decoded<Release>(old_release).fh, 4u);
}

TEST(DecodeRequest, TakesTheLayoutOfTheNegotiatedMinorWhereBytesFollow) {
  abi::fuse_mknod_in in{};
  in.mode = 0100644;
  Dialect old;
  old.minor = 11;
  auto bytes = MessageBuilder(abi::FUSE_MKNOD).Struct(in, 8).Name("x").Bytes();
  EXPECT_EQ(Decoded<Mknod>(bytes, old).name, "x");

  abi::fuse_setxattr_in set{};
  set.size = 1;
  Dialect ext;
  ext.flags = abi::FUSE_SETXATTR_EXT;
  auto small = MessageBuilder(abi::FUSE_SETXATTR)
                   .Struct(set, 8)
                   .Name("user.a/b")
                   .Raw("v")
                   .Bytes();
  EXPECT_EQ(Decoded<Setxattr>(small).name, "user.a/b");
  auto large = MessageBuilder(abi::FUSE_SETXATTR)
                   .Struct(set)
                   .Name("user.a")
                   .Raw("v")
                   .Bytes();
  EXPECT_EQ(Decoded<Setxattr>(large, ext).value.size(), 1u);
}

TEST(DecodeRequest, ReadsAllThreeGenerationsOfInit) {
  abi::fuse_init_in in{};
  in.major = 7;
  in.minor = 45;
  in.max_readahead = 1 << 17;
  in.flags2 = 3;
  auto message = [&](size_t size) {
    return MessageBuilder(abi::FUSE_INIT, 0).Struct(in, size).Bytes();
  };
  EXPECT_EQ(Decoded<Init>(message(8)).minor, 45u);
  EXPECT_EQ(Decoded<Init>(message(8)).max_readahead, 0u);
  EXPECT_EQ(Decoded<Init>(message(16)).max_readahead, 1u << 17);
  EXPECT_EQ(Decoded<Init>(message(16)).flags2, 0u);
  EXPECT_EQ(Decoded<Init>(message(64)).flags2, 3u);
  // A later version may append.
  auto longer = MessageBuilder(abi::FUSE_INIT, 0)
                    .Struct(in)
                    .Raw("more that we do not know")
                    .Bytes();
  EXPECT_EQ(Decoded<Init>(longer).flags2, 3u);
  ExpectFault(MessageBuilder(abi::FUSE_INIT, 0).Raw("1234567"),
              Fault::kTooShort, 40);
}

TEST(DecodeRequest, RejectsHeadersThatCannotBeTrusted) {
  std::vector<std::byte> bytes = MessageBuilder(abi::FUSE_STATFS).Bytes();
  bytes.resize(39);
  EXPECT_EQ(ErrorOf(bytes).fault, Fault::kShortHeader);
  EXPECT_FALSE(ErrorOf(bytes).answerable());
  EXPECT_EQ(ErrorOf({}).fault, Fault::kShortHeader);

  for (uint32_t wrong : {39u, 41u, ~0u}) {
    MessageBuilder message(abi::FUSE_STATFS);
    message.header().len = wrong;
    ExpectFault(message, Fault::kBadLength, 0);
  }
  ExpectFault(MessageBuilder(abi::FUSE_STATFS, 1, 0), Fault::kZeroUnique, 8);
}

TEST(DecodeRequest, RejectsOpcodesThatDoNotExist) {
  for (uint32_t opcode : {0u, 7u, 19u, 54u, 4095u, 1u << 31}) {
    DecodeError error = ErrorOf(MessageBuilder(opcode).Bytes());
    EXPECT_EQ(error.fault, Fault::kUnknownOpcode);
    EXPECT_EQ(error.opcode, opcode);
    EXPECT_TRUE(error.answerable());
  }
}

TEST(DecodeRequest, NamesTheFaultOfABody) {
  ExpectFault(MessageBuilder(abi::FUSE_OPEN).Raw("1234567"), Fault::kTooShort,
              40);
  ExpectFault(MessageBuilder(abi::FUSE_OPEN).Raw("123456789"),
              Fault::kTrailingBytes, 48);
  ExpectFault(MessageBuilder(abi::FUSE_LOOKUP).Raw("abc"), Fault::kMissingNul,
              40);
  ExpectFault(MessageBuilder(abi::FUSE_LOOKUP), Fault::kMissingNul, 40);
  ExpectFault(MessageBuilder(abi::FUSE_LOOKUP).Name(""), Fault::kEmptyName, 40);
  ExpectFault(MessageBuilder(abi::FUSE_LOOKUP).Name("a/b"), Fault::kSlashInName,
              40);
  ExpectFault(MessageBuilder(abi::FUSE_LOOKUP).Name("a").Raw("z"),
              Fault::kTrailingBytes, 42);
  ExpectFault(MessageBuilder(abi::FUSE_RENAME)
                  .Struct(abi::fuse_rename_in{2})
                  .Name("only one"),
              Fault::kMissingNul, 57);
  abi::fuse_write_in write{};
  write.size = 6;
  ExpectFault(MessageBuilder(abi::FUSE_WRITE).Struct(write).Raw("hello"),
              Fault::kCountTooLarge, 80);
  write.size = 4;
  ExpectFault(MessageBuilder(abi::FUSE_WRITE).Struct(write).Raw("hello"),
              Fault::kTrailingBytes, 84);
  ExpectFault(MessageBuilder(abi::FUSE_BATCH_FORGET)
                  .Struct(abi::fuse_batch_forget_in{~0u, 0}),
              Fault::kCountTooLarge, 48);
}

TEST(DecodeRequest, LimitsTheLengthOfNames) {
  Dialect shorter;
  shorter.name_max = kShortNameMax;
  auto lookup = [](size_t size) {
    return MessageBuilder(abi::FUSE_LOOKUP).Name(std::string(size, 'n'));
  };
  EXPECT_TRUE(ErrorOf(lookup(1024).Bytes(), shorter).ok());
  ExpectFault(lookup(1025), Fault::kNameTooLong, 40, shorter);
  EXPECT_TRUE(ErrorOf(lookup(4095).Bytes()).ok());
  ExpectFault(lookup(4096), Fault::kNameTooLong, 40);
}

TEST(DecodeRequest, ChecksThatExtensionsFit) {
  MessageBuilder mkdir(abi::FUSE_MKDIR);
  mkdir.Struct(abi::fuse_mkdir_in{0755, 022})
      .Name("d")
      .Struct(abi::fuse_secctx_header{8, 0});
  mkdir.header().total_extlen = 1;
  EXPECT_EQ(Decoded<Mkdir>(mkdir.Bytes()).extensions.bytes.size(), 8u);
  mkdir.header().total_extlen = 2;
  ExpectFault(mkdir, Fault::kBadExtension, 50);
}

TEST(DecodeRequest, TakesTheLengthOfExtensionsForPaddingBeforeItCame) {
  MessageBuilder mkdir(abi::FUSE_MKDIR);
  mkdir.Struct(abi::fuse_mkdir_in{0755, 022})
      .Name("d")
      .Struct(abi::fuse_secctx_header{8, 0});
  mkdir.header().total_extlen = 1;
  Dialect old;
  old.minor = old.kernel_minor = 37;
  ExpectFault(mkdir, Fault::kTrailingBytes, 50, old);
  // What follows the name is the security context, whatever the field says.
  old.flags = abi::FUSE_SECURITY_CTX;
  mkdir.header().total_extlen = 77;
  EXPECT_EQ(Decoded<Mkdir>(mkdir.Bytes(), old).extensions.bytes.size(), 8u);
}

TEST(DecodeRequest, ServesThreeSpansFromDifferentPlaces) {
  abi::fuse_write_in in{};
  in.size = 2;
  auto bytes = MessageBuilder(abi::FUSE_WRITE).Struct(in).Raw("ab").Bytes();
  Message message{Bytes(bytes).first(40), Bytes(bytes).subspan(40, 40),
                  Bytes(bytes).subspan(80)};
  std::vector<std::byte> header(message.header.begin(), message.header.end());
  std::vector<std::byte> fixed(message.operation.begin(),
                               message.operation.end());
  std::vector<std::byte> payload(message.payload.begin(),
                                 message.payload.end());
  Request request;
  ASSERT_TRUE(
      DecodeRequest(Message{header, fixed, payload}, Dialect{}, &request).ok());
  EXPECT_EQ(std::get<Write>(request.operation).data.data(), payload.data());
}

}  // namespace
}  // namespace barefuse::proto
