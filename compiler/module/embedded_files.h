#pragma once

#include <string_view>

#include "absl/status/statusor.h"

// Files that Hone carries inside itself: the precompiled runtime and what every module's folder contains.
namespace hone {

// The relocatable object of compiler/runtime for an architecture (first component of a triple). InvalidArgument if
// Hone was built without it.
absl::StatusOr<std::string_view> RuntimeObject(std::string_view triple);

std::string_view HoneHeader();         // hone.h
std::string_view DlpackHeader();       // dlpack.h
std::string_view SampleTemplate();     // sample.c; @WORDS@ to be replaced, as in the next three
std::string_view MakefileTemplate();
std::string_view ReadmeTemplate();
std::string_view PythonLoader();       // hone_module.py

}  // namespace hone
