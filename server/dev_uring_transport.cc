#include "server/dev_uring_transport.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "server/errno_status.h"

namespace barefuse {
namespace {

// Each slot has at most a POLL and READ, or a WRITEV and its NOP; and there is
// the wake.
uint32_t RingEntries(const SlotPool& pool) { return 2 * pool.size() + 2; }

// The newest kernels' set-up first: completions are worked off only when the
// worker asks, without interrupting it (6.1, 6.0), then what 5.19 and older
// have.
constexpr unsigned kSetups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
        IORING_SETUP_R_DISABLED,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_R_DISABLED,
    IORING_SETUP_R_DISABLED,
};

absl::Status RingError(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return absl::PermissionDeniedError(
          "io_uring is forbidden here (kernel.io_uring_disabled, or a seccomp "
          "filter)");
    case ENOSYS:
      return absl::UnimplementedError("the kernel has no io_uring");
    case ENOMEM:
      return absl::ResourceExhaustedError(
          "no memory for io_uring: the limit on locked memory (ulimit -l) may "
          "be too low");
    default:
      return ErrnoStatus(error, "cannot set up io_uring");
  }
}

// Leaves the ring what it is for. A seccomp filter, which may stand around this
// process, does not see what rings do.
int Restrict(io_uring* ring) {
  std::vector<io_uring_restriction> rules;
  for (uint8_t operation : {IORING_OP_NOP, IORING_OP_READ, IORING_OP_WRITEV,
                            IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL}) {
    io_uring_restriction& rule = rules.emplace_back();
    rule.opcode = IORING_RESTRICTION_SQE_OP;
    rule.sqe_op = operation;
  }
  io_uring_restriction& flags = rules.emplace_back();
  flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  flags.sqe_flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  io_uring_restriction& enable = rules.emplace_back();
  enable.opcode = IORING_RESTRICTION_REGISTER_OP;
  enable.register_op = IORING_REGISTER_ENABLE_RINGS;
  // (By its number: liburing 2.3 does not export the function.)
  return -io_uring_register(static_cast<unsigned>(ring->ring_fd),
                            IORING_REGISTER_RESTRICTIONS, rules.data(),
                            static_cast<unsigned>(rules.size()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DevUringTransport>> DevUringTransport::Create(
    std::shared_ptr<const Device> device, SlotPool* pool,
    const WorkerPlace& place, absl::Duration busy_poll) {
  std::unique_ptr<DevUringTransport> transport(
      new DevUringTransport(std::move(device), pool, place, busy_poll));
  int error = EINVAL;
  for (unsigned flags : kSetups) {
    error = -io_uring_queue_init(RingEntries(*pool), &transport->ring_, flags);
    if (error != EINVAL) break;
  }
  if (error != 0) return RingError(error);
  transport->ring_ready_ = true;
  if ((transport->ring_.features & IORING_FEAT_CQE_SKIP) == 0) {
    return absl::UnimplementedError(
        "the kernel's io_uring is too old: it takes Linux 5.17");
  }
  if (const int keeper = transport->device_->keeper_fd(); keeper >= 0) {
    error = -io_uring_register_files(&transport->ring_, &keeper, 1);
    if (error > 0) return RingError(error);
  }
  if (error = Restrict(&transport->ring_); error > 0) return RingError(error);
  return transport;
}

DevUringTransport::~DevUringTransport() {
  if (ring_ready_) io_uring_queue_exit(&ring_);
}

StopReason DevUringTransport::Run(Dispatcher& dispatcher,
                                  const std::atomic<bool>& stop) {
  // The ring was set up by the thread that mounts; from here on it is ours.
  // (By its number: liburing 2.3 does not export io_uring_enable_rings.)
  if (int error = -io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                     IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
      error > 0) {
    reason_ = Failure(error, "cannot enable io_uring");
  } else {
    ArmWake();
  }
  while (!reason_.has_value()) {
    SendFinished();
    if (stop.load(std::memory_order_acquire)) {
      reason_ = {StopReason::Kind::kStopped, ""};
      break;
    }
    const bool armed_before = reading_;
    if (!reading_) {
      if (LookForRequest(dispatcher, stop)) continue;
      ArmRead();
    }
    place_.attendance->Waits(place_.worker, reading_);
    if (reading_) place_.relay->Sleep(place_.worker);
    // While we were awake nobody nudged us, and a poll from before may have
    // missed a request: a new one will not.
    if (armed_before && WakeRelay::HasRequest(device_->fd())) CancelRead();
    const bool go_on = SubmitAndWait();
    place_.relay->WakeUp(place_.worker);
    if (!go_on) break;
    HandleCompletions(dispatcher);
  }
  StopReason reason = *reason_;
  Drain(dispatcher);
  return reason;
}

// Sends what was finished and takes back what waits, so that the kernel neither
// writes to the slots nor holds the device once the worker is gone. All of it
// ends at once: replies wait for nobody, and the rest can be cancelled.
void DevUringTransport::Drain(Dispatcher& dispatcher) {
  SendFinished();
  if (reading_) CancelRead();
  if (wake_armed_) Cancel(Pack(Tag::kWake, 0));
  draining_ = true;
  while ((reading_ || wake_armed_ || sending_ != 0) && SubmitAndWait()) {
    HandleCompletions(dispatcher);
    // A request that was read at the last moment has been handled as well.
    SendFinished();
  }
}

// Whichever of the two is under way. The READ that a POLL has let go may wait
// too: if another worker was faster, io_uring may poll for it on its own.
void DevUringTransport::CancelRead() {
  Cancel(Pack(Tag::kPoll, reading_slot_));
  Cancel(Pack(Tag::kRead, reading_slot_));
}

void DevUringTransport::Cancel(uint64_t data) {
  io_uring_sqe* sqe = Sqe();
  io_uring_prep_cancel64(sqe, data, 0);
  io_uring_sqe_set_data64(sqe, Pack(Tag::kCancel, 0));
}

void DevUringTransport::HandleCompletions(Dispatcher& dispatcher) {
  for (io_uring_cqe* cqe; io_uring_peek_cqe(&ring_, &cqe) == 0;) {
    // By copy: handling one may prepare submissions, and the place in the ring
    // is free for the kernel from here on.
    io_uring_cqe copy = *cqe;
    io_uring_cqe_seen(&ring_, cqe);
    Handle(copy, dispatcher);
  }
}

bool DevUringTransport::SubmitAndWait() {
  // Replies complete at once, in the submission; what is waited for is one
  // completion more than those. Where nothing is read, a reply that has gone
  // out is what frees the slot for it; and at the end any completion counts.
  const bool any = draining_ || !reading_;
  int result = io_uring_submit_and_wait(&ring_, any ? 1 : sending_ + 1);
  if (result >= 0 || result == -EINTR || result == -EAGAIN ||
      result == -EBUSY) {
    return true;
  }
  reason_ = Failure(-result, "cannot wait for requests");
  return false;
}

io_uring_sqe* DevUringTransport::Sqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

void DevUringTransport::ArmWake() {
  io_uring_sqe* sqe = Sqe();
  io_uring_prep_read(sqe, pool_->wake_fd(), &wake_count_, sizeof wake_count_,
                     0);
  io_uring_sqe_set_data64(sqe, Pack(Tag::kWake, 0));
  wake_armed_ = true;
}

// Without a slot nothing is read, and the connection's end would not be seen.
// Where there is a reserve, it sees that.
void DevUringTransport::ArmEnd() {
  if (end_armed_ ||
      place_.attendance->reserve() != Attendance::Reserve::kNone) {
    return;
  }
  io_uring_sqe* sqe = Sqe();
  io_uring_prep_poll_add(sqe, device_->fd(), 0);  // errors come unasked
  io_uring_sqe_set_data64(sqe, Pack(Tag::kEnd, 0));
  end_armed_ = true;
}

void DevUringTransport::OnEnd(int result) {
  end_armed_ = false;
  if (result < 0 || draining_) return;
  // What has ended it; nothing else can be read now.
  std::vector<std::byte> buffer(abi::FUSE_MIN_READ_BUFFER);
  const ssize_t error = device_->ReadNow(buffer);
  if (error >= 0) return;
  if (auto end =
          read_errors_.Judge(static_cast<int>(-error), pool_->connection())) {
    reason_ = std::move(end);
  }
}

void DevUringTransport::ArmRead() {
  Slot* slot = pool_->TakeFree();
  if (slot == nullptr) return ArmEnd();  // until a reply frees one
  reading_ = true;
  // Both must go down in one submission, or the link is cut.
  if (io_uring_sq_space_left(&ring_) < 2) io_uring_submit(&ring_);
  io_uring_sqe* poll = Sqe();
  // Exclusive: a request wakes one worker, not all.
  io_uring_prep_poll_add(poll, device_->fd(), POLLIN);
  poll->poll32_events |= EPOLLEXCLUSIVE;
  poll->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  reading_slot_ = slot->index;
  io_uring_sqe_set_data64(poll, Pack(Tag::kPoll, slot->index));
  io_uring_sqe* read = Sqe();
  io_uring_prep_read(read, device_->fd(), slot->request_buffer.data(),
                     static_cast<unsigned>(slot->request_buffer.size()), 0);
  io_uring_sqe_set_data64(read, Pack(Tag::kRead, slot->index));
}

void DevUringTransport::Handle(const io_uring_cqe& cqe,
                               Dispatcher& dispatcher) {
  Slot* slot = &pool_->slot(SlotOf(cqe.user_data));
  switch (TagOf(cqe.user_data)) {
    case Tag::kPoll:
      // Silent when it succeeds. Where it fails, it is the READ behind it that
      // is dropped silently: a link with IOSQE_CQE_SKIP_SUCCESS posts only the
      // completion that broke it.
    case Tag::kRead:
      reading_ = false;
      OnRead(slot, cqe.res, dispatcher);
      return;
    case Tag::kReply:
      return OnReply(slot, cqe.res);
    case Tag::kAfterReply:
      return;
    case Tag::kEnd:
      return OnEnd(cqe.res);
    case Tag::kWake:
      // Finished replies and a stop are looked at on the way round. A nudge
      // means that there is a request of which our poll does not know: a new
      // poll will.
      wake_armed_ = false;
      if (draining_) return;
      ArmWake();
      if (pool_->TakeNudge() && reading_) CancelRead();
      return;
    case Tag::kCancel:
      return;
  }
}

// Instead of sleeping, for a moment. True: there is something to be done.
bool DevUringTransport::LookForRequest(Dispatcher& dispatcher,
                                       const std::atomic<bool>& stop) {
  if (!busy_poll_.ShouldLook()) return false;
  Slot* slot = pool_->TakeFree();
  if (slot == nullptr) return false;
  if (sending_ != 0) io_uring_submit_and_get_events(&ring_);
  place_.attendance->Waits(place_.worker, true);
  ssize_t size = -EAGAIN;
  const bool found = busy_poll_.Spin([&] {
    size = device_->ReadNow(slot->request_buffer);
    return size != -EAGAIN || pool_->has_finished() ||
           stop.load(std::memory_order_relaxed);
  });
  // The replies that have gone out meanwhile free their slots.
  HandleCompletions(dispatcher);
  OnRead(slot, size, dispatcher);
  return found;
}

// Whether a request was read.
bool DevUringTransport::OnRead(Slot* slot, ssize_t result,
                               Dispatcher& dispatcher) {
  if (result <= 0) {
    pool_->Free(slot);
    if (auto end = read_errors_.Judge(static_cast<int>(-result),
                                      pool_->connection())) {
      reason_ = std::move(end);
    }
    return false;
  }
  read_errors_.Clear();
  busy_poll_.Served();
  place_.attendance->Busy(place_.worker);
  place_.relay->PassOn(device_->fd());
  const proto::Bytes message =
      slot->request_buffer.first(static_cast<size_t>(result));
  NoteRequest(pool_->connection(), message);
  if (dispatcher.Dispatch(slot, message) == Dispatcher::Outcome::kDone) {
    pool_->Free(slot);
  }
  return true;
}

void DevUringTransport::SendFinished() {
  for (Slot* slot = pool_->TakeFinished(); slot != nullptr;) {
    Slot* next = slot->next;
    if (slot->moved) {
      pool_->Free(slot);
    } else {
      NoteReply(slot);
      Send(slot);
    }
    slot = next;
  }
}

// The wait that follows counts on one completion for each reply, and goes on
// sleeping once it has them: a reply that the kernel refuses, and that has to
// be answered again, must give one more. So behind each stands a NOP that is
// silent unless the reply has failed, which cancels it.
void DevUringTransport::Send(Slot* slot) {
  if (io_uring_sq_space_left(&ring_) < 2) io_uring_submit(&ring_);
  io_uring_sqe* sqe = Sqe();
  io_uring_prep_writev(sqe, device_->fd(), slot->parts, PartsOf(*slot), 0);
  sqe->flags |= IOSQE_IO_LINK;
  io_uring_sqe_set_data64(sqe, Pack(Tag::kReply, slot->index));
  io_uring_sqe* nop = Sqe();
  io_uring_prep_nop(nop);
  nop->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(nop, Pack(Tag::kAfterReply, slot->index));
  ++sending_;
}

void DevUringTransport::OnReply(Slot* slot, int result) {
  --sending_;
  if (result < 0 && AnswerRefusal(slot, -result)) return Send(slot);
  pool_->Free(slot);
}

}  // namespace barefuse
