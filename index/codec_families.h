// SPDX-License-Identifier: Apache-2.0
//
// The families of text forms behind index/codec.h, a file each. Texts come and go without
// the newline at the end of one-line codecs, which codec.cc adds and removes.

#ifndef CRFS_INDEX_CODEC_FAMILIES_H_
#define CRFS_INDEX_CODEC_FAMILIES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/schema.h"

namespace crfs::codec {

// INVALID_ARGUMENT: `expected EXPECTED, found "TEXT"`, a long text cut short.
absl::Status Unexpected(absl::string_view expected, absl::string_view found);

// Decimal or hexadecimal digits (of either case) and nothing else. False if it is not
// that, or does not fit 64 bits.
bool ParseDecimal(absl::string_view text, uint64_t& number);
bool ParseHexadecimal(absl::string_view text, size_t least_digits, uint64_t& number);

// codec_number.cc: kDec, kHex, kHex8, kOct, kUmask, kOffset, kDev, kLimit.
std::string FormatPlainNumber(const Row& row, uint64_t number);
absl::StatusOr<uint64_t> ParsePlainNumber(const Row& row, absl::string_view text);

// codec_time.cc
std::string FormatNsec(uint64_t nanoseconds);
absl::StatusOr<uint64_t> ParseNsec(absl::string_view text);
std::string FormatTime(bool is_signed, uint64_t nanoseconds);
absl::StatusOr<uint64_t> ParseTime(bool is_signed, absl::string_view text);

// codec_words.cc: kEnum, kBits, kOpenFlags, kPerm, kHandler.
std::string FormatWords(const Row& row, uint64_t number);
absl::StatusOr<uint64_t> ParseWords(const Row& row, absl::string_view text);

// codec_signal.cc
inline constexpr uint64_t kMaxSignal = 64;
std::string FormatSigset(uint64_t set);
absl::StatusOr<uint64_t> ParseSigset(absl::string_view text);

// codec_bytes.cc: the codecs of `bytes` rows.
inline constexpr size_t kCpuBytesMax = 8192;  // of a set of cpus
std::string FormatBytes(Codec codec, absl::string_view bytes);
absl::StatusOr<std::string> ParseBytes(Codec codec, absl::string_view text);

}  // namespace crfs::codec

#endif  // CRFS_INDEX_CODEC_FAMILIES_H_
