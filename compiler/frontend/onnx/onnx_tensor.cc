#include "compiler/frontend/onnx/onnx_tensor.h"

#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using onnx::TensorProto;

struct TypeRow {
  int32_t onnx;
  const char* name;
  std::optional<DType> dtype;
};
constexpr TypeRow kTypes[] = {
    {1, "FLOAT", DType::kF32},
    {2, "UINT8", DType::kU8},
    {3, "INT8", DType::kI8},
    {4, "UINT16", DType::kU16},
    {5, "INT16", DType::kI16},
    {6, "INT32", DType::kI32},
    {7, "INT64", DType::kI64},
    {8, "STRING", std::nullopt},
    {9, "BOOL", DType::kBool},
    {10, "FLOAT16", DType::kF16},
    {11, "DOUBLE", DType::kF64},
    {12, "UINT32", DType::kU32},
    {13, "UINT64", DType::kU64},
    {14, "COMPLEX64", std::nullopt},
    {15, "COMPLEX128", std::nullopt},
    {16, "BFLOAT16", DType::kBF16},
    {17, "FLOAT8E4M3FN", std::nullopt},
    {18, "FLOAT8E4M3FNUZ", std::nullopt},
    {19, "FLOAT8E5M2", std::nullopt},
    {20, "FLOAT8E5M2FNUZ", std::nullopt},
    {21, "UINT4", std::nullopt},
    {22, "INT4", std::nullopt},
    {23, "FLOAT4E2M1", std::nullopt},
};

const TypeRow* FindType(int32_t data_type) {
  for (const TypeRow& row : kTypes) {
    if (row.onnx == data_type) return &row;
  }
  return nullptr;
}

absl::Status BadTensor(const TensorProto& tensor, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor.name(), "': ", what));
}

template <typename To, typename Field>
std::vector<uint8_t> BytesOf(const Field& field) {
  std::vector<uint8_t> bytes(sizeof(To) * static_cast<size_t>(field.size()));
  for (int i = 0; i < field.size(); ++i) {
    const To value = static_cast<To>(field[i]);
    std::memcpy(bytes.data() + sizeof(To) * static_cast<size_t>(i), &value, sizeof value);
  }
  return bytes;
}

// The values of a tensor that has no raw_data, from the field that its type uses.
std::vector<uint8_t> TypedBytes(const TensorProto& tensor, DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return BytesOf<float>(tensor.float_data());
    case DType::kF64:
      return BytesOf<double>(tensor.double_data());
    case DType::kF16:
    case DType::kBF16:
    case DType::kU16:
      return BytesOf<uint16_t>(tensor.int32_data());
    case DType::kI8:
      return BytesOf<int8_t>(tensor.int32_data());
    case DType::kU8:
      return BytesOf<uint8_t>(tensor.int32_data());
    case DType::kI16:
      return BytesOf<int16_t>(tensor.int32_data());
    case DType::kI32:
      return BytesOf<int32_t>(tensor.int32_data());
    case DType::kBool:
      return BytesOf<uint8_t>(tensor.int32_data());
    case DType::kI64:
      return BytesOf<int64_t>(tensor.int64_data());
    case DType::kU32:
      return BytesOf<uint32_t>(tensor.uint64_data());
    case DType::kU64:
      return BytesOf<uint64_t>(tensor.uint64_data());
  }
  return {};
}

// A manifest name: one path component. Names are looked up in the manifest, never on a disk; one that tries
// to be a path is refused all the same, so that the fault is told.
bool IsPathLike(const std::string& name) {
  return name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
         name.find('\\') != std::string::npos || name.find('\0') != std::string::npos ||
         (name.size() > 1 && name[1] == ':');
}

