# SPDX-License-Identifier: Apache-2.0
# What the restart tests share. Sourced from the repository's root.
#
# story NAME WORDS: runs story_NAME in a folder of its own, $folder, and prints `ok WORDS` or
# `FAIL WORDS` with what it said. $pid is the program; it is killed at the end.

built=$PWD/build/tests/restart
programs=$PWD/tests/restart/programs
failed=0

story() {
  folder=$(mktemp -d)
  mkdir "$folder/mnt"
  pid= committed= holder=
  # Not in a subshell: the program is to be waited for by who started it.
  if "story_$1" >"$folder/.log" 2>&1; then
    echo "ok $2"
  else
    echo "FAIL $2"
    head -n 30 "$folder/.log" | cut -c 1-300 | sed 's/^/    /'
    failed=1
  fi
  crfs umount "$folder/mnt" 2>/dev/null
  local process
  for process in $committed $holder $pid $(jobs -p); do
    kill -KILL "$process" 2>/dev/null
    wait "$process" 2>/dev/null
  done
  rm -rf "$folder"
}

# wait_until WORDS COMMAND...: until it succeeds, half a minute at most.
wait_until() {
  local words=$1 i
  shift
  for i in $(seq 300); do
    "$@" && return 0
    sleep 0.1
  done
  echo "in vain: waited until $words"
  return 1
}

# save PID IMAGE: and the program is gone, its pid free.
save() {
  crfs checkpoint "$1" -o "$2" --kill || { echo "checkpoint: $?"; return 1; }
  wait "$1" 2>/dev/null
  wait_until "pid $1 is free" test ! -e "/proc/$1"
}

# ends PID STATUS: within half a minute, with this exit status.
ends() {
  local status
  wait_until "process $1 ends" has_ended "$1" || return 1
  wait "$1"
  status=$?
  [ $status -eq "$2" ] || { echo "exit status $status, not $2"; return 1; }
}
has_ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

is() { [ "$2" = "$3" ] || { echo "not so: $1: expected '$2', got '$3'"; return 1; }; }
same() { cmp "$2" "$3" || { echo "not so: $1"; return 1; }; }

# recheck IMAGE PID: a checkpoint of the restarted program has the same value in every row
# that a restart restores.
recheck() {
  crfs checkpoint "$2" -o "$folder/again.crfs" || return 1
  crfs diff --restored "$1" "$folder/again.crfs"
}
