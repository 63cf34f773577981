# SPDX-License-Identifier: Apache-2.0
# What the restart tests share. Sourced from the repository's root.
#
# $SAVE_ENGINE takes the checkpoints that are restarted (kernel or ptrace, default `auto`), and
# $RESTART_ENGINE restarts them (default: what `crfs restart` takes by itself).
#
# story NAME WORDS: runs story_NAME in a folder of its own, $folder, and prints `ok WORDS` or
# `FAIL WORDS` with what it said. $pid is the program; it is killed at the end. The script's
# own arguments, if there are any, are the names of the stories that are told.

built=$PWD/build/tests/restart
programs=$PWD/tests/restart/programs
failed=0
told=("$@")
save_with=(--engine "${SAVE_ENGINE:-auto}")
restart_with=(${RESTART_ENGINE:+--engine "$RESTART_ENGINE"})

story() {
  ((${#told[@]} == 0)) || [[ " ${told[*]} " == *" $1 "* ]] || return 0
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

# start_state PATH: starts a program of tests/restart/states, which has set its state up when this
# returns. It goes on when somebody writes to the fifo $folder/go.
start_state() {
  mkfifo "$folder/go"
  setsid "$1" "$folder" </dev/null >"$folder/said" 2>&1 &
  pid=$!
  wait_until "it is set up" test -e "$folder/ready" || { cat "$folder/said"; return 1; }
  sleep 0.5
}

# start_cat_of_a_terminal: cat > some_file in $folder, as from an interactive shell: that leads the
# session, cat has a process group in it.
start_cat_of_a_terminal() {
  python3 "$programs/terminal.py" 120 --stay kept -- \
    bash -c "cd '$folder'; set -m; (echo \$BASHPID >pid; exec cat >some_file)" >/dev/null &
  holder=$!
  wait_until "cat has written" grep -qs kept "$folder/some_file" || return 1
  pid=$(cat "$folder/pid")
}

# save_cat_of_a_terminal: the same in $folder/cat.crfs.
save_cat_of_a_terminal() {
  start_cat_of_a_terminal && save "$pid" "$folder/cat.crfs"
}

# save PID IMAGE: and the program is gone, its pid free.
save() {
  crfs checkpoint "${save_with[@]}" "$1" -o "$2" --kill || { echo "checkpoint: $?"; return 1; }
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

# recheck IMAGE PID [PATTERN...]: a checkpoint of the restarted program has the same value in
# every row that a restart restores, but for those that tests/restart/differences and
# not_rseq.py give reasons for, lines that match a PATTERN, and what is left of a sleep, which
# is less by no more than the test may have taken.
recheck() {
  local words differences status image=$1 root=$2
  shift 2
  words=$(sed -e '/^#/d; /^$/d' -e "s/ROOT/$root/g" tests/restart/differences)
  words+=$(printf '\n%s' "$@")
  crfs checkpoint "$root" -o "$folder/.again.crfs" || return 1
  differences=$(crfs diff --restored "$image" "$folder/.again.crfs")
  [ $? -le 1 ] || { echo "diff: $differences"; return 1; }
  differences=$(grep -vxE "$words" <<<"$differences" |
    awk '!(/\/syscall\/remaining: / && $4 <= $2 && $4 > $2 - 60)')
  [ -n "$differences" ] || return 0
  mkdir "$folder/.first" "$folder/.second"
  crfs mount "$image" "$folder/.first" && crfs mount "$folder/.again.crfs" "$folder/.second" || return 1
  differences=$(python3 tests/restart/not_rseq.py "$folder/.first" "$folder/.second" \
    <<<"$differences")
  status=$?
  crfs umount "$folder/.first" && crfs umount "$folder/.second" || return 1
  rmdir "$folder/.first" "$folder/.second"
  [ $status -eq 0 ] && [ -z "$differences" ] || { echo "$differences"; return 1; }
}
