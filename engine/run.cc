// SPDX-License-Identifier: Apache-2.0

#include "engine/run.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/checkpoint.h"
#include "engine/ptrace_inode.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

bool HasEnded(pid_t child) {
  siginfo_t info = {};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid != 0;
}

void TakeOne(const Restarted& program, const RunFolder& folder, const RunSettings& settings,
             const Complain& complain) {
  const absl::StatusOr<std::string> image = folder.NextImage();
  if (!image.ok()) return complain(image.status().message());
  CheckpointOptions options;
  options.pid = program.root;
  options.engine = *FindEngine(settings.engine);
  options.image = *image;
  options.exclude.dontdump = settings.skip_dontdump;
  options.exclude.lenient = true;
  for (const std::string& word : settings.exclude) {
    options.exclude.named.push_back(*ParseExclusion(word));
  }
  const absl::Status taken = TakeCheckpoint(options).status();
  // A program that ends meanwhile takes its checkpoint with it.
  if (!taken.ok() && HasEnded(program.child)) return;
  if (!taken.ok()) return complain(taken.message());
  if (absl::Status pruned = folder.Prune(settings.keep); !pruned.ok()) complain(pruned.message());
}

absl::StatusOr<int> StayWith(const Restarted& program, const RunFolder& folder,
                             const RunSettings& settings, const Complain& complain) {
  const absl::StatusOr<int> end = AwaitEnd(program, {.every = settings.every, .act = [&] {
                                                       TakeOne(program, folder, settings, complain);
                                                     }});
  // A program that checkpoints itself keeps one more.
  if (absl::Status pruned = folder.Prune(settings.keep); !pruned.ok()) complain(pruned.message());
  return end;
}

using Environment = std::vector<std::pair<std::string, std::string>>;

// Where crfs was built, or installed.
absl::StatusOr<std::string> FindPreload(const std::string& own_folder) {
  for (const std::string& folder : {own_folder + "/../lib", own_folder, std::string(CRFS_LIBDIR)}) {
    std::string path = folder + "/libcrfs-preload.so";
    if (::access(path.c_str(), R_OK) == 0) return path;
  }
  return absl::NotFoundError(
      absl::StrCat(CRFS_LIBDIR, "/libcrfs-preload.so: is not there: install it, or use --every"));
}

// What lib/preload.c reads.
absl::StatusOr<Environment> PreloadEnvironment(const RunFolder& folder,
                                               const RunSettings& settings) {
  const absl::StatusOr<std::string> crfs = ReadLink("/proc/self/exe");
  if (!crfs.ok()) return crfs.status();
  absl::StatusOr<std::string> library = FindPreload(crfs->substr(0, crfs->rfind('/')));
  if (!library.ok()) return library.status();
  const absl::StatusOr<std::string> path = folder.WholePath();
  if (!path.ok()) return path.status();
  Environment environment = {{"CRFS_PRELOAD_FOLDER", *path},
                             {"CRFS_PRELOAD_SIGNAL", absl::StrCat(settings.signal)},
                             {"CRFS_PRELOAD_KEEP", absl::StrCat(settings.keep)}};
  if (const char* before = std::getenv("LD_PRELOAD"); before != nullptr) {
    environment.emplace_back("CRFS_PRELOAD_BEFORE", before);
    absl::StrAppend(&*library, ":", before);
  }
  environment.emplace_back("LD_PRELOAD", *library);
  if (std::getenv("CRFS") == nullptr) environment.emplace_back("CRFS", *crfs);
  return environment;
}

[[noreturn]] void Become(const std::vector<std::string>& argv, const Environment& environment,
                         int tell) {
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(tell, &error, sizeof(error));
  ::_exit(1);
}

absl::StatusOr<Restarted> Start(const std::vector<std::string>& argv,
                                const Environment& environment) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "a pipe");
  const UniqueFd listen(ends[0]);
  UniqueFd tell(ends[1]);
  auto signals = std::make_unique<BlockedSignals>();
  const pid_t pid = ::fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "a process cannot be made");
  if (pid == 0) {
    signals.reset();
    // Where Yama lets only ancestors ptrace (ptrace_scope 1): the process that traces is no more
    // than a relative.
    ::prctl(PR_SET_PTRACER, ::getppid(), 0, 0, 0);
    Become(argv, environment, tell.get());
  }
  tell.reset();
  int error;
  ssize_t got;
  do {
    got = ::read(listen.get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  if (got != sizeof(error)) {
    return Restarted{.root = pid, .child = pid, .signals = std::move(signals)};
  }
  ::waitpid(pid, nullptr, 0);
  return absl::ErrnoToStatus(error, absl::StrCat(argv[0], ": cannot be run"));
}

// nullopt if it is damaged, which has been told.
std::optional<LoadedCheckpoint> LoadWhole(const std::string& image, const Complain& complain) {
  Problems problems;
  absl::StatusOr<LoadedCheckpoint> loaded = LoadedCheckpoint::Open(image, problems);
  absl::Status status = loaded.status();
  if (status.ok() && problems.empty()) status = loaded->VerifyMemory();
  if (!status.ok()) problems.emplace_back(status.message());
  for (const std::string& problem : problems) complain(problem);
  if (!problems.empty()) return std::nullopt;
  return *std::move(loaded);
}

}  // namespace

absl::StatusOr<int> RunProgram(const std::vector<std::string>& argv, const RunFolder& folder,
                               const RunSettings& settings, const Complain& complain) {
  Environment environment;
  if (settings.signal != 0) {
    absl::StatusOr<Environment> preload = PreloadEnvironment(folder, settings);
    if (!preload.ok()) return preload.status();
    environment = *std::move(preload);
  }
  const absl::StatusOr<Restarted> program = Start(argv, environment);
  if (!program.ok()) return program.status();
  return StayWith(*program, folder, settings, complain);
}

absl::StatusOr<int> ResumeProgram(const RunFolder& folder, const RunSettings& settings,
                                  const RestartOptions& options, const Complain& complain) {
  const absl::StatusOr<std::vector<std::string>> images = folder.Images();
  if (!images.ok()) return images.status();
  for (const std::string& image : *images) {
    const std::optional<LoadedCheckpoint> loaded = LoadWhole(image, complain);
    if (!loaded.has_value()) {
      complain(absl::StrCat(image, ": is set aside: the one before it is tried"));
      if (absl::Status status = folder.SetAside(image); !status.ok()) return status;
      continue;
    }
    Problems problems;
    CheckRestart(*loaded, options, problems);
    for (const std::string& problem : problems) complain(problem);
    if (!problems.empty()) return 1;
    const absl::StatusOr<Restarted> program = Restart(*loaded, options);
    if (!program.ok()) return program.status();
    return StayWith(*program, folder, settings, complain);
  }
  complain("there is no checkpoint that can be used: start the program anew");
  return 1;
}

}  // namespace crfs
