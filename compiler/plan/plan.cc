#include "compiler/plan/plan.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/plan/memory_planner.h"

namespace hone {
namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

const char* KindName(BufferKind kind) {
  switch (kind) {
    case BufferKind::kInput: return "input";
    case BufferKind::kOutput: return "output";
    case BufferKind::kConstant: return "constant";
    case BufferKind::kArena: return "arena";
  }
  return "?";
}

std::string BufferList(const std::vector<int>& buffers) {
  return absl::StrCat("(", absl::StrJoin(buffers, ", ", [](std::string* out, int b) { absl::StrAppend(out, "%", b); }),
                      ")");
}

std::string PlanText(const Plan& plan, const std::string& indent);

std::string Nested(std::string head, const std::vector<Plan>& plans, const std::string& indent) {
  for (const Plan& plan : plans) absl::StrAppend(&head, "\n", PlanText(plan, indent + "    "));
  return head;
}

std::string StepText(const Step& step, const std::string& indent) {
  return std::visit(
      Overloaded{
          [](const CallTask& s) { return absl::StrCat("call task ", s.compiled_task, " ", BufferList(s.buffers)); },
          [](const CallRuntime& s) { return absl::StrCat("call ", s.function, " ", BufferList(s.buffers)); },
          [](const EvaluateShape& s) { return absl::StrCat("size ", s.slot, " = ", s.value.ToString()); },
          [](const Alias& s) {
            return absl::StrCat("%", s.buffer, " views %", s.of, s.offset > 0 ? absl::StrCat(" from byte ", s.offset) : "");
          },
          [&](const If& s) { return Nested(absl::StrCat("if %", s.condition), s.branches, indent); },
          [&](const Loop& s) { return Nested(absl::StrCat("loop %", s.trip_count), s.body, indent); },
          [&](const SelectBucket& s) {
            return Nested(absl::StrCat("select size ", s.slot, " <= [", absl::StrJoin(s.upper, ", "), "]"), s.buckets,
                          indent);
          },
      },
      step);
}

std::string PlanText(const Plan& plan, const std::string& indent) {
  std::string text = absl::StrCat(indent, "plan: arena ", plan.arena_bytes, " (scratch ", plan.scratch_bytes,
                                  "), constants ", plan.constant_bytes, " bytes\n");
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    const Buffer& b = plan.buffers[i];
    absl::StrAppend(&text, indent, "  %", i, " = ", KindName(b.kind), " ", b.offset, ", ", b.bytes, " bytes, live ",
                    b.first_step, "..", b.last_step, "  # ", b.name, "\n");
  }
  for (const PackedTensor& c : plan.constants) {
    absl::StrAppend(&text, indent, "  pack %", c.buffer, " as ", c.layout.ToString(),
                    c.transforms.empty() ? "" : " of ", TransformsText(c.transforms), "\n");
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    absl::StrAppend(&text, indent, "  ", i, ": ", StepText(plan.steps[i], indent), "\n");
  }
  return text;
}

// The buffers a step touches; nested plans have buffers of their own.
std::vector<int> BuffersOf(const Step& step) {
  return std::visit(Overloaded{
                        [](const CallTask& s) { return s.buffers; },
                        [](const CallRuntime& s) { return s.buffers; },
                        [](const EvaluateShape&) { return std::vector<int>(); },
                        [](const Alias& s) { return std::vector<int>{s.buffer, s.of}; },
                        [](const If& s) { return std::vector<int>{s.condition}; },
                        [](const Loop& s) { return std::vector<int>{s.trip_count}; },
                        [](const SelectBucket&) { return std::vector<int>(); },
                    },
                    step);
}

const std::vector<Plan>* NestedPlans(const Step& step) {
  if (const auto* s = std::get_if<If>(&step)) return &s->branches;
  if (const auto* s = std::get_if<Loop>(&step)) return &s->body;
  if (const auto* s = std::get_if<SelectBucket>(&step)) return &s->buckets;
  return nullptr;
}

absl::Status Broken(const std::string& what, const Plan& plan) {
  return absl::InternalError(absl::StrCat("broken plan: ", what, "\n", plan.ToString()));
}

