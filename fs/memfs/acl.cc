#include "fs/memfs/acl.h"

#include <cstring>
#include <utility>

namespace barefuse::memfs {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderSize = 4;
constexpr size_t kEntrySize = 8;
constexpr uint32_t kNoId = ~0u;

// The value is little-endian on every machine.
uint32_t Get(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i]))
             << (8 * i);
  }
  return value;
}

void Put(std::string* bytes, uint32_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    bytes->push_back(static_cast<char>(value >> (8 * i)));
  }
}

bool IsTag(uint16_t tag) {
  return tag == Acl::kUserObj || tag == Acl::kUser || tag == Acl::kGroupObj ||
         tag == Acl::kGroup || tag == Acl::kMask || tag == Acl::kOther;
}

bool IsNamed(uint16_t tag) { return tag == Acl::kUser || tag == Acl::kGroup; }

}  // namespace

std::optional<Acl> Acl::Parse(std::string_view value, bool* is_empty) {
  *is_empty = false;
  if (value.size() < kHeaderSize || Get(value, 0, 4) != kVersion ||
      (value.size() - kHeaderSize) % kEntrySize != 0) {
    return std::nullopt;
  }
  std::vector<Entry> entries;
  uint32_t tags = 0;
  for (size_t at = kHeaderSize; at < value.size(); at += kEntrySize) {
    Entry entry{static_cast<uint16_t>(Get(value, at, 2)),
                static_cast<uint16_t>(Get(value, at + 2, 2)),
                Get(value, at + 4, 4)};
    if (!IsTag(entry.tag) || entry.permissions > 7) return std::nullopt;
    if (!IsNamed(entry.tag)) {
      entry.id = kNoId;
    } else if (entry.id == kNoId) {
      return std::nullopt;
    }
    // In order, and nothing twice. The kernel lets the ids of one tag come in
    // any order.
    if (!entries.empty()) {
      const uint16_t last = entries.back().tag;
      if (entry.tag < last || (entry.tag == last && !IsNamed(last))) {
        return std::nullopt;
      }
    }
    tags |= entry.tag;
    entries.push_back(entry);
  }
  if (entries.empty()) {
    *is_empty = true;
    return std::nullopt;
  }
  constexpr uint32_t kNeeded = kUserObj | kGroupObj | kOther;
  if ((tags & kNeeded) != kNeeded) return std::nullopt;
  if ((tags & (kUser | kGroup)) != 0 && (tags & kMask) == 0) {
    return std::nullopt;
  }
  return Acl(std::move(entries));
}

std::string Acl::Value() const {
  std::string value;
  value.reserve(kHeaderSize + entries_.size() * kEntrySize);
  Put(&value, kVersion, 4);
  for (const Entry& entry : entries_) {
    Put(&value, entry.tag, 2);
    Put(&value, entry.permissions, 2);
    Put(&value, entry.id, 4);
  }
  return value;
}

uint16_t Acl::GroupTag() const {
  for (const Entry& entry : entries_) {
    if (entry.tag == kMask) return kMask;
  }
  return kGroupObj;
}

uint32_t Acl::Mode() const {
  const uint16_t group = GroupTag();
  uint32_t mode = 0;
  for (const Entry& entry : entries_) {
    if (entry.tag == kUserObj) mode |= uint32_t{entry.permissions} << 6;
    if (entry.tag == group) mode |= uint32_t{entry.permissions} << 3;
    if (entry.tag == kOther) mode |= entry.permissions;
  }
  return mode;
}

void Acl::Chmod(uint32_t mode) {
  const uint16_t group = GroupTag();
  for (Entry& entry : entries_) {
    if (entry.tag == kUserObj) entry.permissions = (mode >> 6) & 7;
    if (entry.tag == group) entry.permissions = (mode >> 3) & 7;
    if (entry.tag == kOther) entry.permissions = mode & 7;
  }
}

void Acl::LimitTo(uint32_t mode) { Chmod(Mode() & mode); }

}  // namespace barefuse::memfs
