#pragma once

#include <string>

namespace hone {

// One line on stderr with the time in UTC. Control characters are replaced: parts of the text come from
// elsewhere.
void Log(const std::string& line);

}  // namespace hone
