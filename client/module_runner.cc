#include "client/module_runner.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "client/error.h"
#include "compiler/runtime/input_generator.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxTensorBytes = int64_t{1} << 36;

DLDataType DlType(DType dtype) {
  const uint8_t bits = static_cast<uint8_t>(DTypeBytes(dtype) * 8);
  switch (dtype) {
    case DType::kF32:
    case DType::kF64:
    case DType::kF16:
      return {kDLFloat, bits, 1};
    case DType::kBF16:
      return {kDLBfloat, bits, 1};
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
      return {kDLInt, bits, 1};
    case DType::kU8:
    case DType::kU16:
    case DType::kU32:
    case DType::kU64:
      return {kDLUInt, bits, 1};
    case DType::kBool:
      return {kDLBool, bits, 1};
  }
  return {};
}

void StoreReal(DType dtype, double value, char* to) {
  if (dtype == DType::kF64) {
    std::memcpy(to, &value, sizeof(value));
  } else if (dtype == DType::kF32) {
    const float narrow = static_cast<float>(value);
    std::memcpy(to, &narrow, sizeof(narrow));
  } else {  // 16 bits: the upper half of an f32 is a bf16; for f16 its sign with 0.5
    const float narrow = static_cast<float>(value);
    uint32_t word;
    std::memcpy(&word, &narrow, sizeof(word));
    const uint16_t half = dtype == DType::kBF16 ? word >> 16 : (word >> 31 << 15 | 0x3800);
    std::memcpy(to, &half, sizeof(half));
  }
}

// Dimensions of one described tensor: numbers, or the binding's where it names the input.
absl::StatusOr<std::vector<int64_t>> Dims(const Json& tensor, const std::vector<v1::ShapeBinding>& shapes) {
  const std::string name = JsonText(tensor, "name");
  for (const v1::ShapeBinding& binding : shapes) {
    if (binding.input() == name) return std::vector<int64_t>(binding.dims().begin(), binding.dims().end());
  }
  std::vector<int64_t> dims;
  for (const Json& dim : JsonMember(tensor, "shape")) {
    if (!dim.is_number_integer()) {
      return WithRemedy(
          absl::FailedPreconditionError(absl::StrCat("the module leaves the shape of '", name,
                                                     "' open: ", ShapeText(JsonMember(tensor, "shape")))),
          absl::StrCat("fix it with --shape ", name, "=..."));
    }
    dims.push_back(dim.get<int64_t>());
  }
  return dims;
}

absl::StatusOr<ModuleTensor> MakeTensor(const Json& described, std::vector<int64_t> dims) {
  ModuleTensor tensor{JsonText(described, "name"), {}, {}};
  auto dtype = ParseDType(JsonText(described, "dtype"));
  if (!dtype)
    return absl::DataLossError(absl::StrCat("describe() gives '", tensor.name, "' an unknown dtype"));
  tensor.spec = {*dtype, std::move(dims)};
  const int64_t bytes = tensor.spec.Bytes();
  if (bytes < 0 || bytes > kMaxTensorBytes)
    return absl::ResourceExhaustedError(absl::StrCat("'", tensor.name, "' is too large"));
  tensor.bytes.Resize(bytes);
  return tensor;
}

}  // namespace

absl::StatusOr<fs::path> FindModuleLibrary(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return path;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.path().extension() == ".so") found.push_back(entry.path());
  }
  if (found.empty()) {
    return WithRemedy(absl::NotFoundError(absl::StrCat("there is no module (*.so) in ", path.string())),
                      "make one with: hone optimize MODEL.onnx -o " + path.string());
  }
  if (found.size() > 1) {
    return WithRemedy(
        absl::FailedPreconditionError(absl::StrCat(path.string(), " holds ", found.size(), " libraries")),
        "name the .so itself");
  }
  return found.front();
}

absl::StatusOr<std::unique_ptr<LoadedModule>> LoadedModule::Open(
    const fs::path& path, uint32_t threads, const std::vector<v1::ShapeBinding>& shapes,
    const StepObserver& observer) {
  auto library = FindModuleLibrary(path);
  if (!library.ok()) return library.status();
  std::unique_ptr<LoadedModule> module(new LoadedModule());
  module->library_ = dlopen(fs::absolute(*library).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module->library_ == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("cannot load the module: ", dlerror()));
  }
  auto entry = reinterpret_cast<const HoneModuleV1* (*)()>(dlsym(module->library_, "hone_module"));
  if (entry == nullptr) return absl::InvalidArgumentError(library->string() + " is not a Hone module");
  module->table_ = entry();
  if (module->table_ == nullptr || module->table_->abi_version != HONE_MODULE_ABI) {
    return WithRemedy(
        absl::FailedPreconditionError(library->string() + " has another ABI version than this hone"),
        "compile the module again");
  }
  auto description = ParseJson(module->table_->describe(), "the module's description");
  if (!description.ok()) return description.status();
  module->description_ = *std::move(description);
  const double tuned_for = JsonNumber(module->description_, "threads", 1);
  module->threads_ = threads != 0 ? threads : static_cast<uint32_t>(std::max(1.0, tuned_for));
  absl::Status status = module->OpenSession(library->parent_path(), observer);
  if (status.ok()) status = module->MakeTensors(shapes);
  if (!status.ok()) return WithContext(status, library->filename().string());
  return module;
}

