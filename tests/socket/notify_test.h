// A session whose filesystem tells the kernel what it has not asked for.
#ifndef BAREFUSE_TESTS_SOCKET_NOTIFY_TEST_H_
#define BAREFUSE_TESTS_SOCKET_NOTIFY_TEST_H_

#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/notifications.h"
#include "tests/socket/socket_test.h"

namespace barefuse::testing {

class NotifyTest : public SocketTest {
 protected:
  void StartWith(uint32_t minor = 45, uint64_t flags = kAll,
                 SessionOptions options = {}) {
    Start(options, minor, flags);
    if (session_ == nullptr) return;
    notifier_ = session_->connection().notifier();
  }

  // The next notification, which must be the bytes that `T` is made of.
  template <class T>
  T Next() {
    last_ = peer_.AwaitNotification();
    bytes_ = last_.Bytes();
    proto::AnyNotification any;
    const proto::DecodeError error =
        proto::DecodeNotification(bytes_, session_->terms().dialect, &any);
    EXPECT_TRUE(error.ok()) << proto::FaultText(error.fault);
    EXPECT_EQ(last_.header.error,
              static_cast<int32_t>(proto::NotificationCode<T>));
    const T* notification = std::get_if<T>(&any);
    if (notification == nullptr) {
      ADD_FAILURE() << "another notification";
      return {};
    }
    return *notification;
  }

  // Answers a RETRIEVE.
  void AnswerRetrieve(uint64_t unique, uint64_t offset, std::string_view data) {
    abi::fuse_notify_retrieve_in in{};
    in.offset = offset;
    in.size = static_cast<uint32_t>(data.size());
    MessageBuilder message = peer_.Message(abi::FUSE_NOTIFY_REPLY, 2);
    message.header().unique = unique;
    Send(message.Struct(in).Raw(data));
  }

  std::shared_ptr<Notifier> notifier_;
  Received last_;
  std::vector<std::byte> bytes_;  // of last_; views are into these
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_SOCKET_NOTIFY_TEST_H_
