#include <openssl/crypto.h>

// OpenSSL frees the error states of all threads when a process exits, and so do, at the same moment, the threads
// of gRPC 1.51 that outlive their channels and then end by themselves: "double free or corruption", once in
// 3,000 calls of `hone`. The first call into the library decides whether it cleans up at exit; the kernel does
// it as well. Linked as an object into every program that links gRPC, so that no main() can forget it.
namespace {

[[maybe_unused]] const int kNoCleanUpAtExit = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);

}  // namespace
