// SPDX-License-Identifier: Apache-2.0

#include "engine/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "engine/exclusion.h"
#include "engine/proc_file.h"
#include "index/byte_stream.h"
#include "index/codec.h"

namespace crfs {
namespace {

constexpr absl::string_view kImage = ".crfs", kTemporary = ".tmp", kSettings = "settings";
constexpr absl::Duration kPatience = absl::Seconds(1);
constexpr double kLongest = 366 * 86'400;  // seconds

absl::Status Failed(const std::string& path, absl::string_view what, int error = errno) {
  return absl::ErrnoToStatus(error, absl::StrCat(path, ": ", what));
}

// The number of a checkpoint by its file's name; 0: it is none.
uint64_t NumberOf(absl::string_view name) {
  uint64_t number = 0;
  const bool is_one = absl::ConsumeSuffix(&name, kImage) && !name.empty() &&
                      name.find_first_not_of("0123456789") == absl::string_view::npos &&
                      absl::SimpleAtoi(name, &number);
  return is_one ? number : 0;
}

absl::StatusOr<std::vector<std::string>> List(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  if (error) return Failed(path, "cannot be listed", error.value());
  return names;
}

absl::StatusOr<std::vector<uint64_t>> Numbers(const std::string& path) {
  const absl::StatusOr<std::vector<std::string>> names = List(path);
  if (!names.ok()) return names.status();
  std::vector<uint64_t> numbers;
  for (const std::string& name : *names) {
    if (const uint64_t number = NumberOf(name); number != 0) numbers.push_back(number);
  }
  std::ranges::sort(numbers, std::greater());
  return numbers;
}

std::string PathOf(const std::string& folder, uint64_t number) {
  return absl::StrFormat("%s/%08d%s", folder, number, kImage);
}

absl::Status WrongLine(absl::string_view line) {
  return absl::InvalidArgumentError(absl::StrCat("'", EscapeText(line), "' is no setting"));
}

}  // namespace

// ---- settings -----------------------------------------------------------------------------

std::string FormatSettings(const RunSettings& settings) {
  std::string text = settings.signal != 0
                         ? absl::StrCat("signal ", FormatSignal(settings.signal), "\n")
                         : absl::StrFormat("every %.9f\n", absl::ToDoubleSeconds(settings.every));
  absl::StrAppend(&text, "keep ", settings.keep, "\nengine ", settings.engine, "\n");
  for (const std::string& word : settings.exclude) {
    absl::StrAppend(&text, "exclude ", EscapeText(word), "\n");
  }
  if (settings.skip_dontdump) absl::StrAppend(&text, "skip-dontdump 1\n");
  return text;
}

absl::StatusOr<RunSettings> ParseSettings(absl::string_view text) {
  RunSettings settings;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    const auto& [name, value] = words;
    bool fits = false;
    if (name == "every") {
      double seconds = 0;
      fits = absl::SimpleAtod(value, &seconds) && seconds > 0 && seconds <= kLongest;
      if (fits) settings.every = absl::Seconds(seconds);
    } else if (name == "signal") {
      const absl::StatusOr<uint64_t> signal = ParseSignal(value);
      fits = signal.ok() && *signal != 0;
      if (fits) settings.signal = *signal;
    } else if (name == "keep") {
      fits = absl::SimpleAtoi(value, &settings.keep) && settings.keep > 0;
    } else if (name == "engine") {
      settings.engine = std::string(value);
      fits = value == "auto" || value == "kernel" || value == "ptrace";
    } else if (name == "exclude") {
      const absl::StatusOr<std::string> word = UnescapeText(value);
      fits = word.ok() && ParseExclusion(*word).ok();
      if (fits) settings.exclude.push_back(*word);
    } else if (name == "skip-dontdump") {
      settings.skip_dontdump = fits = value == "1";
    }
    if (!fits) return WrongLine(line);
  }
  const bool has_every = settings.every < absl::InfiniteDuration();
  if (has_every == (settings.signal != 0)) {
    return absl::InvalidArgumentError("either `every` or `signal` is missing");
  }
  if (settings.keep == 0 || settings.engine.empty()) {
    return absl::InvalidArgumentError("`keep` or `engine` is missing");
  }
  return settings;
}

absl::StatusOr<RunSettings> RunFolder::ReadSettings() const {
  const std::string path = absl::StrCat(path_, "/", kSettings);
  const absl::StatusOr<std::string> text = ReadProcFile(path);
  if (!text.ok()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be read: name a folder that crfs run --to has made"));
  }
  absl::StatusOr<RunSettings> settings = ParseSettings(*text);
  if (settings.ok()) return settings;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", settings.status().message(),
                                                 ": mend it, or restart the newest image with ",
                                                 "crfs restart"));
}