absl::Status VerifySteps(const Plan& plan) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    for (const int buffer : BuffersOf(plan.steps[i])) {
      if (buffer < 0 || buffer >= static_cast<int>(plan.buffers.size())) {
        return Broken(absl::StrCat("step ", i, " names buffer ", buffer), plan);
      }
      const Buffer& b = plan.buffers[buffer];
      if (b.first_step > static_cast<int>(i) || b.last_step < static_cast<int>(i)) {
        return Broken(absl::StrCat("step ", i, " uses %", buffer, " outside its lifetime"), plan);
      }
    }
    if (const std::vector<Plan>* nested = NestedPlans(plan.steps[i])) {
      for (const Plan& inner : *nested) {
        if (absl::Status status = inner.Verify(); !status.ok()) return status;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status VerifyPlaces(const Plan& plan) {
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    const Buffer& b = plan.buffers[i];
    int64_t limit = 0;
    switch (b.kind) {
      case BufferKind::kInput:
      case BufferKind::kOutput: continue;
      case BufferKind::kConstant: limit = plan.constant_bytes; break;
      case BufferKind::kArena: limit = plan.arena_bytes - plan.scratch_bytes; break;
    }
    if (b.bytes < 0 || b.offset < 0 || b.offset % kBufferAlignment != 0 || b.offset + b.bytes > limit) {
      return Broken(absl::StrCat("%", i, " has no proper place"), plan);
    }
  }
  return absl::OkStatus();
}

// For each buffer the one whose memory it views (itself if none).
absl::StatusOr<std::vector<int>> ViewedBuffers(const Plan& plan) {
  std::vector<int> of(plan.buffers.size());
  std::iota(of.begin(), of.end(), 0);
  for (const Step& step : plan.steps) {
    const auto* alias = std::get_if<Alias>(&step);
    if (alias == nullptr) continue;
    const Buffer &view = plan.buffers[alias->buffer], &base = plan.buffers[alias->of];
    if (view.kind != base.kind || view.offset != base.offset + alias->offset ||
        alias->offset + view.bytes > base.bytes) {
      return Broken(absl::StrCat("%", alias->buffer, " does not lie in %", alias->of), plan);
    }
    if (view.last_step > base.last_step) {
      return Broken(absl::StrCat("%", alias->buffer, " outlives %", alias->of), plan);
    }
    of[alias->buffer] = of[alias->of];
  }
  return of;
}

// Views of one buffer may overlap where they are read; each byte is written once.
absl::Status VerifyWrites(const Plan& plan, const std::vector<int>& viewed) {
  std::vector<int> written;
  for (const Step& step : plan.steps) {
    const auto* call = std::get_if<CallTask>(&step);
    if (call == nullptr) continue;
    for (size_t i = call->buffers.size() - static_cast<size_t>(call->outputs); i < call->buffers.size(); ++i) {
      const int output = call->buffers[i];
      for (const int other : written) {
        const Buffer &a = plan.buffers[output], &b = plan.buffers[other];
        if (viewed[output] == viewed[other] && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes) {
          return Broken(absl::StrCat("%", output, " overwrites %", other), plan);
        }
      }
      written.push_back(output);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string Plan::ToString() const { return PlanText(*this, ""); }

absl::Status Plan::Verify() const {
  if (absl::Status status = VerifySteps(*this); !status.ok()) return status;
  if (absl::Status status = VerifyPlaces(*this); !status.ok()) return status;
  absl::StatusOr<std::vector<int>> viewed = ViewedBuffers(*this);
  if (!viewed.ok()) return viewed.status();
  if (absl::Status status = VerifyWrites(*this, *viewed); !status.ok()) return status;
  for (size_t i = 0; i < buffers.size(); ++i) {
    for (size_t j = i + 1; j < buffers.size(); ++j) {
      const Buffer &a = buffers[i], &b = buffers[j];
      if (a.kind != b.kind || (*viewed)[i] == (*viewed)[j]) continue;
      if (a.kind == BufferKind::kInput || a.kind == BufferKind::kOutput) continue;
      const bool both_live =
          a.kind == BufferKind::kConstant || (a.first_step <= b.last_step && b.first_step <= a.last_step);
      if (both_live && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes) {
        return Broken(absl::StrCat("%", i, " and %", j, " overlap"), *this);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace hone
