#pragma once

namespace hone {

// Metadata of a call: an id under which all logs have it, of the caller's choice or else of the server's. The
// trailing metadata tells it to the caller.
inline constexpr char kRequestIdKey[] = "x-request-id";

}  // namespace hone
