#include "compiler/layout/layout.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int kMaxRank = 26;                    // one letter per dimension
constexpr int64_t kMaxBlock = int64_t{1} << 20;   // also of all blocks of a dimension together
constexpr int64_t kMaxHalo = int64_t{1} << 20;

absl::Status BadLayout(std::string_view text, const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("layout '", std::string(text.substr(0, 80)), "': ", what));
}

bool TakeNumber(std::string_view* text, int64_t* value) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *value);
  if (error != std::errc() || *value < 0) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

// "+c1:2+d0:1" after the axes.
absl::Status ParseHalos(std::string_view whole, std::string_view rest, std::vector<Layout::Halo>* halos) {
  while (!rest.empty()) {
    if (rest.size() < 2 || rest[0] != '+') return BadLayout(whole, "expected +");
    const size_t dim = static_cast<size_t>(rest[1] - 'a');
    if (rest[1] < 'a' || dim >= halos->size()) return BadLayout(whole, "halo of an unknown dimension");
    rest.remove_prefix(2);
    Layout::Halo halo;
    if (!TakeNumber(&rest, &halo.before) || rest.empty() || rest[0] != ':') return BadLayout(whole, "bad halo");
    rest.remove_prefix(1);
    if (!TakeNumber(&rest, &halo.after) || halo.before > kMaxHalo || halo.after > kMaxHalo) {
      return BadLayout(whole, "bad halo");
    }
    (*halos)[dim] = halo;
  }
  return absl::OkStatus();
}

// Every dimension has exactly one outer axis; it is upper-case if and only if there are blocks, which lie inside it.
absl::Status CheckAxes(std::string_view text, const std::vector<Layout::Axis>& axes, const std::string& letters) {
  const int rank = static_cast<int>(std::count_if(axes.begin(), axes.end(), [](const auto& a) { return a.block == 0; }));
  std::vector<int> outer(static_cast<size_t>(rank), 0);
  std::vector<int64_t> blocks(static_cast<size_t>(rank), 1);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].dim >= rank) return BadLayout(text, "dimensions are lettered from a without gaps");
    if (axes[i].block == 0) {
      ++outer[static_cast<size_t>(axes[i].dim)];
    } else if (outer[static_cast<size_t>(axes[i].dim)] == 0) {
      return BadLayout(text, "a block before the dimension it splits");
    } else if ((blocks[static_cast<size_t>(axes[i].dim)] *= axes[i].block) > kMaxBlock) {
      return BadLayout(text, "blocks too large");
    }
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].block != 0) continue;
    if (outer[static_cast<size_t>(axes[i].dim)] != 1) return BadLayout(text, "a dimension occurs twice");
    const bool split = std::any_of(axes.begin(), axes.end(),
                                   [&](const auto& a) { return a.block > 0 && a.dim == axes[i].dim; });
    if (split != (std::isupper(static_cast<unsigned char>(letters[i])) != 0)) {
      return BadLayout(text, "upper case means a split dimension");
    }
  }
  return absl::OkStatus();
}

}  // namespace

Layout Layout::Plain(int rank) {
  Layout layout;
  for (int dim = 0; dim < rank; ++dim) layout.axes_.push_back({dim, 0});
  layout.halo_.resize(static_cast<size_t>(rank));
  return layout;
}

Layout Layout::Blocked(int rank, int dim, int64_t block) {
  Layout layout = Plain(rank);
  layout.axes_.push_back({dim, block});
  return layout;
}

Layout Layout::BlockedRows(int64_t block) {
  Layout layout = Blocked(4, 1, block);
  std::swap(layout.axes_[1], layout.axes_[2]);
  return layout;
}

absl::StatusOr<Layout> Layout::Parse(std::string_view text) {
  Layout layout;
  std::string letters;
  std::string_view rest = text;
  while (!rest.empty() && rest[0] != '+') {
    Axis axis;
    if (std::isdigit(static_cast<unsigned char>(rest[0]))) {
      if (!TakeNumber(&rest, &axis.block) || axis.block < 2 || axis.block > kMaxBlock || rest.empty()) {
        return BadLayout(text, "bad block");
      }
    }
    const char letter = rest[0];
    if (!std::isalpha(static_cast<unsigned char>(letter))) return BadLayout(text, "expected a letter");
    if (axis.block > 0 && std::isupper(static_cast<unsigned char>(letter))) return BadLayout(text, "a block is lower case");
    axis.dim = std::tolower(static_cast<unsigned char>(letter)) - 'a';
    layout.axes_.push_back(axis);
    letters += letter;
    if (letters.size() > 4 * kMaxRank) return BadLayout(text, "too many axes");
    rest.remove_prefix(1);
  }
  if (absl::Status status = CheckAxes(text, layout.axes_, letters); !status.ok()) return status;
  const auto outer = std::count_if(layout.axes_.begin(), layout.axes_.end(), [](const Axis& a) { return a.block == 0; });
  layout.halo_.resize(static_cast<size_t>(outer));
  if (absl::Status status = ParseHalos(text, rest, &layout.halo_); !status.ok()) return status;
  return layout;
}

