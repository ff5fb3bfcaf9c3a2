/* proto/sandbox without effect: what sandbox_tax compares with. */
#include "proto/sandbox/sandbox.h"

HoneSandboxFaults HoneSandboxEnter(HoneSandboxGuest guest, int control) { return (HoneSandboxFaults){0}; }
int HoneSandboxFinish(int control) { return 0; }
HoneSandboxFaults HoneSandboxProbe(void) { return (HoneSandboxFaults){0}; }
