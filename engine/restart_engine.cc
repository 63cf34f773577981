// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_engine.h"

#include <linux/capability.h>

#include "engine/restart_caller.h"
#include "engine/restart_check.h"

namespace crfs {

Engine ChooseRestartEngine(Engine wanted) {
  if (wanted != Engine::kAuto) return wanted;
  return FindRestartModule().ok() ? Engine::kKernel : Engine::kPtrace;
}

UserNamespace UserNamespaceFor(const RestartOptions& options) {
  const bool needed = options.pid_namespace && !DescribeCaller().Can(CAP_SYS_ADMIN);
  // The module is for the rights of the caller himself.
  return needed && ChooseRestartEngine(options.engine) == Engine::kPtrace ? UserNamespace::kOwn
                                                                          : UserNamespace::kSame;
}

}  // namespace crfs
