#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/values/file_descriptor.h"

namespace hone {

// What strangers may take of a server: callers that have not proved yet who they are
// (ConnectionTable::Trust).
struct ConnectionLimits {
  size_t count = 4096;  // connections, of everybody
  absl::Duration grace =
      absl::Milliseconds(500);  // a stranger keeps a place for so long, though others want it
  uint64_t stranger_bytes = uint64_t{256} << 10;  // it may send; its connection is ended then
  bool tls = false;  // what a caller says first is a TLS record, of which a part is not yet something said
};

// The connections of a listener. They are handed over when they have said something: until then they cost a
// descriptor and nothing else. When another wants a place and there is none, the oldest stranger has to go
// that had its time: none if it has left, kSilentGrace if it has said nothing (a caller of TLS says its whole
// first record at once), otherwise `grace`. Places are vacated one by one: were they all at once, a flood
// would take them at once too, and whoever called in between would find the kernel's queue full, and try
// again a second later. A flood of connections so delays new callers, but locks none out.
//
// The table keeps a descriptor of each, by which it sees the connection's end and can bring it about.
class ConnectionTable {
 public:
  static constexpr absl::Duration kCheckPeriod = absl::Milliseconds(10);  // a connection carries MiB in it
  static constexpr absl::Duration kSilentGrace = absl::Milliseconds(50);  // callers speak at once

  explicit ConnectionTable(const ConnectionLimits& limits) : limits_(limits) {}

  absl::Status Open();
  // Zero: there is room now, if need be made by ending a connection. Otherwise how long to wait at most.
  absl::Duration MakeRoom(absl::Time now);
  absl::Status Add(FileDescriptor connection, absl::Time now);
  // Those that have spoken for the first time, and forgets those that have ended. There may be some when
  // `descriptor` is readable.
  std::vector<FileDescriptor> TakeSpoken();
  // Ends the connections of strangers that have sent too much; looks every kCheckPeriod, however often it is
  // called. False: no stranger is handed over.
  bool CheckStrangers(absl::Time now);
  // `peer` is the remote address as gRPC writes it, "ipv4:127.0.0.1:5000". Thread-safe.
  void Trust(const std::string& peer);
  int descriptor() const { return events_.get(); }

 private:
  struct Entry {
    FileDescriptor socket;
    std::string peer;
    absl::Time since;
    bool handed_over = false, trusted = false;
  };
  using Entries = std::map<uint64_t, Entry>;  // by number: the oldest first
  // mutex_ is held.
  void Forget(Entries::iterator entry);

  enum class Word { kNone, kPart, kWhole };  // none: nothing will come of it
  Word WordOf(int socket, bool left) const;  // left: it sends no more
  absl::Duration GraceOf(const Entry& entry) const;
  void End(Entries::iterator entry);

  const ConnectionLimits limits_;
  FileDescriptor events_;  // an epoll instance
  std::mutex mutex_;
  Entries entries_;
  std::map<std::string, uint64_t> by_peer_;
  uint64_t next_ = 0;
  absl::Time checked_ = absl::InfinitePast(), next_room_ = absl::InfinitePast();
  bool strangers_ = false;
};

}  // namespace hone