absl::Status RunFolder::WriteSettings(const RunSettings& settings) const {
  absl::StatusOr<NewFile> file = NewFile::Create(absl::StrCat(path_, "/", kSettings));
  if (!file.ok()) return file.status();
  if (absl::Status status = file->Write(FormatSettings(settings)); !status.ok()) return status;
  return file->Commit();
}

// ---- the folder ---------------------------------------------------------------------------

absl::StatusOr<RunFolder> RunFolder::Lock(const std::string& path) {
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return Failed(path, "cannot be opened");
  // Where a crfs run was killed a moment ago, its tracer has yet to let go.
  const absl::Time end = absl::Now() + kPatience;
  int result;
  while ((result = ::flock(folder.get(), LOCK_EX | LOCK_NB)) != 0 && errno == EWOULDBLOCK &&
         absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  if (result != 0) {
    if (errno != EWOULDBLOCK) return Failed(path, "cannot be locked");
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": another crfs run uses it: end that one, or name another folder"));
  }
  RunFolder locked(path, std::move(folder));
  if (absl::Status status = locked.RemoveLeftovers(); !status.ok()) return status;
  return locked;
}

absl::StatusOr<RunFolder> RunFolder::Create(const std::string& path) {
  // Images hold the memory of programs: they are their owner's alone.
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failed(path, "cannot be made");
  absl::StatusOr<RunFolder> folder = Lock(path);
  if (!folder.ok()) return folder;
  const absl::StatusOr<std::vector<uint64_t>> numbers = Numbers(path);
  if (!numbers.ok()) return numbers.status();
  if (numbers->empty()) return folder;
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": holds checkpoints of an earlier run: go on with them (crfs run --resume ", path,
      "), or name another folder"));
}

absl::StatusOr<std::string> RunFolder::WholePath() const {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(path_, error);
  if (error) return Failed(path_, "cannot be found", error.value());
  return path.string();
}

absl::StatusOr<RunFolder> RunFolder::Open(const std::string& path) { return Lock(path); }

// What a NewFile has left whose process was killed while it named it.
absl::Status RunFolder::RemoveLeftovers() const {
  const absl::StatusOr<std::vector<std::string>> names = List(path_);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const bool is_ours = absl::StartsWith(name, ".") && absl::EndsWith(name, kTemporary) &&
                         (absl::StrContains(name, absl::StrCat(kImage, ".")) ||
                          absl::StartsWith(name, absl::StrCat(".", kSettings, ".")));
    const std::string path = absl::StrCat(path_, "/", name);
    if (is_ours && ::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return Failed(path, "is left of a checkpoint that was not completed, and cannot be removed");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> RunFolder::Images() const {
  const absl::StatusOr<std::vector<uint64_t>> numbers = Numbers(path_);
  if (!numbers.ok()) return numbers.status();
  std::vector<std::string> images;
  for (const uint64_t number : *numbers) images.push_back(PathOf(path_, number));
  return images;
}

absl::StatusOr<std::string> RunFolder::NextImage() const {
  const absl::StatusOr<std::vector<std::string>> names = List(path_);
  if (!names.ok()) return names.status();
  uint64_t newest = 0;
  for (absl::string_view name : *names) {
    absl::ConsumeSuffix(&name, ".damaged");
    newest = std::max(newest, NumberOf(name));
  }
  return PathOf(path_, newest + 1);
}

absl::Status RunFolder::Prune(uint64_t keep) const {
  const absl::StatusOr<std::vector<uint64_t>> numbers = Numbers(path_);
  if (!numbers.ok()) return numbers.status();
  for (size_t i = keep; i < numbers->size(); ++i) {
    const std::string path = PathOf(path_, (*numbers)[i]);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Failed(path, "cannot be removed");
  }
  return Sync();
}

absl::Status RunFolder::SetAside(const std::string& image) const {
  const std::string aside = absl::StrCat(image, ".damaged");
  if (::rename(image.c_str(), aside.c_str()) != 0) return Failed(image, "cannot be renamed");
  return Sync();
}

absl::Status RunFolder::Sync() const {
  return ::fsync(lock_.get()) == 0 ? absl::OkStatus() : Failed(path_, "cannot be synced");
}

}  // namespace crfs
