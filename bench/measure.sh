# SPDX-License-Identifier: Apache-2.0
# Measuring, mounting and cleaning up; sourced by bench/run.

# Seconds that a command takes; what it prints is thrown away. Fails if the command does.
seconds() {
    local begin=$EPOCHREALTIME
    "$@" >/dev/null || return 1
    awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.6f\n", b - a}'
}

# Of numbers, one a line.
median() {
    sort -g | awk '{value[NR] = $1} END {
        if (!NR) exit 1
        print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2}'
}

# Figures under a name, and their median. A figure that could not be taken is none.
keep() {
    [[ -n $2 ]] || return 1
    echo "$2" >>"$work/figures.$1"
}
kept() { median <"$work/figures.$1"; }

drop_caches() {
    sync -f "$work"
    echo 3 >/proc/sys/vm/drop_caches
}

mount_crfs() { # IMAGE DIR
    mkdir -p "$2"
    timeout 600 "$crfs" mount --index "$work/index" "$1" "$2"
}

# The daemon of a mount ends a little after it; figures of the next must not suffer.
unmount() { # DIR
    umount "$1" || umount -l "$1"
    sleep 0.2
}

clean_up() {
    local directory
    findmnt -rno TARGET | { grep -F "$work/" || true; } | sort -r |
        while read -r directory; do umount -l "$directory" || true; done
    rm -rf "$work"
}
