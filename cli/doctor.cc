// SPDX-License-Identifier: Apache-2.0
//
// crfs doctor: what this machine can do, and what to do about the rest.

#include "engine/doctor.h"

#include <cstdio>
#include <memory>
#include <string>

#include "cli/verbs.h"

namespace crfs {

Verb AddDoctor(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Say what this machine can do, and what to do about the rest (exit status 1)");
  auto directory = std::make_shared<std::string>();
  command->add_option("--index", *directory, "where indexes are kept")->type_name("DIR");
  return {command, [directory]() -> absl::StatusOr<int> {
            int status = 0;
            for (const Finding& finding : ExamineMachine(*directory)) {
              std::printf("%-4s %-20s %s\n", finding.works ? "ok" : "no", finding.what.c_str(),
                          finding.detail.c_str());
              if (finding.works) continue;
              status = 1;
              if (!finding.remedy.empty()) std::printf("     %s\n", finding.remedy.c_str());
            }
            return status;
          }};
}

}  // namespace crfs
