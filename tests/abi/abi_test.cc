// Compares kernel_abi with the interface from outside: with FUSE 7.45 as data,
// and with the system's <linux/fuse.h>, whatever version that is.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "kernel_abi/fuse.h"
#include "tests/abi/rows.h"
#include "tests/abi/system_header.h"

namespace barefuse::abi_test {
namespace {

struct LayoutRow {
  std::string_view struct_name;
  std::string_view field_name;  // empty: the struct itself
  Extent published;
  Extent ours;
};

struct ConstantRow {
  std::string_view name;
  uint64_t published;
  uint64_t ours;
};

// What a header of kernel_abi declares: a struct, a field of one, or, where
// `struct_name` is empty, a constant.
struct DeclaredName {
  std::string_view struct_name;
  std::string_view name;
};

// A struct, field or constant missing from kernel_abi does not compile here.
constexpr LayoutRow kLayout[] = {
#include "tests/abi/kernel_abi_layout.inc"
};

constexpr ConstantRow kConstants[] = {
#include "tests/abi/kernel_abi_constants.inc"
};

constexpr DeclaredName kDeclaredNames[] = {
#include "tests/abi/kernel_abi_names.inc"
};

// Tables much smaller than the interface would mean that the generator lost
// rows, and a test over them would prove little.
constexpr size_t kMinLayoutRows = 380;
constexpr size_t kMinConstants = 180;
constexpr size_t kMinSharedLayoutRows = 200;
constexpr size_t kMinSharedConstants = 100;

// Where versions of the header differ though nothing is wrong.

// Room at the end of a struct, from the front of which newer versions took
// fields. It still has to end at the same byte.
struct SpareRoom {
  std::string_view field;
  std::string_view reason;
};
constexpr SpareRoom kSpareRoom[] = {
    {"fuse_in_header.padding", "7.38 took total_extlen from it"},
    {"fuse_init_out.unused",
     "7.40 took max_stack_depth from it, 7.43 request_timeout"},
};

// Structs that became longer; a header older than that has the short one.
struct GrownStruct {
  std::string_view name;
  uint32_t since_minor;
  std::string_view reason;
};
constexpr GrownStruct kGrownStructs[] = {
    {"fuse_init_in", 36, "flags2 and room for more were added"},
    {"fuse_setxattr_in", 33, "setxattr_flags was added"},
};

struct DifferentConstant {
  std::string_view name;
  std::string_view reason;
};
constexpr DifferentConstant kDifferentConstants[] = {
    {"FUSE_KERNEL_MINOR_VERSION", "each header states its own version"},
    {"FUSE_INIT_RESERVED",
     "the header's 1 << 31 is a negative int, which 64 bits sign-extend"},
};

bool IsSpareRoom(std::string_view name) {
  return std::ranges::find(kSpareRoom, name, &SpareRoom::field) !=
         std::end(kSpareRoom);
}

bool IsShortInSystemHeader(std::string_view name) {
  const auto* grown =
      std::ranges::find(kGrownStructs, name, &GrownStruct::name);
  return grown != std::end(kGrownStructs) &&
         SystemMinorVersion() < grown->since_minor;
}

bool MayDiffer(std::string_view constant) {
  return std::ranges::find(kDifferentConstants, constant,
                           &DifferentConstant::name) !=
         std::end(kDifferentConstants);
}

// Of all structs, fields and constants. Flexible arrays are left out: they are
// no members in kernel_abi.
std::set<std::string, std::less<>> PublishedNames() {
  std::set<std::string, std::less<>> names;
  for (const LayoutRow& row : kLayout) {
    if (row.field_name.ends_with("[]")) continue;
    names.insert(QualifiedName(row.struct_name, row.field_name));
  }
  for (const ConstantRow& row : kConstants) names.emplace(row.name);
  return names;
}

std::map<std::string, Extent> OurLayout() {
  std::map<std::string, Extent> layout;
  for (const LayoutRow& row : kLayout) {
    layout[QualifiedName(row.struct_name, row.field_name)] = row.ours;
  }
  return layout;
}

std::map<std::string_view, uint64_t> OurConstants() {
  std::map<std::string_view, uint64_t> constants;
  for (const ConstantRow& row : kConstants) constants[row.name] = row.ours;
  return constants;
}

TEST(PublishedInterfaceTest, EveryStructAndFieldLiesWhereItIsPublished) {
  ASSERT_GE(std::size(kLayout), kMinLayoutRows);
  for (const LayoutRow& row : kLayout) {
    EXPECT_EQ(row.ours, row.published)
        << QualifiedName(row.struct_name, row.field_name);
  }
}

TEST(PublishedInterfaceTest, EveryConstantHasItsPublishedValue) {
  ASSERT_GE(std::size(kConstants), kMinConstants);
  for (const ConstantRow& row : kConstants) {
    EXPECT_EQ(row.ours, row.published) << row.name;
  }
}

TEST(PublishedInterfaceTest, KernelAbiDeclaresNothingElse) {
  const std::set<std::string, std::less<>> published = PublishedNames();
  std::set<std::string> declared;
  for (const DeclaredName& name : kDeclaredNames) {
    declared.insert(name.struct_name.empty()
                        ? std::string(name.name)
                        : QualifiedName(name.struct_name, name.name));
  }
  for (const std::string& name : declared) {
    EXPECT_TRUE(published.contains(name)) << name << " is not in FUSE 7.45";
  }
  // kernel_abi has all that is published, or nothing here would compile. Text
  // that seems to lack some of it was misread, and may hide extra names too.
  for (const std::string& name : published) {
    EXPECT_TRUE(declared.contains(name)) << name << " was not found as text";
  }
}

TEST(SystemHeaderTest, DifferencesAreAllowedToPublishedNamesOnly) {
  const std::set<std::string, std::less<>> published = PublishedNames();
  for (const SpareRoom& room : kSpareRoom) {
    EXPECT_TRUE(published.contains(room.field)) << room.field;
  }
  for (const GrownStruct& grown : kGrownStructs) {
    EXPECT_TRUE(published.contains(grown.name)) << grown.name;
  }
  for (const DifferentConstant& different : kDifferentConstants) {
    EXPECT_TRUE(published.contains(different.name)) << different.name;
  }
}

TEST(SystemHeaderTest, SharedStructsAndFieldsLieWhereTheSystemHasThem) {
  RecordProperty("system_minor_version",
                 static_cast<int>(SystemMinorVersion()));
  ASSERT_GE(SystemLayout().size(), kMinSharedLayoutRows);
  const std::map<std::string, Extent> ours = OurLayout();
  for (const SystemLayoutRow& row : SystemLayout()) {
    const std::string name = QualifiedName(row.struct_name, row.field_name);
    SCOPED_TRACE(name + " in <linux/fuse.h> of 7." +
                 std::to_string(SystemMinorVersion()));
    const Extent our = ours.at(name);
    if (IsShortInSystemHeader(name)) {
      EXPECT_GT(our.size, row.extent.size);
    } else if (IsSpareRoom(name)) {
      EXPECT_EQ(our.offset + our.size, row.extent.offset + row.extent.size);
    } else {
      EXPECT_EQ(our, row.extent);
    }
  }
}

TEST(SystemHeaderTest, SharedConstantsHaveTheSystemsValue) {
  ASSERT_GE(SystemConstants().size(), kMinSharedConstants);
  const std::map<std::string_view, uint64_t> ours = OurConstants();
  for (const SystemConstantRow& row : SystemConstants()) {
    if (MayDiffer(row.name)) continue;
    EXPECT_EQ(ours.at(row.name), row.value)
        << row.name << " in <linux/fuse.h> of 7." << SystemMinorVersion();
  }
}

}  // namespace
}  // namespace barefuse::abi_test
