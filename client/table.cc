#include "client/table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr int kGap = 2;
constexpr int kNarrowest = 8;  // no column shrinks below

int Width(const std::string& text) {
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

// The first `width` code points, the last two of them ".." if something was cut.
std::string Cut(const std::string& text, int width) {
  if (Width(text) <= width) return text;
  size_t end = 0;
  for (int kept = 0; kept < width - 2; ++kept) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
  }
  return text.substr(0, end) + "..";
}

// Terminal control never comes out of a cell: names in models are not ours.
std::string Clean(const std::string& cell) {
  std::string result = cell;
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return result;
}

std::string Line(const std::vector<Column>& columns, const std::vector<std::string>& cells,
                 const std::vector<int>& widths) {
  std::string line;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) line.append(kGap, ' ');
    const std::string cell = i < cells.size() ? Cut(Clean(cells[i]), widths[i]) : "";
    const std::string padding(widths[i] - Width(cell), ' ');
    absl::StrAppend(&line, columns[i].align == Align::kRight ? padding + cell : cell + padding);
  }
  return absl::StrCat(absl::StripTrailingAsciiWhitespace(line), "\n");
}

}  // namespace

std::string FormatTable(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                        int width) {
  std::vector<int> widths;
  std::vector<std::string> titles;
  for (size_t i = 0; i < columns.size(); ++i) {
    int widest = Width(columns[i].title);
    for (const auto& row : rows) {
      if (i < row.size()) widest = std::max(widest, Width(row[i]));
    }
    widths.push_back(widest);
    titles.push_back(columns[i].title);
  }
  int excess = -width;
  for (int w : widths) excess += w + kGap;
  excess -= kGap;
  for (size_t i = columns.size(); width > 0 && i-- > 0;) {
    if (!columns[i].shrinks || excess <= 0) continue;
    const int narrower = std::max(std::min(widths[i], kNarrowest), widths[i] - excess);
    excess -= widths[i] - narrower;
    widths[i] = narrower;
  }
  std::string table = Line(columns, titles, widths);
  for (const auto& row : rows) table += Line(columns, row, widths);
  return table;
}

std::string WrapText(const std::string& text, int width, int indent) {
  std::string result;
  int column = 0;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const int length = Width(std::string(word));
    if (column > 0 && column + 1 + length > width) {
      absl::StrAppend(&result, "\n", std::string(indent, ' '));
      column = indent;
    } else if (column > 0) {
      result += ' ';
      ++column;
    }
    absl::StrAppend(&result, word);
    column += length;
  }
  return result;
}

}  // namespace hone
