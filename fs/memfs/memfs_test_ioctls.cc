#include "fs/memfs/memfs_test_ioctls.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/notifier.h"

namespace barefuse::memfs {
namespace {

// Results that nobody has waited for yet.
constexpr size_t kMostResults = 1024;
constexpr uint64_t kMostRead = 65536;

template <class T>
bool ReadStruct(proto::Bytes data, T* value) {
  if (data.size() < sizeof *value) return false;
  std::memcpy(value, data.data(), sizeof *value);
  return true;
}

template <class T>
void Answer(const T& value, IoctlReply reply) {
  const size_t size = std::min(sizeof value, reply.buffer().size());
  std::memcpy(reply.buffer().data(), &value, size);
  std::move(reply).Ok(0, size);
}

template <size_t size>
std::string_view Name(const char (&name)[size]) {
  return {name, strnlen(name, size)};
}

}  // namespace

// What is to be sent, and what came of it.
struct TestIoctls::Queue : std::enable_shared_from_this<Queue> {
  struct Outcome {
    bool done = false;
    memfs_notify_result result{};
    std::optional<IoctlReply> waiter;
  };

  void Done(const memfs_notify_result& result) {
    std::optional<IoctlReply> reply;
    {
      absl::MutexLock lock(&mutex);
      auto it = outcomes.find(result.id);
      if (it == outcomes.end()) return;
      if (!it->second.waiter) {
        it->second.done = true;
        it->second.result = result;
        return;
      }
      reply = std::move(it->second.waiter);
      outcomes.erase(it);
    }
    Answer(result, *std::move(reply));
  }

  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex) {
    return stopping || !jobs.empty();
  }

  void Run() {
    for (;;) {
      memfs_notify job;
      std::shared_ptr<Notifier> to;
      {
        absl::MutexLock lock(&mutex);
        mutex.Await(absl::Condition(this, &Queue::HasWork));
        if (stopping) return;
        job = jobs.front();
        jobs.pop_front();
        to = notifier;
      }
      Send(job, to.get());
    }
  }

  void Send(const memfs_notify& job, Notifier* to);

  absl::Mutex mutex;
  std::shared_ptr<Notifier> notifier ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  uint64_t next_id ABSL_GUARDED_BY(mutex) = 1;
  std::deque<memfs_notify> jobs ABSL_GUARDED_BY(mutex);
  std::map<uint64_t, Outcome> outcomes ABSL_GUARDED_BY(mutex);
};

void TestIoctls::Queue::Send(const memfs_notify& job, Notifier* to) {
  memfs_notify_result result{};
  result.id = job.id;
  const std::string_view name = Name(job.name);
  const uint64_t offset = static_cast<uint64_t>(job.offset);
  const uint32_t size = std::min<uint32_t>(job.size, sizeof job.data);
  if (to == nullptr) {
    result.error = ENOTCONN;
    return Done(result);
  }
  switch (job.kind) {
    case MEMFS_NOTIFY_INVAL_INODE:
      result.error = to->InvalInode(job.nodeid, job.offset, job.length);
      break;
    case MEMFS_NOTIFY_INVAL_ENTRY:
      result.error = to->InvalEntry(job.nodeid, name);
      break;
    case MEMFS_NOTIFY_EXPIRE_ENTRY:
      result.error = to->ExpireEntry(job.nodeid, name);
      break;
    case MEMFS_NOTIFY_DELETE:
      // The directory is in `length`, see Notify.
      result.error =
          to->Delete(static_cast<NodeId>(job.length), job.nodeid, name);
      break;
    case MEMFS_NOTIFY_STORE:
      result.error = to->Store(job.nodeid, offset,
                               std::as_bytes(std::span(job.data, size)));
      break;
    case MEMFS_NOTIFY_RETRIEVE: {
      auto retrieved = [self = shared_from_this(), id = job.id](
                           int error, uint64_t at,
                           std::span<const std::byte> data) {
        memfs_notify_result got{};
        got.id = id;
        got.error = error;
        got.offset = at;
        got.size =
            static_cast<uint32_t>(std::min(data.size(), sizeof got.data));
        if (got.size != 0) std::memcpy(got.data, data.data(), got.size);
        self->Done(got);
      };
      result.error = to->Retrieve(job.nodeid, offset, size, retrieved);
      if (result.error == 0) return;  // the data is still to come
      break;
    }
    case MEMFS_NOTIFY_RESEND:
      result.error = to->Resend();
      break;
    case MEMFS_NOTIFY_INC_EPOCH:
      result.error = to->IncEpoch();
      break;
    case MEMFS_NOTIFY_PRUNE: {
      const NodeId node = job.nodeid;
      result.error = to->Prune(std::span(&node, 1));
      break;
    }
    default:
      result.error = EINVAL;
  }
  Done(result);
}