absl::StatusOr<ConstantRef> ExternalConstant(const TensorProto& tensor,
                                             std::shared_ptr<ConstantData> constant,
                                             const ModelFiles& files) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    uint64_t number = 0;
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset" || entry.key() == "length") {
      if (!absl::SimpleAtoi(entry.value(), &number))
        return BadTensor(tensor, "external data: bad " + entry.key());
      if (entry.key() == "offset") offset = number;
      if (entry.key() == "length") length = number;
    }
  }
  if (IsPathLike(location)) {
    return BadTensor(tensor, absl::StrCat("external data '", location.substr(0, 80),
                                          "' is a path; plain file names only"));
  }
  const auto file = files.files.find(location);
  if (file == files.files.end()) {
    return BadTensor(
        tensor, absl::StrCat("external data '", location.substr(0, 80), "' is not among the model's files"));
  }
  const std::string_view bytes = file->second.bytes;
  if (length && *length != constant->size) {
    return BadTensor(tensor,
                     absl::StrCat("external data has ", *length, " bytes, its shape needs ", constant->size));
  }
  if (offset > bytes.size() || constant->size > bytes.size() - offset) {
    return BadTensor(tensor, absl::StrCat("external data at ", offset, " of ", constant->size,
                                          " bytes lies outside '", location, "' of ", bytes.size()));
  }
  constant->owner = file->second.owner;
  constant->data = reinterpret_cast<const uint8_t*>(bytes.data()) + offset;
  return ConstantRef(std::move(constant));
}

}  // namespace

std::optional<DType> DTypeOfOnnx(int32_t data_type) {
  const TypeRow* row = FindType(data_type);
  return row == nullptr ? std::nullopt : row->dtype;
}

std::string OnnxTypeName(int32_t data_type) {
  const TypeRow* row = FindType(data_type);
  return row == nullptr ? absl::StrCat("dtype ", data_type) : row->name;
}

absl::StatusOr<ConstantRef> ConstantOfTensor(const TensorProto& tensor,
                                             const std::shared_ptr<const void>& owner,
                                             const ModelFiles& files) {
  const std::optional<DType> dtype = DTypeOfOnnx(tensor.data_type());
  if (!dtype) {
    if (FindType(tensor.data_type()) == nullptr) {
      return BadTensor(tensor, absl::StrCat("unknown element type ", tensor.data_type()));
    }
    return absl::UnimplementedError(
        absl::StrCat("tensor '", tensor.name(), "' of ", OnnxTypeName(tensor.data_type())));
  }
  if (tensor.dims_size() > kMaxRank) return BadTensor(tensor, absl::StrCat("rank ", tensor.dims_size()));
  auto constant = std::make_shared<ConstantData>();
  constant->dtype = *dtype;
  int64_t elements = 1;
  for (const int64_t dim : tensor.dims()) {
    if (dim < 0 || dim > kMaxElements || (dim > 0 && elements > kMaxElements / dim)) {
      return BadTensor(tensor, absl::StrCat("impossible dimension ", dim));
    }
    elements *= dim;
    constant->dims.push_back(dim);
  }
  constant->size = static_cast<size_t>(elements * DTypeBytes(*dtype));
  if (tensor.has_segment())
    return BadTensor(tensor, "segments are not part of any supported version of the format");
  if (tensor.data_location() == TensorProto::EXTERNAL)
    return ExternalConstant(tensor, std::move(constant), files);
  if (tensor.has_raw_data()) {
    if (tensor.raw_data().size() != constant->size) {
      return BadTensor(
          tensor, absl::StrCat("has ", tensor.raw_data().size(), " bytes, its shape needs ", constant->size));
    }
    constant->owner = owner;
    constant->data = reinterpret_cast<const uint8_t*>(tensor.raw_data().data());
    return ConstantRef(std::move(constant));
  }
  std::vector<uint8_t> bytes = TypedBytes(tensor, *dtype);
  if (bytes.size() != constant->size) {
    return BadTensor(tensor, absl::StrCat("has ", bytes.size(), " bytes, its shape needs ", constant->size));
  }
  return MakeConstant(*dtype, constant->dims, std::move(bytes));
}

}  // namespace hone