LoadedModule::~LoadedModule() {
  if (session_ != nullptr) table_->close(session_);
  if (library_ != nullptr) dlclose(library_);
}

absl::Status LoadedModule::Failed(int code, const char* what) const {
  const char* text = session_ != nullptr ? table_->error(session_) : "";
  const std::string message =
      absl::StrCat(what, " failed with code ", code, text != nullptr && *text ? ": " : "", text ? text : "");
  if (code == HONE_UNSUPPORTED) {
    return WithRemedy(absl::FailedPreconditionError(message),
                      "run it on the device it was compiled for, or optimise with another --target");
  }
  return code <= HONE_LAYOUT ? absl::InvalidArgumentError(message) : absl::InternalError(message);
}

absl::Status LoadedModule::OpenSession(const fs::path& folder, const StepObserver& observer) {
  char error[512] = {};
  HoneOptions options = {};
  options.struct_size = sizeof(options);
  options.threads = threads_;
  options.error = error;
  options.error_size = sizeof(error);
  options.observe = observer.observe;
  options.observer = observer.observer;
  const std::string sidecar_name = JsonText(JsonMember(description_, "data"), "file");
  const std::string sidecar = (folder / sidecar_name).string();
  if (!sidecar_name.empty()) options.data_path = sidecar.c_str();
  const int code = table_->open(&options, &session_);
  if (code == HONE_OK) return absl::OkStatus();
  session_ = nullptr;
  return WithContext(Failed(code, "open"), error);
}

absl::Status LoadedModule::MakeTensors(const std::vector<v1::ShapeBinding>& shapes) {
  for (const Json& described : JsonMember(description_, "inputs")) {
    auto dims = Dims(described, shapes);
    if (!dims.ok()) return dims.status();
    auto tensor = MakeTensor(described, *dims);
    if (!tensor.ok()) return tensor.status();
    inputs_.push_back(*std::move(tensor));
  }
  Bind(inputs_, bound_inputs_);
  for (const Json& described : JsonMember(description_, "outputs")) {
    auto tensor = MakeTensor(described, std::vector<int64_t>(JsonMember(described, "shape").size(), 0));
    if (!tensor.ok()) return tensor.status();
    outputs_.push_back(*std::move(tensor));
  }
  return SizeOutputs();
}

absl::Status LoadedModule::SizeOutputs() {
  Bind(outputs_, bound_outputs_);
  const int code = table_->output_bounds(session_, bound_inputs_.data(), static_cast<int32_t>(inputs_.size()),
                                         bound_outputs_.data(), static_cast<int32_t>(outputs_.size()));
  if (code != HONE_OK) return Failed(code, "output_bounds");
  for (ModuleTensor& output : outputs_) {
    const int64_t bytes = output.spec.Bytes();
    if (bytes < 0 || bytes > kMaxTensorBytes) return absl::ResourceExhaustedError("an output is too large");
    output.bytes.Resize(bytes);
  }
  Bind(outputs_, bound_outputs_);
  return absl::OkStatus();
}

void LoadedModule::Bind(std::vector<ModuleTensor>& tensors, std::vector<DLTensor>& bound) {
  bound.clear();
  for (ModuleTensor& tensor : tensors) {
    DLTensor& view = bound.emplace_back();
    view = {};
    view.data = tensor.bytes.data();
    view.device = {kDLCPU, 0};
    view.ndim = static_cast<int32_t>(tensor.spec.dims.size());
    view.dtype = DlType(tensor.spec.dtype);
    view.shape = tensor.spec.dims.data();
  }
}

void LoadedModule::FillInputs(uint64_t seed) {
  for (size_t t = 0; t < inputs_.size(); ++t) {
    ModuleTensor& tensor = inputs_[t];
    const DType dtype = tensor.spec.dtype;
    const int64_t size = DTypeBytes(dtype);
    for (int64_t i = 0; i < tensor.spec.Elements(); ++i) {
      char* to = tensor.bytes.data() + i * size;
      if (IsFloat(dtype)) {
        StoreReal(dtype, HoneGenerateReal(seed, t, i, -1, 1), to);
      } else {
        const int64_t value = HoneGenerateInteger(seed, t, i, 0, 2);
        std::memcpy(to, &value, size);  // little-endian, as all hosts that run `hone` are
      }
    }
  }
}

absl::Status LoadedModule::Run() {
  const int code = table_->run(session_, bound_inputs_.data(), static_cast<int32_t>(inputs_.size()),
                               bound_outputs_.data(), static_cast<int32_t>(outputs_.size()));
  return code == HONE_OK ? absl::OkStatus() : Failed(code, "run");
}

}  // namespace hone
