// A mount on a block device, served with the bare codec.
#ifndef BAREFUSE_TESTS_GOLDEN_RAW_MOUNT_H_
#define BAREFUSE_TESTS_GOLDEN_RAW_MOUNT_H_

#include "tests/golden/recorder.h"

namespace barefuse::testing {

// Mounts a fuseblk filesystem on a loop device, has the kernel send what only
// such mounts get (BMAP, SYNCFS, DESTROY), and sends it every notification.
// Needs root; ends the program where something does not work.
void UseRawMount(Recorder* recorder);

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_GOLDEN_RAW_MOUNT_H_
