#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <utility>

namespace hone {

// Values by key, at most `limit` bytes of them together: the least recently used go first, the newest always
// stays. Pointers hold until their value goes. Not thread-safe.
template <typename Value>
class ByteLru {
 public:
  explicit ByteLru(uint64_t limit) : limit_(limit) {}

  // Null if there is none; else it is now the most recently used.
  const Value* Find(const std::string& key) {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->key != key) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return &entry->value;
    }
    return nullptr;
  }

  const Value* Insert(const std::string& key, Value value, uint64_t bytes) {
    entries_.push_front({key, std::move(value), bytes});
    total_ += bytes;
    while (entries_.size() > 1 && total_ > limit_) {
      total_ -= entries_.back().bytes;
      entries_.pop_back();
    }
    return &entries_.front().value;
  }

 private:
  struct Entry {
    std::string key;
    Value value;
    uint64_t bytes;
  };
  const uint64_t limit_;
  uint64_t total_ = 0;
  std::list<Entry> entries_;  // most recently used first
};

}  // namespace hone
