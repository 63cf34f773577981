# SPDX-License-Identifier: Apache-2.0
# rsync by several workers at once: out of a mount, and into a new tree; each beside the same
# files copied from ext4 to ext4.

section_rsync() {
    local tasks=30 workers=(1 2 4 8) runs=3 count run way
    [[ -z $quick ]] || tasks=8 runs=1
    "$build/bench/generate" "$work/image" "$tasks" 0 $((16 << 20))
    mount_crfs "$work/image" "$work/mnt"
    cp -a "$work/mnt" "$work/ext4"
    local entries
    entries=$(find "$work/ext4" | wc -l)
    for ((run = 0; run < runs; ++run)); do
        for count in "${workers[@]}"; do
            for way in out plain in; do
                keep "$way.$count" "$(copy_once "$way" "$count")"
            done
        done
    done
    unmount "$work/mnt"
    for count in "${workers[@]}"; do
        compare "rsync out of a mount, $count workers ($entries entries)" "$(kept "out.$count")" \
            "ext4 to ext4" "$(kept "plain.$count")"
    done
    for count in "${workers[@]}"; do
        compare "rsync into a new tree, $count workers" "$(kept "in.$count")" "ext4 to ext4" \
            "$(kept "plain.$count")"
    done
}

copy_once() { # WAY WORKERS
    local from=$work/ext4
    rm -rf "$work/copy"
    mkdir "$work/copy"
    [[ $1 != out ]] || from=$work/mnt
    [[ $1 != in ]] || "$crfs" mount --new "$work/copy" >&2
    # The caches of who is read from are warm: it is the copying that is measured.
    find "$from" -type f -size -8k -exec cat {} + >/dev/null
    seconds rsync_by "$2" "$from" "$work/copy"
    [[ $1 != in ]] || unmount "$work/copy"
}

# Each worker takes some objects at a time.
rsync_by() { # WORKERS FROM TO
    (cd "$2" && printf '%s\0' checkpoint tasks/* objects/*/* |
        xargs -0 -n 50 -P "$1" sh -c 'rsync -aR "$@" "$0"/' "$3")
}
