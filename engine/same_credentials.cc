// SPDX-License-Identifier: Apache-2.0

#include "engine/same_credentials.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "index/schema.h"

namespace crfs {

absl::Status UnifyCredentials(Snapshot& snapshot) {
  std::map<std::pair<uint64_t, std::string>, uint64_t> known;  // new ids, by task and body
  std::vector<std::string> bodies;
  for (uint64_t id = 1; id <= snapshot.Count(*FindType("thread")); ++id) {
    const ObjectView thread = snapshot.Get("thread", id);
    const uint64_t cred = thread.Number("cred");
    if (cred == 0) continue;
    absl::StatusOr<std::string> body = ObjectBuilder(snapshot.Get("cred", cred)).Build();
    if (!body.ok()) return body.status();
    const auto [found, added] =
        known.try_emplace({thread.Number("task"), *body}, bodies.size() + 1);
    if (added) bodies.push_back(*std::move(body));
    ObjectBuilder builder(thread);
    builder.SetNumber("cred", found->second);
    if (absl::Status status = snapshot.Replace(id, builder); !status.ok()) return status;
  }
  snapshot.ReplaceAll(*FindType("cred"), std::move(bodies));
  return absl::OkStatus();
}

}  // namespace crfs
