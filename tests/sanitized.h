// SPDX-License-Identifier: Apache-2.0
//
// Whether this is built with a sanitizer, which takes time and memory of its own: each of the
// two compilers has its own way to tell.

#ifndef CRFS_TESTS_SANITIZED_H_
#define CRFS_TESTS_SANITIZED_H_

namespace crfs {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace crfs

#endif  // CRFS_TESTS_SANITIZED_H_
