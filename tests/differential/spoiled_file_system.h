// A filesystem that does one thing wrong.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_SPOILED_FILE_SYSTEM_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_SPOILED_FILE_SYSTEM_H_

#include <memory>
#include <utility>

#include "server/file_system.h"
#include "tests/testing/hook_file_system.h"

namespace barefuse::differential {

// Hands all on to another one. What derives from it changes requests on their
// way: they are the server's own, and not const.
class ForwardingFileSystem : public FileSystem {
 public:
  explicit ForwardingFileSystem(std::shared_ptr<FileSystem> inner)
      : inner_(std::move(inner)) {}

  uint64_t WantedCapabilities() const override {
    return inner_->WantedCapabilities();
  }
  Execution ExecutionOf(uint32_t opcode) const override {
    return inner_->ExecutionOf(opcode);
  }
  void Init(Connection& connection) override { inner_->Init(connection); }
  void Forget(NodeId node, uint64_t lookups) override {
    inner_->Forget(node, lookups);
  }
#define BAREFUSE_FORWARD(Op)                                               \
  void Op(const Op##Request& request, ReplyTo<proto::Op> reply) override { \
    inner_->Op(request, std::move(reply));                                 \
  }
  BAREFUSE_HOOKED_OPERATIONS(BAREFUSE_FORWARD)
#undef BAREFUSE_FORWARD

 private:
  const std::shared_ptr<FileSystem> inner_;
};

// Nobody can give others the right to execute.
class DropsModeBit : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;
  void Setattr(const SetattrRequest& request, AttrReply reply) override {
    const_cast<proto::Setattr&>(*request).mode &= ~1u;
    ForwardingFileSystem::Setattr(request, std::move(reply));
  }
};

// What is written ends with a wrong byte.
class SpoilsLastByte : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;
  void Write(const WriteRequest& request, WriteReply reply) override {
    if (!request->data.empty()) {
      const_cast<std::byte&>(request->data.back()) ^= std::byte{1};
    }
    ForwardingFileSystem::Write(request, std::move(reply));
  }
};

// Names stay.
class KeepsNames : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;
  void Unlink(const UnlinkRequest& request, EmptyReply reply) override {
    std::move(reply).Ok();
  }
};

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_SPOILED_FILE_SYSTEM_H_
