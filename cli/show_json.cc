// SPDX-License-Identifier: Apache-2.0

#include "cli/show_json.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "index/tree_contents.h"

namespace crfs {
namespace {

// JSON is UTF-8; what is not, or holds control characters, is shown in hexadecimal.
std::string Quoted(absl::string_view bytes) {
  for (const char c : bytes) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
      return absl::StrCat("{\"hex\": \"", absl::BytesToHexString(bytes), "\"}");
    }
  }
  try {
    return nlohmann::json(std::string(absl::StripSuffix(bytes, "\n"))).dump();
  } catch (const nlohmann::json::type_error&) {  // not UTF-8
    return absl::StrCat("{\"hex\": \"", absl::BytesToHexString(bytes), "\"}");
  }
}

class JsonPrinter {
 public:
  JsonPrinter(const Tree& tree, ByteSink& out) : tree_(tree), out_(out) {}

  absl::Status Print(Inode inode) {
    const absl::StatusOr<Attributes> attributes = tree_.Stat(inode);
    if (!attributes.ok()) return attributes.status();
    if (absl::Status status = PrintValue(*attributes, 0); !status.ok()) return status;
    text_ += '\n';
    return out_.Write(text_);
  }

 private:
  absl::Status PrintValue(const Attributes& attributes, int depth) {
    if (S_ISDIR(attributes.mode)) return PrintDirectory(attributes.inode, depth);
    if (S_ISLNK(attributes.mode)) {
      const absl::StatusOr<std::string> target = tree_.ReadLink(attributes.inode);
      if (!target.ok()) return target.status();
      absl::StrAppend(&text_, "{\"link\": ", Quoted(*target), "}");
      return absl::OkStatus();
    }
    if (IsMemory(tree_, attributes.inode)) return PrintMemory(attributes);
    const absl::StatusOr<std::string> contents = ReadContents(tree_, attributes);
    if (!contents.ok()) return contents.status();
    text_ += Quoted(*contents);
    return absl::OkStatus();
  }

  absl::Status PrintDirectory(Inode directory, int depth) {
    const std::string indent(2 * (depth + 1), ' ');
    bool first = true;
    absl::Status failed;
    text_ += '{';
    const absl::Status listed = tree_.List(directory, 0, [&](const Entry& entry) {
      absl::StrAppend(&text_, first ? "\n" : ",\n", indent, Quoted(entry.name), ": ");
      first = false;
      failed = PrintValue(entry.attributes, depth + 1);
      if (failed.ok() && text_.size() >= 1 << 16) {
        failed = out_.Write(text_);
        text_.clear();
      }
      return failed.ok();
    });
    if (!failed.ok()) return failed;
    if (!listed.ok()) return listed;
    if (!first) absl::StrAppend(&text_, "\n", indent.substr(2));
    text_ += '}';
    return absl::OkStatus();
  }

  absl::Status PrintMemory(const Attributes& attributes) {
    absl::StrAppend(&text_, "{\"size\": ", attributes.size, ", \"saved\": [");
    bool first = true;
    uint64_t offset = 0;
    while (offset < attributes.size) {
      const absl::StatusOr<uint64_t> data = tree_.SeekData(attributes.inode, offset);
      if (absl::IsOutOfRange(data.status())) break;
      if (!data.ok()) return data.status();
      const absl::StatusOr<uint64_t> hole = tree_.SeekHole(attributes.inode, *data);
      if (!hole.ok()) return hole.status();
      absl::StrAppend(&text_, first ? "" : ", ", "[", *data, ", ", *hole - *data, "]");
      first = false;
      offset = *hole;
    }
    text_ += "]}";
    return absl::OkStatus();
  }

  const Tree& tree_;
  ByteSink& out_;
  std::string text_;
};

}  // namespace

absl::Status PrintJson(const Tree& tree, Inode inode, ByteSink& out) {
  return JsonPrinter(tree, out).Print(inode);
}

}  // namespace crfs
