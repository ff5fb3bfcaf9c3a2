#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hone {

enum class Align { kLeft, kRight };

// What gives way when the table is wider than the terminal.
enum class Narrow {
  kKeep,
  kShrink,  // is cut with ".."
  kDrop,    // is left out, the last such column first
};

struct Column {
  std::string title;
  Align align = Align::kLeft;
  Narrow narrow = Narrow::kKeep;
};

// A plain text table: a title line, then rows; columns as wide as their widest cell. Cells are UTF-8 and
// count one column per code point. `width` 0 = unlimited. What is too wide even so becomes a block of
// "title  cell" lines for each row. Every line ends with a newline and has no trailing blanks.
// `titled` is false for what follows an earlier table of the same columns.
std::string FormatTable(std::vector<Column> columns, std::vector<std::vector<std::string>> rows, int width,
                        bool titled = true);

// What `show` commands print: a title and its value on a line, wrapped where it is too long; what has no
// value is left out.
std::string FormatFields(const std::vector<std::pair<std::string, std::string>>& fields, int width);

// Breaks text at blanks so that lines are at most `width` wide; continuation lines start with `indent`
// blanks.
std::string WrapText(const std::string& text, int width, int indent);

// A title, padded to `indent` columns, and text wrapped beside it; ends with a newline.
std::string HangingText(const std::string& title, const std::string& text, int width, int indent);

}  // namespace hone
