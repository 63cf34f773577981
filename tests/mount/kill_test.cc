// SPDX-License-Identifier: Apache-2.0
//
// The daemon is killed, over and over, while a tree is written: what close(2) or fsync(2) has
// acknowledged is there when it is mounted again, and the copy can go on.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/mount/writable.h"

namespace crfs {
namespace {

namespace fs = std::filesystem;

// CRFS_KILL_ROUNDS in the environment: how many kills; else few enough for every day.
int Rounds() {
  int rounds = 0;
  const char* const wanted = std::getenv("CRFS_KILL_ROUNDS");
  return wanted != nullptr && absl::SimpleAtoi(wanted, &rounds) ? rounds : 25;
}

struct SourceFile {
  std::string path;  // from the root
  fs::file_type type;
  std::string text;  // contents, or a link's target
};

// Links have no extended attributes; a task shows these of other objects.
bool IsComputed(const std::string& root, const std::string& path) {
  static const std::set<std::string> kLinks = {"exe", "cwd", "root", "cred"};
  const fs::path whole = fs::path(root) / path;
  if (fs::is_symlink(whole)) {
    return fs::path(path).parent_path().parent_path() == "tasks" &&
           kLinks.contains(whole.filename().string());
  }
  return Xattr(whole.string(), "user.crfs.access") == "derived";
}

// All of a mounted tree but its memory and what is computed from the rest, directories before
// what they hold.
std::vector<SourceFile> ReadSource(const std::string& root) {
  std::vector<SourceFile> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    SourceFile file = {.path = entry.path().lexically_relative(root).string(),
                       .type = entry.symlink_status().type()};
    if (entry.path().filename() == "pages" || entry.path().filename() == "pagemap") continue;
    if (file.type != fs::file_type::directory && IsComputed(root, file.path)) continue;
    if (file.type == fs::file_type::regular) file.text = Get(entry.path().string());
    if (file.type == fs::file_type::symlink) file.text = fs::read_symlink(entry.path()).string();
    files.push_back(std::move(file));
  }
  return files;
}

// Writes files of a tree as a program does that looks at each result, and remembers which have
// been acknowledged.
class Writer {
 public:
  Writer(const std::vector<SourceFile>& source, std::string root, unsigned seed)
      : source_(source), root_(std::move(root)), random_(seed) {}

  // Until something fails, or `stop`.
  void Run(const std::atomic<bool>& stop) {
    while (!stop) {
      const size_t begin = random_() % source_.size();
      for (size_t i = begin; i < std::min(begin + 20, source_.size()) && !stop; ++i) {
        if (!WriteOne(source_[i])) return;
      }
      // And something of which nobody but this test knows, by a rename as an editor does it.
      const std::string name = absl::StrCat("note-", random_() % 8);
      const std::string text = absl::StrCat(random_(), "\n");
      // Whether it has been done is not known before it has been acknowledged.
      notes_.erase(name);
      if (PutAndSync(absl::StrCat(root_, "/.", name), text) != 0 ||
          ::rename(absl::StrCat(root_, "/.", name).c_str(), Path(name).c_str()) != 0) {
        return;
      }
      notes_[name] = text;
    }
  }

  // What was acknowledged and is not there.
  std::string Missing() const {
    std::string missing;
    for (const SourceFile* file : done_) {
      const std::string path = Path(file->path);
      std::error_code error;
      const fs::file_type type = fs::symlink_status(path, error).type();
      const bool same =
          type == file->type && (type != fs::file_type::regular || Get(path) == file->text) &&
          (type != fs::file_type::symlink || fs::read_symlink(path, error) == file->text);
      if (!same) absl::StrAppend(&missing, file->path, " ");
    }
    for (const auto& [name, text] : notes_) {
      if (Get(Path(name)) != text) absl::StrAppend(&missing, name, " ");
    }
    return missing;
  }

  size_t acknowledged() const { return done_.size() + notes_.size(); }
  void Forget() {
    done_.clear();
    notes_.clear();
  }

 private:
  std::string Path(const std::string& path) const { return absl::StrCat(root_, "/", path); }

