/* The file beside a module that holds its packed constants when they are too large for the module. Freestanding. */
#pragma once

#include "error_text.h"
#include "module_data.h"

/* Maps the constants at `path` after checking size and digest; HONE_OK, or HONE_DATA with the reason in `why`.
 * Release by HoneUnmapMemory(constants, data->constant_bytes). */
int HoneMapSidecar(const HoneModuleData* data, const char* path, const unsigned char** constants, HoneText* why);
