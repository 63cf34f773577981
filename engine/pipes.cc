// SPDX-License-Identifier: Apache-2.0

#include "engine/pipes.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

struct PipeContents {
  std::string data;
  std::vector<uint32_t> packets;  // lengths; empty: a plain stream
};

absl::Status Failed(const Holder& holder, absl::string_view what) {
  return absl::ErrnoToStatus(
      errno, absl::StrCat("thread ", holder.tid, ", descriptor ", holder.fd, ": ", what));
}

// A read end of the same pipe, which does not block. Opening anew does not touch the flags
// of the one that the task has.
absl::StatusOr<UniqueFd> OpenReadEnd(const Holder& holder) {
  const std::string path = ProcPath(holder.tid, absl::StrCat("fd/", holder.fd));
  UniqueFd end(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!end.valid()) return Failed(holder, "the pipe cannot be opened to read");
  return end;
}

// Reads what tee(2) copied. A read ends at the border of a packet, so a packet is a read
// (pipe(2), O_DIRECT).
absl::StatusOr<PipeContents> Drain(int end, size_t length, bool packets, const Holder& holder) {
  PipeContents contents;
  std::string buffer(length, '\0');
  while (contents.data.size() < length) {
    const ssize_t got = ::read(end, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(holder, "the copy of the pipe cannot be read");
    if (got == 0) break;
    contents.data.append(buffer, 0, static_cast<size_t>(got));
    if (packets) contents.packets.push_back(static_cast<uint32_t>(got));
  }
  return contents;
}

absl::StatusOr<PipeContents> ReadPipe(const Holder& holder, uint64_t capacity, bool packets) {
  const absl::StatusOr<UniqueFd> source = OpenReadEnd(holder);
  if (!source.ok()) return source.status();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Failed(holder, "no pipe for a copy");
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  if (::fcntl(write_end.get(), F_SETPIPE_SZ, static_cast<int>(capacity)) < 0) {
    return Failed(
        holder, absl::StrCat("no pipe of ", capacity, " bytes for a copy: raise fs.pipe-max-size"));
  }
  ssize_t copied = ::tee(source->get(), write_end.get(), capacity, SPLICE_F_NONBLOCK);
  if (copied < 0 && errno == EAGAIN) copied = 0;  // empty
  if (copied < 0) return Failed(holder, "the pipe cannot be copied");
  return Drain(read_end.get(), static_cast<size_t>(copied), packets, holder);
}

std::string Numbers(const std::vector<uint32_t>& numbers) {
  std::string bytes(numbers.size() * sizeof(uint32_t), '\0');
  if (!numbers.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

// What is known of one pipe from the files that are its ends.
struct PipeUse {
  Holder holder;
  bool packets = false;
};

}  // namespace

absl::Status FillPipes(Snapshot& snapshot) {
  const ObjectType& type = *FindType("pipe");
  std::vector<PipeUse> uses(snapshot.Count(type));
  const std::vector<Holder> holders = FindHolders(snapshot);
  snapshot.ForEach("file", [&](const ObjectView& file) {
    const uint64_t pipe = file.Number("pipe");
    const Holder& holder = holders[file.id() - 1];
    if (pipe == 0 || holder.tid == 0 || (file.Number("flags") & O_PATH)) return;
    uses[pipe - 1].holder = holder;
    // Only what is written while O_DIRECT is set is a packet (pipe(2)).
    uses[pipe - 1].packets |= (file.Number("flags") & O_DIRECT) != 0;
  });
  for (uint64_t id = 1; id <= snapshot.Count(type); ++id) {
    const PipeUse& use = uses[id - 1];
    if (use.holder.tid == 0) continue;  // only a path to a fifo: nothing flows
    const absl::StatusOr<PipeContents> contents =
        ReadPipe(use.holder, snapshot.Get(type, id).Number("capacity"), use.packets);
    if (!contents.ok()) return contents.status();
    ObjectBuilder pipe(snapshot.Get(type, id));
    pipe.SetBytes("data", contents->data).SetBytes("packets", Numbers(contents->packets));
    if (absl::Status status = snapshot.Replace(id, pipe); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace crfs
