# SPDX-License-Identifier: Apache-2.0
# Memory of the daemon after everything in a large image was looked at.

section_daemon() {
    local objects=1000000 memory=$((8 << 30)) limit=240 name="1 M objects, 8 GiB" daemon note=
    [[ -z $quick ]] || objects=20000 memory=$((64 << 20)) limit=30 name="20 k objects, 64 MiB"
    "$build/bench/generate" "$work/image" 1000 "$objects" "$memory"
    mount_crfs "$work/image" "$work/mnt" # builds the index in a daemon of its own
    unmount "$work/mnt"
    mkdir -p "$work/mnt"
    "$crfs" mount --foreground --index "$work/index" "$work/image" "$work/mnt" &
    daemon=$!
    for _ in {1..100}; do
        ! mountpoint -q "$work/mnt" || break
        sleep 0.05
    done
    timeout "$limit" find "$work/mnt" -ls >"$work/listed" || note=", not to its end"
    timeout "$limit" find "$work/mnt" -type f -size -8k -print0 |
        timeout "$limit" xargs -0 -n 2000 -P 2 cat >/dev/null || note=", not to its end"
    local entries resident peak
    entries=$(wc -l <"$work/listed")
    resident=$(memory_of "$daemon" VmRSS)
    peak=$(memory_of "$daemon" VmHWM)
    unmount "$work/mnt"
    wait "$daemon" || true
    row "daemon, $name: VmRSS" "$resident MiB" "" "" "<= 128 MiB" "$(verdict "$resident" '<=' 128)"
    row "  its peak, VmHWM" "$peak MiB" "" "" "<= 128 MiB" "$(verdict "$peak" '<=' 128)"
    row "  entries listed and files read$note" "$entries" "" "" "" ""
}

memory_of() { awk -v name="$2:" '$1 == name {printf "%.0f", $2 / 1024}' "/proc/$1/status"; }
