#include "tests/compiler/frontend/onnx/model_mutator.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int64_t kNumbers[] = {0,
                                1,
                                2,
                                3,
                                4,
                                5,
                                7,
                                8,
                                13,
                                16,
                                63,
                                64,
                                100,
                                255,
                                256,
                                1000,
                                4096,
                                65535,
                                65536,
                                1 << 20,
                                (1 << 24) + 1,
                                1 << 30,
                                -1,
                                -2,
                                -3,
                                -7,
                                -100,
                                -65536,
                                INT32_MIN,
                                INT32_MAX,
                                int64_t{1} << 31,
                                int64_t{1} << 32,
                                (int64_t{1} << 33) + 1,
                                int64_t{1} << 40,
                                int64_t{1} << 62,
                                INT64_MIN,
                                INT64_MIN + 1,
                                INT64_MAX - 1,
                                INT64_MAX};

constexpr double kReals[] = {0,
                             -0.0,
                             1,
                             -1,
                             0.5,
                             1e-45,
                             3e38,
                             -3e38,
                             1e300,
                             2147483648.0,
                             std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()};

constexpr const char* kTexts[] = {"",
                                  "x",
                                  "SAME_UPPER",
                                  "SAME_LOWER",
                                  "VALID",
                                  "NOTSET",
                                  "linear",
                                  "nearest",
                                  "cubic",
                                  "reflect",
                                  "edge",
                                  "wrap",
                                  "align_corners",
                                  "asymmetric",
                                  "half_pixel",
                                  "/etc/passwd",
                                  "../../etc/passwd",
                                  "weights.bin",
                                  "a'b\"c\n\x01",
                                  "\xff\xfe\x80",
                                  "ai.onnx.ml",
                                  "%s%n%x"};

using Bytes = std::string;

// Damages the file itself: bits, a cut, a piece twice, noise.
void Damage(Bytes& bytes, Dice& dice) {
  const int size = static_cast<int>(bytes.size());
  if (size == 0) return;
  const size_t at = static_cast<size_t>(dice.Below(size));
  const size_t count = static_cast<size_t>(1 + dice.Below(32));
  switch (dice.Below(5)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice.Below(8)));
      break;
    case 1:
      bytes.resize(at);
      break;
    case 2:
      bytes.insert(at, bytes.substr(static_cast<size_t>(dice.Below(size)), count));
      break;
    case 3:
      bytes.erase(at, count);
      break;
    default:
      for (size_t i = at; i < bytes.size() && i < at + count; ++i)
        bytes[i] = static_cast<char>(dice.Below(256));
  }
}

}  // namespace

int64_t Dice::Number(int64_t old) {
  switch (Below(6)) {
    case 0:
      return static_cast<int64_t>(static_cast<uint64_t>(old) + 1);
    case 1:
      return static_cast<int64_t>(static_cast<uint64_t>(old) - 1);
    case 2:
      return static_cast<int64_t>(0 - static_cast<uint64_t>(old));
    default:
      return Pick(kNumbers);
  }
}

double Dice::Real(double old) {
  switch (Below(4)) {
    case 0:
      return -old;
    case 1:
      return old * static_cast<double>(1 + Below(1000));
    default:
      return Pick(kReals);
  }
}

std::string Dice::Text(const std::string& old) {
  switch (Below(8)) {
    case 0:
      return old + old;
    case 1:
      return std::string(static_cast<size_t>(1) << Below(17), 'n');
    default:
      return Pick(kTexts);
  }
}

std::string MutateModel(onnx::ModelProto model, Dice& dice, std::string* deeds) {
  static const std::vector<Mutation> table = [] {
    std::vector<Mutation> rows = NodeMutations();
    for (const Mutation& row : TensorMutations()) rows.push_back(row);
    return rows;
  }();
  deeds->clear();
  // Mostly one: with several the first fault hides the others.
  const int wanted = dice.OneIn(2) ? 1 : 1 + dice.Below(4);
  for (int done = 0, tries = 0; done < wanted && tries < 50; ++tries) {
    const Mutation& mutation = dice.Pick(table);
    if (!mutation.apply(model, dice)) continue;
    ++done;
    absl::StrAppend(deeds, deeds->empty() ? "" : ", ", mutation.name);
  }
  Bytes bytes = model.SerializeAsString();
  if (dice.OneIn(12)) {
    for (int i = 1 + dice.Below(4); i > 0; --i) Damage(bytes, dice);
    absl::StrAppend(deeds, deeds->empty() ? "" : ", ", "bytes");
  }
  return bytes;
}

}  // namespace hone
