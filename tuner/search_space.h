#pragma once

#include <random>
#include <string>
#include <vector>

#include "compiler/schedule/schedule.h"

namespace hone {

// "direct" or "winograd m=4": for people, and what the decision's values are.
std::string AlgorithmOf(const Trace& trace);

// The schedules considered for one task: a few decisions with a few values each, laid down by a rule per kind of task.
// Not every point is legal; Schedule() tells cheaply. Immutable.
class SearchSpace {
 public:
  using Point = std::vector<int>;   // per decision the number of its value
  struct Decision {
    std::string name;                  // "mr"
    std::vector<std::string> values;   // as they stand in the trace
  };

  SearchSpace(const Task& task, const Anchor& anchor);

  const std::vector<Decision>& decisions() const { return decisions_; }
  double size() const;
  // The largest factor by which an algorithm of the space multiplies less than the direct one.
  double Saving() const { return saving_; }
  Point Random(std::mt19937_64& random) const;
  // From now on Random gives points of these only.
  void DrawFrom(std::vector<Point> points) { drawn_ = std::move(points); }
  // One or two decisions changed.
  Point Mutated(const Point& point, std::mt19937_64& random) const;
  // Every point that differs in one decision by one step (ordered values) or any value (few values).
  std::vector<Point> Neighbours(const Point& point) const;
  Trace TraceOf(const Point& point) const;
  // The point of a trace of this space; empty if it is none.
  Point PointOf(const Trace& trace) const;

 private:
  std::string Value(const Point& point, std::string_view name) const;
  Trace StripTraceOf(const Point& point) const;
  Point StripPointOf(const Trace& trace) const;

  std::string leaf_;
  std::vector<std::string> leaves_;   // of strips: each stage's
  double saving_ = 1;
  std::vector<Point> drawn_;   // empty: all
  std::vector<Decision> decisions_;
};

}  // namespace hone
