// Picks golden messages out of what passes between a kernel and a server.
#ifndef BAREFUSE_TESTS_GOLDEN_RECORDER_H_
#define BAREFUSE_TESTS_GOLDEN_RECORDER_H_

#include <cctype>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "proto/decode_request.h"
#include "proto/replies.h"
#include "server/message_tap.h"
#include "tests/golden/golden.h"

namespace barefuse::testing {

// Keeps the first good exchange of each operation.
class Recorder {
 public:
  MessageTap Tap() {
    return [this](Direction direction, proto::Bytes head, proto::Bytes data) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (direction == Direction::kFromKernel) {
        OnRequest(head);
      } else {
        OnReply(head, data);
      }
    };
  }
  void SetDialect(const proto::Dialect& dialect) {
    std::lock_guard<std::mutex> lock(mutex_);
    dialect_ = dialect;
  }

  // Holds the server up while `work` is done: messages pile up.
  template <class Work>
  void WhileHeld(Work work) {
    std::lock_guard<std::mutex> lock(mutex_);
    work();
  }

  std::map<std::string, Golden> Take() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto& [name, golden] : kept_) golden.dialect = dialect_;
    return std::move(kept_);
  }

  // A notification that the kernel has taken.
  void KeepNotification(const std::string& name, uint32_t code,
                        std::vector<std::byte> bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    Golden golden;
    golden.kind = GoldenKind::kNotification;
    golden.opcode = code;
    golden.bytes = std::move(bytes);
    kept_.emplace(name + ".notification.golden", std::move(golden));
  }

 private:
  void OnRequest(proto::Bytes bytes) {
    abi::fuse_in_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    const proto::Operation* operation = proto::FindOperation(header.opcode);
    if (operation == nullptr) return;
    pending_[header.unique] = {bytes.begin(), bytes.end()};
    if (operation->owed != proto::Owed::kReply) Keep(*operation, header.unique);
  }
  void OnReply(proto::Bytes head, proto::Bytes data) {
    abi::fuse_out_header header;
    std::memcpy(&header, head.data(), sizeof header);
    auto request = pending_.find(header.unique);
    if (request == pending_.end()) return;
    abi::fuse_in_header asked;
    std::memcpy(&asked, request->second.data(), sizeof asked);
    const proto::Operation& operation = *proto::FindOperation(asked.opcode);
    std::vector<std::byte> reply(head.begin(), head.end());
    reply.insert(reply.end(), data.begin(), data.end());
    // Large data and empty directories teach nothing.
    const bool directory = operation.reply == proto::ReplyKind::kDirectory;
    const bool good = header.error == 0 && reply.size() < 1000 &&
                      request->second.size() < 1000 &&
                      !(directory && data.empty());
    if (good && Keep(operation, header.unique)) {
      Golden golden;
      golden.kind = GoldenKind::kReply;
      golden.opcode = asked.opcode;
      golden.asked = SizeAsked(request->second);
      golden.bytes = std::move(reply);
      kept_.emplace(FileName(operation, "reply"), std::move(golden));
    }
    pending_.erase(request);
  }
  uint32_t SizeAsked(const std::vector<std::byte>& request) {
    proto::Request decoded;
    if (!proto::DecodeRequest(request, dialect_, &decoded).ok()) return 0;
    return proto::WhatIsAsked(decoded).size;
  }
  bool Keep(const proto::Operation& operation, uint64_t unique) {
    Golden golden;
    golden.opcode = operation.opcode;
    golden.bytes = pending_[unique];
    return kept_.emplace(FileName(operation, "request"), std::move(golden))
        .second;
  }
  static std::string FileName(const proto::Operation& operation,
                              std::string_view kind) {
    std::string name(operation.name);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    return name + "." + std::string(kind) + ".golden";
  }

  std::mutex mutex_;
  proto::Dialect dialect_;
  std::map<uint64_t, std::vector<std::byte>> pending_;
  std::map<std::string, Golden> kept_;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_GOLDEN_RECORDER_H_
