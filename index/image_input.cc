// SPDX-License-Identifier: Apache-2.0

#include "index/image_input.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <span>

namespace crfs {
namespace {

constexpr size_t kFirstCapacity = 256 << 10;

}  // namespace

Digester::Digester() : state_(XXH3_createState()) {
  if (state_ == nullptr || XXH3_128bits_reset(state_) != XXH_OK) throw std::bad_alloc();
}

void Digester::Add(absl::string_view bytes) {
  XXH3_128bits_update(state_, bytes.data(), bytes.size());
}

Digest Digester::Get() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_));
  Digest digest;
  static_assert(sizeof(canonical.digest) == sizeof(digest));
  std::memcpy(digest.data(), canonical.digest, sizeof(digest));
  return digest;
}

ImageInput::ImageInput(ByteSource* source)
    : source_(source),
      capacity_(kFirstCapacity),
      buffer_(std::make_unique_for_overwrite<char[]>(capacity_)) {}

absl::Status ImageInput::Fill(size_t length) {
  if (end_ - begin_ >= length) return absl::OkStatus();
  DigestConsumed();
  const size_t ready = end_ - begin_;
  if (length > capacity_) {
    auto bigger = std::make_unique_for_overwrite<char[]>(length);
    std::memcpy(bigger.get(), buffer_.get() + begin_, ready);
    buffer_ = std::move(bigger);
    capacity_ = length;
  } else {
    std::memmove(buffer_.get(), buffer_.get() + begin_, ready);
  }
  begin_ = digested_ = 0;
  end_ = ready;
  while (end_ < length) {
    const auto count = source_->Read(std::span(buffer_.get() + end_, capacity_ - end_));
    if (!count.ok()) return count.status();
    if (*count == 0) break;
    end_ += *count;
  }
  return absl::OkStatus();
}

void ImageInput::Consume(size_t length) {
  assert(length <= end_ - begin_);
  begin_ += length;
  offset_ += length;
  if (!digesting_) digested_ = begin_;
}

absl::Status ImageInput::Skip(uint64_t length) {
  assert(!digesting_);
  const auto ready = static_cast<size_t>(std::min<uint64_t>(length, end_ - begin_));
  Consume(ready);
  offset_ += length - ready;
  if (length == ready) return absl::OkStatus();
  return source_->Skip(length - ready);
}

void ImageInput::SetDigesting(bool digesting) {
  DigestConsumed();
  digesting_ = digesting;
}

Digest ImageInput::GetDigest() {
  DigestConsumed();
  return digester_.Get();
}

void ImageInput::DigestConsumed() {
  if (digested_ < begin_) {
    digester_.Add(absl::string_view(buffer_.get() + digested_, begin_ - digested_));
  }
  digested_ = begin_;
}

}  // namespace crfs