  bool WriteOne(const SourceFile& file) {
    const std::string path = Path(file.path);
    if (::mkdir(fs::path(path).parent_path().c_str(), 0700) != 0 && errno != EEXIST &&
        errno != ENOENT) {
      return false;
    }
    int error = 0;
    switch (file.type) {
      case fs::file_type::directory:
        error = ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? 0 : errno;
        break;
      case fs::file_type::symlink:
        error = ::symlink(file.text.c_str(), path.c_str()) == 0 || errno == EEXIST ? 0 : errno;
        break;
      default:
        error = random_() % 2 != 0 ? Put(path, file.text) : PutAndSync(path, file.text);
    }
    if (error == ENOENT) return true;  // a directory further up is yet to be made
    if (error != 0) return false;
    done_.push_back(&file);
    return true;
  }

  const std::vector<SourceFile>& source_;
  const std::string root_;
  std::mt19937 random_;
  std::vector<const SourceFile*> done_;
  std::map<std::string, std::string> notes_;
};

class KillTest : public WritableTest {};

TEST_F(KillTest, WhatWasAcknowledgedIsThere) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  Generate({.tasks = 8, .memory = 4 << 20});
  const std::string source = home() + "/source";
  const std::string mounted = home() + "/mounted";
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", mounted, " && crfs mount --index ", index(), " ",
                                    image(), " ", mounted, " && cp -a ", mounted, " ", source)));
  const std::vector<SourceFile> files = ReadSource(mounted);
  ASSERT_TRUE(Succeeds("crfs umount " + mounted));
  const std::string copy =
      absl::StrCat("cd ", source,
                   " && find . -mindepth 2 -maxdepth 2 -print0 | sort -zR | xargs -0 -n 1 -P 8 "
                   "sh -c 'rsync -aR \"$1\" ",
                   directory(), "/ 2>/dev/null || exit 255' -");
  Writer writer(files, directory(), 1);
  std::mt19937 random(std::random_device{}());
  int kills = 0, copies = 0;
  size_t acknowledged = 0;
  while (kills < Rounds()) {
    ASSERT_TRUE(MountNew());
    ASSERT_EQ(writer.Missing(), "") << "after " << kills << " kills";
    acknowledged += writer.acknowledged();
    std::atomic<bool> stop = false;
    std::atomic<bool> copied = false;
    std::thread rsyncs([&] { copied = RunScript(copy).status == 0; });
    std::thread writes([&] { writer.Run(stop); });
    std::this_thread::sleep_for(std::chrono::milliseconds(10 + random() % 700));
    const std::vector<pid_t> daemons = Daemons();
    EXPECT_EQ(daemons.size(), 1u);
    for (const pid_t daemon : daemons) ::kill(daemon, SIGKILL);
    ++kills;
    stop = true;
    rsyncs.join();
    writes.join();
    ASSERT_TRUE(
        Succeeds(absl::StrCat("umount -l ", directory(), " || fusermount3 -uz ", directory())));
    if (!copied) continue;
    // All had been copied before: that is the tree; and once more from the beginning.
    ++copies;
    ASSERT_TRUE(MountNew());
    ASSERT_EQ(writer.Missing(), "");
    ASSERT_TRUE(IsTheImage(directory())) << "after " << kills << " kills";
    ASSERT_TRUE(Unmount());
    ASSERT_TRUE(Succeeds(absl::StrCat("rm -r ", directory(), "/.crfs-edits")));
    writer.Forget();
  }
  ASSERT_TRUE(MountNew());
  ASSERT_EQ(writer.Missing(), "");
  ASSERT_TRUE(Succeeds(copy, 200));
  EXPECT_TRUE(IsTheImage(directory()));
  EXPECT_TRUE(Succeeds(absl::StrCat("rsync -a --delete ", source, "/ ", directory(),
                                    "/ && diff -r --no-dereference ", source, " ", directory())));
  EXPECT_GT(acknowledged, 0u);
  std::cout << kills << " kills, " << copies << " whole copies in between, " << acknowledged
            << " acknowledged files looked at\n";
}

}  // namespace
}  // namespace crfs
