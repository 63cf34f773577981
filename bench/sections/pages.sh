# SPDX-License-Identifier: Apache-2.0
# Memory of an image read as a file, against the same bytes in a file of ext4.

section_pages() {
    local memory=$((2 << 30)) runs=3 times=9 run each files size
    [[ -z $quick ]] || memory=$((256 << 20)) runs=1
    # Two address spaces, with half of the memory each.
    "$build/bench/generate" "$work/image" 4 0 "$memory"
    mount_crfs "$work/image" "$work/mnt"
    mapfile -t files < <(cd "$work/mnt" && find . -name pages -size +64M | sort)
    ((${#files[@]} == 2)) || return 1
    mkdir -p "$work/ext4"
    cp --sparse=never "$work/mnt/${files[0]}" "$work/ext4/0"
    cp --sparse=never "$work/mnt/${files[1]}" "$work/ext4/1"
    size=$(awk -v bytes="$(stat -c %s "$work/ext4/0")" 'BEGIN {printf "%.0f MiB", bytes / 1048576}')
    local -A paths=(
        [crfs]="$work/mnt/${files[0]} $work/mnt/${files[1]}"
        [ext4]="$work/ext4/0 $work/ext4/1")
    unmount "$work/mnt"
    for ((run = 0; run < runs; ++run)); do
        for each in crfs ext4; do
            measure_pages "$each" "$times" ${paths[$each]}
        done
    done
    compare "$size of pages in one file, cold" "$(kept crfs.cold)" ext4 "$(kept ext4.cold)" 1.15
    compare "$size of pages in one file, warm" "$(kept crfs.warm)" ext4 "$(kept ext4.warm)" 1.2
    local ours peer
    ours=$(both_to_one crfs)
    peer=$(both_to_one ext4)
    row "two readers of two files, one reader = 1 *" "$ours" "ext4 $peer" "" ">= 1.7" \
        "$(verdict "$ours" '>=' 1.7)"
}

# How many times the rate of one reader two have together. Of their best times, not medians:
# whatever else runs on a machine of few processors takes the second reader's.
both_to_one() { # NAME
    local one two
    one=$(sort -g "$work/figures.$1.one" | head -n 1)
    two=$(sort -g "$work/figures.$1.two" | head -n 1)
    awk -v one="$one" -v two="$two" 'BEGIN {printf "%.2f", 2 * one / two}'
}

measure_pages() { # NAME TIMES FILE FILE
    local read_files=$build/bench/read_files
    drop_caches
    [[ $1 != crfs ]] || mount_crfs "$work/image" "$work/mnt"
    keep "$1.cold" "$("$read_files" 1 "$3")"
    "$read_files" 1 "$4" >/dev/null
    keep "$1.warm" "$("$read_files" "$2" "$3")"
    for _ in {1..8}; do
        keep "$1.one" "$("$read_files" 1 "$3")"
        keep "$1.two" "$("$read_files" 1 "$3" "$4")"
    done
    [[ $1 != crfs ]] || unmount "$work/mnt"
}
