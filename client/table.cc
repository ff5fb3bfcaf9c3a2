#include "client/table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr int kGap = 2;
constexpr int kNarrowest = 12;  // no column shrinks below
constexpr int kUnlimited = 1 << 20;

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

// Of a line at its natural width, or of the narrowest that this table can be without those columns.
int NaturalWidth(const std::vector<int>& widths) {
  int width = -kGap;
  for (const int w : widths) width += w + kGap;
  return width;
}
int LeastWidth(const std::vector<Column>& columns, const std::vector<int>& widths, bool with_dropped) {
  std::vector<int> least;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].narrow == Narrow::kDrop && !with_dropped) continue;
    least.push_back(columns[i].narrow == Narrow::kShrink ? std::min(widths[i], kNarrowest) : widths[i]);
  }
  return NaturalWidth(least);
}

// A block of fields for each row.
std::string Blocks(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                   int width, bool first) {
  std::string text;
  for (const auto& row : rows) {
    std::vector<std::pair<std::string, std::string>> fields;
    for (size_t i = 0; i < columns.size() && i < row.size(); ++i)
      fields.emplace_back(columns[i].title, row[i]);
    absl::StrAppend(&text, text.empty() && first ? "" : "\n", FormatFields(fields, width));
  }
  return text;
}

}  // namespace

std::string FormatTable(std::vector<Column> columns, std::vector<std::vector<std::string>> rows, int width,
                        bool titled) {
  std::vector<int> widths;
  for (size_t i = 0; i < columns.size(); ++i) {
    widths.push_back(Width(columns[i].title));
    for (const auto& row : rows) {
      if (i < row.size()) widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  if (width > 0 && LeastWidth(columns, widths, /*with_dropped=*/false) > width)
    return Blocks(columns, rows, width, titled);
  for (size_t i = columns.size(); width > 0 && LeastWidth(columns, widths, /*with_dropped=*/true) > width;) {
    if (columns[--i].narrow != Narrow::kDrop) continue;
    columns.erase(columns.begin() + i);
    widths.erase(widths.begin() + i);
    for (auto& row : rows) {
      if (i < row.size()) row.erase(row.begin() + i);
    }
  }
  int excess = width > 0 ? NaturalWidth(widths) - width : 0;
  for (size_t i = columns.size(); excess > 0 && i-- > 0;) {
    if (columns[i].narrow != Narrow::kShrink) continue;
    const int narrower = std::max(std::min(widths[i], kNarrowest), widths[i] - excess);
    excess -= widths[i] - narrower;
    widths[i] = narrower;
  }
  std::vector<std::string> titles;
  for (const Column& column : columns) titles.push_back(column.title);
  std::string table = titled ? Line(columns, titles, widths) : "";
  for (const auto& row : rows) table += Line(columns, row, widths);
  return table;
}

std::string FormatFields(const std::vector<std::pair<std::string, std::string>>& fields, int width) {
  int indent = 0;
  for (const auto& [title, value] : fields) indent = std::max(indent, Width(title) + kGap);
  std::string text;
  for (const auto& [title, value] : fields) {
    if (!value.empty()) text += HangingText(title, Clean(value), width > 0 ? width : kUnlimited, indent);
  }
  return text;
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

std::string HangingText(const std::string& title, const std::string& text, int width, int indent) {
  std::string result = title + std::string(std::max(0, indent - Width(title)), ' ');
  const std::string wrapped = WrapText(text, width - indent, 0);
  bool first = true;
  for (absl::string_view line : absl::StrSplit(wrapped, '\n')) {
    absl::StrAppend(&result, first ? "" : std::string(indent, ' '), line, "\n");
    first = false;
  }
  return result;
}

}  // namespace hone