std::string Layout::ToString() const {
  std::string text;
  for (const Axis& axis : axes_) {
    const char letter = static_cast<char>('a' + axis.dim);
    if (axis.block > 0) {
      absl::StrAppend(&text, axis.block, std::string(1, letter));
    } else {
      text += BlockOf(axis.dim) > 1 ? static_cast<char>(letter - 'a' + 'A') : letter;
    }
  }
  for (int dim = 0; dim < rank(); ++dim) {
    if (halo(dim) == Halo()) continue;
    absl::StrAppend(&text, "+", std::string(1, static_cast<char>('a' + dim)), halo(dim).before, ":", halo(dim).after);
  }
  return text;
}

bool Layout::IsPlain() const { return *this == Plain(rank()); }

int64_t Layout::BlockOf(int dim) const {
  int64_t block = 1;
  for (const Axis& axis : axes_) {
    if (axis.dim == dim && axis.block > 0) block *= axis.block;
  }
  return block;
}

Layout Layout::WithHalo(int dim, Halo halo) const {
  Layout layout = *this;
  layout.halo_[static_cast<size_t>(dim)] = halo;
  return layout;
}

Layout Layout::WithoutHalo() const {
  Layout layout = *this;
  layout.halo_.assign(halo_.size(), Halo());
  return layout;
}

std::vector<DimExpr> Layout::PhysicalShape(const std::vector<DimExpr>& logical_shape) const {
  std::vector<DimExpr> shape;
  for (const Axis& axis : axes_) {
    if (axis.block > 0) {
      shape.push_back(DimExpr(axis.block));
      continue;
    }
    const Halo& border = halo_[static_cast<size_t>(axis.dim)];
    const DimExpr padded = logical_shape[static_cast<size_t>(axis.dim)] + DimExpr(border.before + border.after);
    shape.push_back(CeilDiv(padded, DimExpr(BlockOf(axis.dim))));
  }
  return shape;
}

DimExpr Layout::Elements(const std::vector<DimExpr>& logical_shape) const {
  return Product(PhysicalShape(logical_shape));
}

DimExpr Layout::Offset(const std::vector<DimExpr>& logical_shape, const std::vector<DimExpr>& index) const {
  const std::vector<DimExpr> shape = PhysicalShape(logical_shape);
  DimExpr offset(0);
  DimExpr stride(1);
  std::vector<int64_t> inside(halo_.size(), 1);   // product of the blocks of a dimension passed so far, from inside
  for (size_t i = axes_.size(); i-- > 0;) {
    const Axis& axis = axes_[i];
    const size_t dim = static_cast<size_t>(axis.dim);
    const DimExpr position = FloorDiv(index[dim] + DimExpr(halo_[dim].before), DimExpr(inside[dim]));
    if (axis.block > 0) {
      offset = offset + Mod(position, DimExpr(axis.block)) * stride;
      inside[dim] *= axis.block;
    } else {
      offset = offset + position * stride;
    }
    stride = stride * shape[i];
  }
  return offset;
}

std::optional<int64_t> Layout::OffsetOfPart(const std::vector<DimExpr>& logical_shape, int dim, int64_t begin,
                                            int64_t extent) const {
  const std::vector<DimExpr> shape = PhysicalShape(logical_shape);
  const DimExpr& whole = logical_shape[static_cast<size_t>(dim)];
  if (!whole.IsConstant() || !(halo(dim) == Halo())) return std::nullopt;
  const int64_t block = BlockOf(dim), end = begin + extent;
  if (begin % block != 0 || (end % block != 0 && end != whole.Constant())) return std::nullopt;
  for (size_t i = 0; axes_[i].dim != dim; ++i) {
    if (!(shape[i] == DimExpr(1))) return std::nullopt;
  }
  std::vector<DimExpr> first(halo_.size(), DimExpr(0));
  first[static_cast<size_t>(dim)] = DimExpr(begin);
  const std::optional<int64_t> zero = Offset(logical_shape, std::vector<DimExpr>(halo_.size(), DimExpr(0))).AsConstant();
  const std::optional<int64_t> offset = Offset(logical_shape, first).AsConstant();
  if (!offset || !zero) return std::nullopt;
  return *offset - *zero;
}

}  // namespace hone
