#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/graph_passes/cut_graph.h"
#include "compiler/module/module.h"
#include "proto/values/dtype.h"

namespace hone::testing {

// A model cut by hand into two tasks that are written in C (tiny_tasks.c):
//   y = x + w;  out = 2 * reshape(y);  state = what the second task saw of its surroundings (TinyState)
// with x, w, y f32[2,3], out f32[6], state i32[8]. w is stored transposed ("ba").
struct TinyModel {
  CutGraph cut;
  std::vector<CompiledTask> tasks;
};
TinyModel MakeTinyModel();

// Of the tuned-for-nothing target x86-64-v2.
ModuleOptions TinyOptions(const std::string& name);
ModuleFiles BuildTiny(const ModuleOptions& options);

// The fields of `state`.
enum TinyState { kThreads, kBodies, kFloatControlRight, kAligned, kConstantOnPage, kStateFields = 8 };

// Runs a shell command; returns its output (both streams). The exit status goes to `status`.
std::string Shell(const std::string& command, int* status);
bool HasProgram(const std::string& name);

// A fresh directory with these files, removed at the end.
class Folder {
 public:
  explicit Folder(const ModuleFiles& files = {});
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();
  void Write(const std::string& name, const std::string& bytes) const;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace hone::testing