TestIoctls::TestIoctls(Tree& tree)
    : tree_(tree), queue_(std::make_shared<Queue>()) {}

TestIoctls::~TestIoctls() {
  std::map<uint64_t, Queue::Outcome> left;
  {
    absl::MutexLock lock(&queue_->mutex);
    queue_->stopping = true;
    left.swap(queue_->outcomes);
  }
  for (auto& [id, outcome] : left) {
    if (outcome.waiter) std::move(*outcome.waiter).Error(ENODEV);
  }
  if (thread_.joinable()) thread_.join();
}

void TestIoctls::Use(std::shared_ptr<Notifier> notifier) {
  absl::MutexLock lock(&queue_->mutex);
  queue_->notifier = std::move(notifier);
}

bool TestIoctls::Knows(uint32_t cmd) {
  return cmd == MEMFS_IOC_POKE || cmd == MEMFS_IOC_NOTIFY ||
         cmd == MEMFS_IOC_NOTIFY_WAIT || cmd == MEMFS_IOC_READ_TO;
}

void TestIoctls::Ioctl(const IoctlRequest& request, OpenFile& file,
                       IoctlReply reply) {
  switch (request->cmd) {
    case MEMFS_IOC_POKE: {
      memfs_poke poke;
      if (!ReadStruct(request->data, &poke)) {
        return std::move(reply).Error(EINVAL);
      }
      int error = Poke(poke, *file.node);
      if (error != 0) return std::move(reply).Error(error);
      return std::move(reply).Ok(0, 0);
    }
    case MEMFS_IOC_NOTIFY:
      return Notify(request, *file.node, std::move(reply));
    case MEMFS_IOC_NOTIFY_WAIT:
      return Wait(request, std::move(reply));
    default:
      break;
  }
  // MEMFS_IOC_READ_TO. First the kernel brings nothing, then the struct that
  // `arg` points to, then it also knows where the answer goes.
  const abi::fuse_ioctl_iovec in{request->arg, sizeof(memfs_vector)};
  memfs_vector vector;
  if (!ReadStruct(request->data, &vector)) {
    return std::move(reply).Retry(std::span(&in, 1), {});
  }
  if (file.node->data == nullptr) return std::move(reply).Error(EISDIR);
  vector.len = std::min(vector.len, kMostRead);
  if (reply.buffer().size() < vector.len) {
    const abi::fuse_ioctl_iovec out{vector.base, vector.len};
    return std::move(reply).Retry(std::span(&in, 1), std::span(&out, 1));
  }
  const size_t size =
      file.node->data->Read(0, reply.buffer().first(vector.len));
  std::move(reply).Ok(static_cast<int32_t>(size), size);
}

