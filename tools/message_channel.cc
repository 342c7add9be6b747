#include "tools/message_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "server/errno_status.h"

namespace barefuse {

absl::StatusOr<std::pair<MessageChannel, MessageChannel>>
MessageChannel::MakePair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus(errno, "socketpair");
  }
  return std::pair(MessageChannel(UniqueFd(ends[0])),
                   MessageChannel(UniqueFd(ends[1])));
}

void MessageChannel::Send(char kind, std::string_view text,
                          const std::vector<int>& fds) {
  text = text.substr(0, kMostText);
  iovec parts[] = {{&kind, 1}, {const_cast<char*>(text.data()), text.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(kMostFds * sizeof(int))] = {};
  if (const size_t size = std::min(fds.size(), kMostFds) * sizeof(int);
      size != 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(rights), fds.data(), size);
  }
  while (sendmsg(fd_.get(), &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

MessageChannel::Message MessageChannel::Receive() {
  Message result;
  result.text.resize(kMostText);
  iovec parts[] = {{&result.kind, 1}, {result.text.data(), kMostText}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(kMostFds * sizeof(int))];
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size;
  do {
    size = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 1) return Message{};
  result.text.resize(static_cast<size_t>(size - 1));
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    int fds[kMostFds];
    const size_t bytes = rights->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(rights), bytes);
    for (size_t i = 0; i < bytes / sizeof(int); ++i) {
      result.fds.emplace_back(fds[i]);
    }
  }
  return result;
}

}  // namespace barefuse
