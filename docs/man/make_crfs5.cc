// SPDX-License-Identifier: Apache-2.0
//
// Prints crfs(5) from the schema: every object, every attribute.

#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "index/schema.h"

namespace crfs {
namespace {

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"-", "\\-"}});
}

absl::string_view AccessWord(Access access) {
  switch (access) {
    case Access::kRo:
      return "cannot be edited";
    case Access::kRw:
      return "can be edited";
    case Access::kDerived:
      return "computed";
    default:
      return "";
  }
}

absl::string_view RestartWord(Restart restart) {
  switch (restart) {
    case Restart::kRestore:
      return "restored";
    case Restart::kCheck:
      return "checked at restart";
    case Restart::kInfo:
      return "for information";
  }
  return "";
}

std::string FolderOf(const ObjectType& type) {
  std::string folder;
  if (const ObjectType* owner = OwnerOf(type)) folder = FolderOf(*owner);
  if (!type.place.empty()) absl::StrAppend(&folder, folder.empty() ? "" : "/", type.place);
  switch (type.key) {
    case Key::kSingle:
      return folder;
    case Key::kId:
      return absl::StrCat(folder, "/ID");
    case Key::kNumber:
      return absl::StrCat(folder, "/NUMBER");
    case Key::kSignal:
      return absl::StrCat(folder, "/SIGNAL");
    case Key::kRange:
      return absl::StrCat(folder, "/START-END");
  }
  return folder;
}

void PrintWords(const Row& row) {
  if (row.words.empty()) return;
  std::cout << (row.codec == Codec::kEnum ? "One of:" : "Words:");
  for (const Word& word : row.words) std::cout << " " << Escaped(word.name);
  std::cout << ".\n";
}

void PrintType(const ObjectType& type) {
  std::cout << ".SS " << Escaped(FolderOf(type)) << "\n" << Escaped(type.doc) << ".\n";
  for (const Row& row : type.rows) {
    if (row.path.empty()) continue;
    std::cout << ".TP\n.I " << Escaped(row.path) << "\n" << Escaped(row.doc);
    if (row.wire == Wire::kRef) std::cout << " (a link to objects of type " << row.target << ")";
    std::cout << "; " << AccessWord(row.access) << ", " << RestartWord(row.restart) << ".\n";
    PrintWords(row);
  }
}

void Print() {
  std::cout
      << ".\\\" Made from include/crfs/schema.h.\n"
         ".TH CRFS 5 \"\" \"crfs\" \"File Formats\"\n"
         ".SH NAME\ncrfs \\- the tree of a checkpoint\n"
         ".SH DESCRIPTION\n"
         "A mounted checkpoint is a tree with one value a file. Values are text with a newline,\n"
         "written as\n.BR proc (5)\nwrites them; flags are words. References are relative\n"
         "symbolic links. Memory\n.RI ( pages )\nis a sparse file.\n"
         ".SH OBJECTS\n";
  for (const ObjectType& type : ObjectTypes()) PrintType(type);
  std::cout << ".SH SEE ALSO\n.BR crfs (1),\n.BR proc (5)\n";
}

}  // namespace
}  // namespace crfs

int main() {
  crfs::Print();
  return 0;
}