int TestIoctls::Poke(const memfs_poke& poke, Node& node) {
  const std::string_view name = Name(poke.name);
  const auto data = std::as_bytes(
      std::span(poke.data, std::min<size_t>(poke.size, sizeof poke.data)));
  const bool named = poke.kind == MEMFS_POKE_CREATE ||
                     poke.kind == MEMFS_POKE_REMOVE ||
                     poke.kind == MEMFS_POKE_RENAME;
  if (named && !node.IsDirectory()) return ENOTDIR;
  if (named && Tree::CheckName(name) != 0) return EINVAL;
  if (!named && poke.kind != MEMFS_POKE_CHMOD && !node.IsRegular()) {
    return EISDIR;
  }
  Dead dead;
  absl::MutexLock lock(&tree_.mutex);
  switch (poke.kind) {
    case MEMFS_POKE_WRITE: {
      const int64_t written = node.data->Write(poke.offset, data);
      if (written < 0) return static_cast<int>(-written);
      node.TouchContent();
      return 0;
    }
    case MEMFS_POKE_RESIZE:
      node.TouchContent();
      return -node.data->Resize(poke.offset);
    case MEMFS_POKE_CHMOD:
      node.Chmod(static_cast<uint32_t>(poke.offset));
      node.TouchAttributes();
      return 0;
    case MEMFS_POKE_CREATE: {
      if (int error = Tree::CheckAdd(node); error != 0) return error;
      if (node.directory->Find(name) != nullptr) return EEXIST;
      std::shared_ptr<Node> file = tree_.NewNode(S_IFREG | 0644);
      if (file == nullptr) return ENOSPC;
      const int error = tree_.AddName(node, name, file);
      if (error != 0) tree_.Settle(*file, &dead);
      if (error == 0) file->data->Write(0, data);
      return error;
    }
    case MEMFS_POKE_REMOVE: {
      const Node* found = node.directory->Find(name);
      if (found == nullptr) return ENOENT;
      if (found->IsDirectory() && !found->directory->empty()) return ENOTEMPTY;
      tree_.RemoveName(node, name, &dead);
      return 0;
    }
    case MEMFS_POKE_RENAME:
      return tree_.Rename(node, name, node, Name(poke.to), 0, &dead);
    default:
      return EINVAL;
  }
}

void TestIoctls::Notify(const IoctlRequest& request, const Node& node,
                        IoctlReply reply) {
  memfs_notify job;
  if (!ReadStruct(request->data, &job)) return std::move(reply).Error(EINVAL);
  if (job.kind == MEMFS_NOTIFY_DELETE) {
    job.length = static_cast<int64_t>(node.id);
  } else if (job.nodeid == 0) {
    job.nodeid = node.id;
  }
  {
    absl::ReleasableMutexLock lock(&queue_->mutex);
    if (queue_->outcomes.size() >= kMostResults) {
      lock.Release();
      return std::move(reply).Error(EBUSY);
    }
    job.id = queue_->next_id++;
    queue_->outcomes[job.id];
  }
  Answer(job, std::move(reply));
  // Only now: RESEND brings every request again that has no reply. (This one
  // too, where the worker is slow to send it.)
  absl::MutexLock lock(&queue_->mutex);
  queue_->jobs.push_back(job);
  // Not before it is needed: a thread would not survive a fork(2) into the
  // background.
  if (!thread_.joinable()) {
    thread_ = std::thread([queue = queue_] { queue->Run(); });
  }
}

void TestIoctls::Wait(const IoctlRequest& request, IoctlReply reply) {
  memfs_notify_result result;
  if (!ReadStruct(request->data, &result)) {
    return std::move(reply).Error(EINVAL);
  }
  reply.Detach();  // it may take long; where there is no room, so be it
  bool known = false;
  {
    absl::MutexLock lock(&queue_->mutex);
    auto it = queue_->outcomes.find(result.id);
    if (it != queue_->outcomes.end() && !it->second.waiter) {
      if (!it->second.done) {
        it->second.waiter.emplace(std::move(reply));
        return;
      }
      known = true;
      result = it->second.result;
      queue_->outcomes.erase(it);
    }
  }
  if (!known) return std::move(reply).Error(ENOENT);
  Answer(result, std::move(reply));
}

}  // namespace barefuse::memfs
