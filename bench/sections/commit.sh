# SPDX-License-Identifier: Apache-2.0
# The image of a mounted tree that nobody has changed, written again; against a copy of the image.

section_commit() {
    local memory=$((1 << 30)) runs=5 name="1 GiB" run each
    [[ -z $quick ]] || memory=$((64 << 20)) runs=1 name="64 MiB"
    "$build/bench/generate" "$work/image" 4 0 "$memory"
    mount_crfs "$work/image" "$work/mnt"
    for ((run = 0; run < runs; ++run)); do
        for each in $(printf '%s\n' commit copy | shuf --random-source=<(yes "$run")); do
            rm -f "$work/$each"
            keep "$each.warm" "$(seconds "write_$each")"
        done
        cmp "$work/image" "$work/commit"
    done
    for ((run = 0; run < (runs + 1) / 2; ++run)); do
        for each in $(printf '%s\n' commit copy | shuf --random-source=<(yes "$run")); do
            rm -f "$work/$each"
            unmount "$work/mnt"
            drop_caches
            mount_crfs "$work/image" "$work/mnt"
            keep "$each.cold" "$(seconds "write_$each")"
        done
    done
    unmount "$work/mnt"
    # At least half of the rate is at most twice the time.
    for each in warm cold; do
        compare "commit -o of an unchanged tree, $name, $each" "$(kept "commit.$each")" \
            "cp and sync" "$(kept "copy.$each")" 2
    done
}

write_commit() { "$crfs" commit "$work/mnt" -o "$work/commit"; }
# An image is safe on the disk when crfs says that it is written; so the copy is, too.
write_copy() { cp "$work/image" "$work/copy" && sync "$work/copy"; }
