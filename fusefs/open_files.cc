// SPDX-License-Identifier: Apache-2.0

#include "fusefs/open_files.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace crfs {
namespace {

// More inodes than this are not worth remembering.
constexpr size_t kMaxWithPages = 1 << 16;

}  // namespace

uint64_t OpenFiles::Add(std::shared_ptr<Handle> handle) {
  const MutexLock lock(&mutex_);
  of_inode_[handle->inode].push_back(handle);
  handles_.emplace(next_, std::move(handle));
  return next_++;
}

std::shared_ptr<Handle> OpenFiles::Get(uint64_t number) const {
  const MutexLock lock(&mutex_);
  const auto found = handles_.find(number);
  return found == handles_.end() ? nullptr : found->second;
}

void OpenFiles::Close(uint64_t number) {
  std::shared_ptr<Handle> closed;  // destroyed when nobody holds the lock
  const MutexLock lock(&mutex_);
  const auto found = handles_.find(number);
  if (found == handles_.end()) return;
  closed = std::move(found->second);
  handles_.erase(found);
  if (closed->writable && closed->is_value) ++moment_;
  const auto same = of_inode_.find(closed->inode);
  std::erase(same->second, closed);
  if (same->second.empty()) of_inode_.erase(same);
}

uint64_t OpenFiles::Moment() const {
  const MutexLock lock(&mutex_);
  return moment_;
}

bool OpenFiles::IsUnsettled(Inode inode, uint64_t moment) const {
  const MutexLock lock(&mutex_);
  if (moment != moment_) return true;
  const auto found = of_inode_.find(inode);
  return found != of_inode_.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [](const auto& handle) { return handle->writable && handle->is_value; });
}

std::shared_ptr<Handle> OpenFiles::LastOf(Inode inode) const {
  const MutexLock lock(&mutex_);
  const auto found = of_inode_.find(inode);
  if (found == of_inode_.end()) return nullptr;
  const auto& handles = found->second;
  const auto written = std::find_if(handles.rbegin(), handles.rend(),
                                    [](const auto& handle) { return handle->writable; });
  return written != handles.rend() ? *written : handles.back();
}

std::vector<std::shared_ptr<Handle>> OpenFiles::WritersOf(Inode inode) const {
  std::vector<std::shared_ptr<Handle>> writers;
  const MutexLock lock(&mutex_);
  const auto found = of_inode_.find(inode);
  if (found == of_inode_.end()) return writers;
  std::copy_if(found->second.begin(), found->second.end(), std::back_inserter(writers),
               [](const auto& handle) { return handle->writable; });
  return writers;
}

bool OpenFiles::KeepsPages(Inode inode) {
  const MutexLock lock(&mutex_);
  if (with_pages_.size() >= kMaxWithPages) with_pages_.clear();
  return !with_pages_.insert(inode).second;
}

void OpenFiles::ChangeOthers() {
  const MutexLock lock(&mutex_);
  ++moment_;
  with_pages_.clear();
}

}  // namespace crfs
