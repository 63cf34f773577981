// SPDX-License-Identifier: Apache-2.0

#include "engine/snapshot.h"

#include <utility>

#include "crfs/words.h"
#include "index/schema.h"

namespace crfs {

Snapshot::Snapshot() : bodies_(ObjectTypes().size()) {}

absl::StatusOr<uint64_t> Snapshot::Add(const ObjectType& type, std::string body) {
  std::vector<std::string>& bodies = bodies_[type.index];
  const uint64_t id = bodies.size() + 1;
  const absl::StatusOr<ObjectView> view = ObjectView::Parse(type, id, body);
  if (!view.ok()) return view.status();
  bodies.push_back(std::move(body));
  return id;
}

absl::StatusOr<uint64_t> Snapshot::Add(const ObjectBuilder& builder) {
  absl::StatusOr<std::string> body = builder.Build();
  if (!body.ok()) return body.status();
  return Add(builder.type(), *std::move(body));
}

absl::Status Snapshot::Replace(uint64_t id, const ObjectBuilder& builder) {
  absl::StatusOr<std::string> body = builder.Build();
  if (!body.ok()) return body.status();
  bodies_[builder.type().index][id - 1] = *std::move(body);
  return absl::OkStatus();
}

void Snapshot::ReplaceAll(const ObjectType& type, std::vector<std::string> bodies) {
  bodies_[type.index] = std::move(bodies);
}

uint64_t Snapshot::Count(const ObjectType& type) const { return bodies_[type.index].size(); }

ObjectView Snapshot::Get(const ObjectType& type, uint64_t id) const {
  return *ObjectView::Parse(type, id, bodies_[type.index][id - 1]);  // checked by Add
}

ObjectView Snapshot::Get(absl::string_view type, uint64_t id) const {
  return Get(*FindType(type), id);
}

void Snapshot::ForEach(absl::string_view type,
                       absl::FunctionRef<void(const ObjectView&)> visit) const {
  const ObjectType& object_type = *FindType(type);
  for (uint64_t id = 1; id <= Count(object_type); ++id) visit(Get(object_type, id));
}

std::vector<Holder> FindHolders(const Snapshot& snapshot) {
  std::vector<pid_t> users(snapshot.Count(*FindType("fdtable")));
  snapshot.ForEach("thread", [&](const ObjectView& thread) {
    const uint64_t table = snapshot.Get("task", thread.Number("task")).Number("fd");
    if (table == 0 || users[table - 1] != 0 || thread.Number("state") == CRFS_state_zombie) return;
    users[table - 1] = static_cast<pid_t>(thread.Number("tid"));
  });
  std::vector<Holder> holders(snapshot.Count(*FindType("file")));
  snapshot.ForEach("fd", [&](const ObjectView& fd) {
    Holder& holder = holders[fd.Number("file") - 1];
    if (fd.Number("excluded") != 0) return;
    const pid_t tid = users[fd.Number("fdtable") - 1];
    if (holder.tid == 0 && tid != 0) holder = {tid, static_cast<int>(fd.Number("fd"))};
  });
  return holders;
}

}  // namespace crfs
