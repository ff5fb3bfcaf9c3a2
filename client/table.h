#pragma once

#include <string>
#include <vector>

namespace hone {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
  bool shrinks = false;  // gives way (cut with "..") when the table is wider than the terminal
};

// A plain text table: a title line, then rows; columns as wide as their widest cell. Cells are UTF-8 and
// count one column per code point. `width` 0 = unlimited. Every line ends with a newline and has no trailing
// blanks.
std::string FormatTable(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                        int width);

// Breaks text at blanks so that lines are at most `width` wide; continuation lines start with `indent`
// blanks.
std::string WrapText(const std::string& text, int width, int indent);

}  // namespace hone
