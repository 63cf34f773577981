// SPDX-License-Identifier: Apache-2.0
//
// crfs verify: every checksum, every reference, every rule.

#include "index/verify.h"

#include <memory>
#include <string>

#include "cli/progress.h"
#include "cli/verbs.h"

namespace crfs {

Verb AddVerify(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("verify", "Check every checksum, reference and rule of an image");
  auto path = std::make_shared<std::string>();
  command->add_option("IMAGE", *path, "the image; - reads standard input")->required();
  return {command, [path]() -> absl::StatusOr<int> {
            Progress progress("verifying " + *path);
            const absl::Status status = VerifyImage(
                *path, [&](uint64_t done, uint64_t total) { progress.Update(done, total); });
            if (!status.ok()) return status;
            return 0;
          }};
}

}  // namespace crfs
