// SPDX-License-Identifier: Apache-2.0
//
// The least that a restart's user half can be: what was saved by the client is made again,
// with the same pids and tids, as children of the caller. Descriptors are those that the
// caller has itself.

#ifndef CRFS_TESTS_KMOD_RESTARTER_H_
#define CRFS_TESTS_KMOD_RESTARTER_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client.h"
#include "harness.h"

namespace kmod_test {

// What a checkpoint gave: the records, the memory, and the files behind mappings.
struct Saved {
  Stream stream;
  Fd memory;                                            // all extents, one after the other
  std::map<std::pair<uint32_t, uint64_t>, uint64_t> at;  // where those of an owner begin
  std::map<uint64_t, Fd> files;                         // by object id
  std::map<uint64_t, Fd> shmems;                        // the originals' own, by object id
  std::string error;

  crfs_thread& Thread(uint64_t id) { return Wire<crfs_thread>(CRFS_TAG_thread, id); }
  template <typename T>
  T& Wire(uint32_t type, uint64_t id) {
    return *reinterpret_cast<T*>(stream.objects.at(type).at(id - 1).body.data() + sizeof(crfs_body));
  }
};

// Kills a child of the caller, and waits until it is gone.
void Kill(pid_t pid);

// Takes a checkpoint of all pids, the root first, and thaws them.
Saved Save(const std::vector<pid_t>& pids);
// A whole program. An empty string, or what failed.
std::string SaveAndKill(Target& target, Saved* saved);

// Compares every row that a restart restores, of the types that the module restores, and all
// private memory but what the kernel writes there. Times that pass are left out. Returns
// one line for each difference.
std::string Differences(Saved& before, Saved& after);

// A record as an image has it, with its checksums.
std::string RecordOf(uint32_t type, uint64_t id, const std::string& body);
// All that a restart takes.
std::string RecordsOf(const Stream& stream);

// Restart's ioctls; all return 0 (or a descriptor) or a negative errno.
class Restart {
 public:
  Restart();
  bool ok() const { return fd_.ok(); }
  int fd() const { return fd_.get(); }
  int Write(const std::string& bytes);
  int Supply(uint32_t type, uint64_t id, int file);
  Fd Shmem(uint64_t length, int* error = nullptr);
  int Fill(uint64_t mm, std::vector<crfs_fill> ranges);
  int Join(uint64_t id);
  int Gather(uint32_t timeout_ms = 0) { return Step(CRFS_IOC_GATHER, timeout_ms); }
  int Build(uint32_t timeout_ms = 0) { return Step(CRFS_IOC_BUILD, timeout_ms); }
  int Start(uint32_t timeout_ms = 0) { return Step(CRFS_IOC_START, timeout_ms); }
  int Help();                 // until BUILD is over
  int BuildWithHelp(int threads);
  std::string Fault() const;  // of the last step
  void Close() { fd_.Close(); }

  crfs_ioc_step step{};

  // Writes, supplies and fills everything. An empty string, or what failed.
  std::string Load(Saved& saved);
  // Makes the tasks and waits until all threads wait. `made` gets the pids that are children
  // of the caller. `before_join` is called in each new task before its first thread joins.
  std::string Make(Saved& saved, std::vector<pid_t>* made,
                   const std::function<void()>& before_join = {});
  // All of the above, then the steps, with a helper.
  std::string Run(Saved& saved, std::vector<pid_t>* made = nullptr);

 private:
  int Step(unsigned long command, uint32_t timeout_ms);
  Fd fd_;
};

}  // namespace kmod_test

#endif  // CRFS_TESTS_KMOD_RESTARTER_H_
