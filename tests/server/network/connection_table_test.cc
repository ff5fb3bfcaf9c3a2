#include "server/network/connection_table.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

constexpr char kHello[] = "\x16\x03\x01\x00\x04wxyz";  // a TLS record of four bytes
constexpr size_t kHelloBytes = sizeof(kHello) - 1;

class ConnectionTableTest : public testing::Test {
 protected:
  ConnectionTableTest() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(name);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
    port_ = name.sin_port;
  }

  // A caller's end; ours is in the table.
  FileDescriptor Call(ConnectionTable& table) {
    FileDescriptor caller(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in name{.sin_family = AF_INET, .sin_port = port_, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    EXPECT_EQ(connect(caller.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
    EXPECT_TRUE(
        table.Add(FileDescriptor(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)), absl::Now())
            .ok());
    return caller;
  }
  static void Say(const FileDescriptor& caller, std::string_view text) {
    EXPECT_EQ(send(caller.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    WaitForArrival(caller);
  }
  // Returns when the other end's kernel has acknowledged all that was sent, an end of the stream too.
  static void WaitForArrival(const FileDescriptor& caller) {
    const absl::Time limit = absl::Now() + absl::Seconds(5);
    int under_way = 1;
    while (under_way > 0 && absl::Now() < limit) ASSERT_EQ(ioctl(caller.get(), SIOCOUTQ, &under_way), 0);
    EXPECT_EQ(under_way, 0);
  }
  static bool IsEnded(const FileDescriptor& caller) {
    char byte;
    return recv(caller.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  FileDescriptor listener_;
  in_port_t port_ = 0;
};

TEST_F(ConnectionTableTest, WhoeverSpeaksIsHandedOverOnce) {
  ConnectionTable table({});
  ASSERT_TRUE(table.Open().ok());
  const FileDescriptor silent = Call(table), caller = Call(table);
  EXPECT_TRUE(table.TakeSpoken().empty());
  Say(caller, "G");
  EXPECT_EQ(table.TakeSpoken().size(), 1u);
  Say(caller, "ET");
  EXPECT_TRUE(table.TakeSpoken().empty());
  EXPECT_FALSE(IsEnded(silent));
}

TEST_F(ConnectionTableTest, APartOfATlsRecordIsNothingSaid) {
  ConnectionTable table({.tls = true});
  ASSERT_TRUE(table.Open().ok());
  const FileDescriptor caller = Call(table);
  for (const size_t at : {size_t{0}, size_t{1}, size_t{4}, size_t{5}, kHelloBytes - 1}) {
    EXPECT_TRUE(table.TakeSpoken().empty()) << at;
    Say(caller, std::string_view(kHello, kHelloBytes)
                    .substr(at, at == 1   ? 3
                                : at == 5 ? kHelloBytes - 6
                                          : 1));
  }
  const std::vector<FileDescriptor> spoken = table.TakeSpoken();
  ASSERT_EQ(spoken.size(), 1u);
  char bytes[32];
  EXPECT_EQ(recv(spoken[0].get(), bytes, sizeof(bytes), MSG_DONTWAIT), static_cast<ssize_t>(kHelloBytes));
}

TEST_F(ConnectionTableTest, OthersThanTlsAndThoseWhoLeaveInTheMiddleAreEnded) {
  ConnectionTable table({.tls = true});
  ASSERT_TRUE(table.Open().ok());
  const FileDescriptor plain = Call(table), endless = Call(table), leaving = Call(table);
  Say(plain, "GET / HTTP/1.1\r\n");
  Say(endless, std::string_view("\x16\x03\x01\xff\xff", 5));
  Say(leaving, std::string_view(kHello, 7));
  shutdown(leaving.get(), SHUT_WR);
  WaitForArrival(leaving);
  EXPECT_TRUE(table.TakeSpoken().empty());
  for (const FileDescriptor* caller : {&plain, &endless, &leaving}) EXPECT_TRUE(IsEnded(*caller));
}

TEST_F(ConnectionTableTest, AFullTableEndsTheOldestStrangerThatHadItsTime) {
  ConnectionTable table({.count = 2, .tls = true});
  ASSERT_TRUE(table.Open().ok());
  const FileDescriptor spoken = Call(table), dripping = Call(table);
  Say(spoken, std::string_view(kHello, kHelloBytes));
  Say(dripping, std::string_view(kHello, 7));
  EXPECT_EQ(table.TakeSpoken().size(), 1u);
  const absl::Time now = absl::Now();
  EXPECT_GT(table.MakeRoom(now), absl::ZeroDuration());
  EXPECT_EQ(table.MakeRoom(now + ConnectionTable::kSilentGrace), absl::ZeroDuration());
  EXPECT_TRUE(IsEnded(dripping));
  EXPECT_FALSE(IsEnded(spoken));
}

TEST_F(ConnectionTableTest, PlacesAreVacatedOneByOne) {
  ConnectionTable table({.count = 2});
  ASSERT_TRUE(table.Open().ok());
  const FileDescriptor first = Call(table), second = Call(table);
  const absl::Time later = absl::Now() + ConnectionTable::kSilentGrace;
  EXPECT_EQ(table.MakeRoom(later), absl::ZeroDuration());
  const FileDescriptor third = Call(table);
  const absl::Duration wait = table.MakeRoom(later);
  EXPECT_GT(wait, absl::ZeroDuration());
  EXPECT_LE(wait, ConnectionTable::kSilentGrace / 2);
  EXPECT_FALSE(IsEnded(second));
  EXPECT_EQ(table.MakeRoom(later + wait), absl::ZeroDuration());
  EXPECT_TRUE(IsEnded(second));
  EXPECT_FALSE(IsEnded(third));
}

}  // namespace
}  // namespace hone
