// SPDX-License-Identifier: Apache-2.0

#include "engine/same_credentials.h"

#include <gtest/gtest.h>

namespace crfs {
namespace {

TEST(SameCredentials, AreOneObjectWithinATask) {
  Snapshot snapshot;
  const auto add = [&](const ObjectBuilder& object) { ASSERT_TRUE(snapshot.Add(object).ok()); };
  add(ObjectBuilder(*FindType("task")).SetNumber("pid", 10));
  add(ObjectBuilder(*FindType("task")).SetNumber("pid", 20));
  uint64_t creds = 0;
  const auto add_thread = [&](uint64_t task, uint64_t uid) {
    add(ObjectBuilder(*FindType("cred")).SetNumber("uid", uid));
    add(ObjectBuilder(*FindType("thread")).SetNumber("task", task).SetNumber("cred", ++creds));
  };
  add_thread(1, 0);
  add_thread(1, 7);
  add_thread(1, 0);
  add_thread(2, 0);
  ASSERT_TRUE(UnifyCredentials(snapshot).ok());
  ASSERT_EQ(snapshot.Count(*FindType("cred")), 3U);
  const uint64_t expected[] = {1, 2, 1, 3}, uids[] = {0, 7, 0};
  for (uint64_t id = 1; id <= 4; ++id) {
    EXPECT_EQ(snapshot.Get("thread", id).Number("cred"), expected[id - 1]);
  }
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(snapshot.Get("cred", id).Number("uid"), uids[id - 1]);
  }
}

}  // namespace
}  // namespace crfs
