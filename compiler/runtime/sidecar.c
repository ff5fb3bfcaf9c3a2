#include "sidecar.h"

#include "content_digest.h"
#include "hone.h"
#include "memory_map.h"

enum { kAtWorkingDirectory = -100, kCloseOnExec = 02000000, kSeekEnd = 2, kWillNeed = 3 };

static int Fault(HoneText* why, const char* path, const char* what) {
  HoneAppend(why, "constants in '");
  HoneAppend(why, path);
  HoneAppend(why, "': ");
  HoneAppend(why, what);
  return HONE_DATA;
}

int HoneMapSidecar(const HoneModuleData* data, const char* path, const unsigned char** constants, HoneText* why) {
  const long file = HoneSystemCall6(kHoneSysOpenat, kAtWorkingDirectory, (long)path, kCloseOnExec, 0, 0, 0);
  if (file < 0) {
    Fault(why, path, "cannot open, errno ");
    HoneAppendNumber(why, -file);
    return HONE_DATA;
  }
  const long bytes = HoneSystemCall6(kHoneSysLseek, file, 0, kSeekEnd, 0, 0, 0);
  const int right_size = bytes >= 0 && (uint64_t)bytes == data->constant_bytes;
  const void* memory = right_size ? HoneMapFile(file, data->constant_bytes) : NULL;
  HoneSystemCall6(kHoneSysClose, file, 0, 0, 0, 0, 0);
  if (!right_size) {
    Fault(why, path, "has ");
    HoneAppendNumber(why, bytes);
    HoneAppend(why, " bytes instead of ");
    HoneAppendNumber(why, (int64_t)data->constant_bytes);
    return HONE_DATA;
  }
  if (memory == NULL) return Fault(why, path, "cannot be mapped");
  HoneSystemCall6(kHoneSysMadvise, (long)memory, (long)data->constant_bytes, kWillNeed, 0, 0, 0);
  HoneExpectReads(memory, data->constant_bytes);
  if (HoneContentDigest(memory, data->constant_bytes) != data->sidecar_digest) {
    HoneUnmapMemory(memory, data->constant_bytes);
    return Fault(why, path, "is not this module's file (digest differs)");
  }
  *constants = memory;
  return HONE_OK;
}
