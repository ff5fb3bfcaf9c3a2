#pragma once

#include <string>

namespace hone {

// A length-delimited field of protocol buffer wire format, below 128 bytes.
inline std::string WireField(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

// Bytes that read as an ONNX model with one initializer, whose data is in the named external file ("" =
// inside). Made of wire format by hand: the client has no ONNX schema either.
inline std::string TinyModel(const std::string& external_name) {
  std::string tensor = std::string("\x08\x04\x10\x01", 4) + WireField(8, "weights");  // dims 4, f32
  if (external_name.empty()) {
    tensor += WireField(9, std::string(16, '\0'));
  } else {
    tensor += WireField(13, WireField(1, "location") + WireField(2, external_name));
    tensor += std::string("\x70\x01", 2);  // data_location = EXTERNAL
  }
  return std::string("\x08\x08", 2) + WireField(7, WireField(2, "graph") + WireField(5, tensor));
}

// A model of one node, y = Relu(x), f32 [2, 3], opset 13.
inline std::string ReluModel() {
  auto value = [](const std::string& name) {
    const std::string dims =
        WireField(1, std::string("\x08\x02", 2)) + WireField(1, std::string("\x08\x03", 2));
    return WireField(1, name) + WireField(2, WireField(1, std::string("\x08\x01", 2) + WireField(2, dims)));
  };
  const std::string node = WireField(1, "x") + WireField(2, "y") + WireField(4, "Relu");
  const std::string graph =
      WireField(1, node) + WireField(2, "relu") + WireField(11, value("x")) + WireField(12, value("y"));
  return std::string("\x08\x08", 2) + WireField(7, graph) + WireField(8, std::string("\x10\x0d", 2));
}

}  // namespace hone
