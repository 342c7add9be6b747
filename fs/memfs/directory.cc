#include "fs/memfs/directory.h"

#include <utility>

namespace barefuse::memfs {

Directory::~Directory() { space_.GiveBack(entries_.size() * kCost); }

std::shared_ptr<Node> Directory::FindShared(std::string_view name) const {
  auto it = cookies_.find(name);
  return it == cookies_.end() ? nullptr
                              : entries_.find(it->second)->second.node;
}

Node* Directory::Find(std::string_view name) const {
  auto it = cookies_.find(name);
  return it == cookies_.end() ? nullptr
                              : entries_.find(it->second)->second.node.get();
}

void Directory::Insert(std::string_view name, std::shared_ptr<Node> node) {
  const uint64_t cookie = next_cookie_++;
  auto it = entries_.emplace_hint(entries_.end(), cookie,
                                  Entry{std::string(name), std::move(node)});
  cookies_.emplace(it->second.name, cookie);
}

bool Directory::Add(std::string_view name, std::shared_ptr<Node> node) {
  if (!space_.Take(kCost)) return false;
  Insert(name, std::move(node));
  return true;
}

void Directory::Move(std::string_view name, Directory& to,
                     std::string_view to_name) {
  auto it = cookies_.find(name);
  const uint64_t cookie = it->second;
  auto entry = entries_.find(cookie);
  to.Insert(to_name, std::move(entry->second.node));
  // Inserting may have moved what `it` points to.
  cookies_.erase(cookies_.find(name));
  entries_.erase(cookie);
}

void Directory::Replace(std::string_view name, std::shared_ptr<Node> node) {
  entries_.find(cookies_.find(name)->second)->second.node = std::move(node);
}

void Directory::Remove(std::string_view name) {
  auto it = cookies_.find(name);
  space_.GiveBack(kCost);
  const uint64_t cookie = it->second;
  cookies_.erase(it);
  entries_.erase(cookie);
}

}  // namespace barefuse::memfs
