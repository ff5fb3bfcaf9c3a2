#pragma once

#include <string>

namespace hone {

// Bytes that read as an ONNX model with one initializer, whose data is in the named external file ("" =
// inside). Made of wire format by hand: the client has no ONNX schema either.
inline std::string TinyModel(const std::string& external_name) {
  auto field = [](int number, const std::string& bytes) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
  };
  std::string tensor = std::string("\x08\x04\x10\x01", 4) + field(8, "weights");  // dims 4, f32
  if (external_name.empty()) {
    tensor += field(9, std::string(16, '\0'));
  } else {
    tensor += field(13, field(1, "location") + field(2, external_name));
    tensor += std::string("\x70\x01", 2);  // data_location = EXTERNAL
  }
  return std::string("\x08\x08", 2) + field(7, field(2, "graph") + field(5, tensor));
}

}  // namespace hone
