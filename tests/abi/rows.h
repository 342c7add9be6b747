// What the generated tables consist of. Free of any FUSE header, so that both
// translation units can have it.
#ifndef BAREFUSE_TESTS_ABI_ROWS_H_
#define BAREFUSE_TESTS_ABI_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace barefuse::abi_test {

// Where a field lies in its struct, in bytes. Of a struct itself: 0 and its
// size. Of a flexible array: where it starts, and 0.
struct Extent {
  size_t offset;
  size_t size;

  friend bool operator==(const Extent&, const Extent&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Extent& extent) {
    return out << "offset " << extent.offset << ", size " << extent.size;
  }
};

// "struct.field", or the struct alone where `field_name` is empty.
inline std::string QualifiedName(std::string_view struct_name,
                                 std::string_view field_name) {
  std::string name(struct_name);
  if (!field_name.empty()) name.append(".").append(field_name);
  return name;
}

// A struct or field as <linux/fuse.h> has it.
struct SystemLayoutRow {
  std::string_view struct_name;
  std::string_view field_name;
  Extent extent;
};

// A constant as <linux/fuse.h> has it, converted to 64 bits.
struct SystemConstantRow {
  std::string_view name;
  uint64_t value;
};

}  // namespace barefuse::abi_test

#endif  // BAREFUSE_TESTS_ABI_ROWS_H_
