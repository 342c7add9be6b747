#include "proto/extensions.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace barefuse::proto {
namespace {

using Kind = ExtensionReader::Kind;

Bytes AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Extensions, ComeBackAsTheyWereWritten) {
  std::vector<std::byte> buffer(256);
  ExtensionWriter writer(buffer);
  const uint32_t groups[] = {100, 200, 300};
  ASSERT_TRUE(writer.AddGroups(groups));
  const SecurityContext contexts[] = {
      {"security.selinux", AsBytes("user:role:type")},
      {"security.smack", AsBytes("")},
  };
  ASSERT_TRUE(writer.AddContexts(contexts));

  ExtensionReader reader(writer.extensions());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.kind(), Kind::kGroups);
  ASSERT_EQ(reader.groups().size(), 3u);
  EXPECT_EQ(reader.groups()[2], 300u);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.kind(), Kind::kSecurityContext);
  EXPECT_EQ(reader.context().name, "security.selinux");
  EXPECT_EQ(AsText(reader.context().value), "user:role:type");
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.context().name, "security.smack");
  EXPECT_EQ(reader.context().value.size(), 0u);
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

TEST(Extensions, WithoutAContextThereIsNothingToShow) {
  // What a kernel sends whose security module has nothing to say.
  std::vector<std::byte> buffer(8);
  ExtensionWriter writer(buffer);
  ASSERT_TRUE(writer.AddContexts({}));
  EXPECT_EQ(writer.extensions().bytes.size(), 8u);
  ExtensionReader reader(writer.extensions());
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

TEST(Extensions, UnknownOnesArePassedOver) {
  std::vector<std::byte> buffer(64);
  const abi::fuse_ext_header unknown{24, 1000};
  std::memcpy(buffer.data(), &unknown, sizeof unknown);
  ExtensionWriter writer(std::span(buffer.data(), buffer.size()).subspan(24));
  const uint32_t group[] = {7};
  ASSERT_TRUE(writer.AddGroups(group));
  ExtensionReader reader(
      {Bytes(buffer).first(24 + writer.extensions().bytes.size())});
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.kind(), Kind::kUnknown);
  EXPECT_EQ(reader.type(), 1000u);
  EXPECT_EQ(reader.bytes().size(), 16u);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.kind(), Kind::kGroups);
}

TEST(Extensions, WhatDoesNotFitIsNotWritten) {
  std::vector<std::byte> buffer(20);
  ExtensionWriter writer(buffer);
  const SecurityContext context[] = {{"security.selinux", AsBytes("x")}};
  EXPECT_FALSE(writer.AddContexts(context));
  const SecurityContext nameless[] = {{"", AsBytes("x")}};
  EXPECT_FALSE(writer.AddContexts(nameless));
  const std::vector<SecurityContext> many(32, {"n", {}});
  EXPECT_FALSE(writer.AddContexts(many));
  EXPECT_EQ(writer.extensions().bytes.size(), 0u);
  const uint32_t group[] = {7};
  EXPECT_TRUE(writer.AddGroups(group));
  EXPECT_EQ(writer.extensions().bytes.size(), 16u);
}

}  // namespace
}  // namespace barefuse::proto
