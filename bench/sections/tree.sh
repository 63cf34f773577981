# SPDX-License-Identifier: Apache-2.0
# One tree in four file systems: listed cold, listed again, and every small file read.

section_tree() {
    local tasks=240 runs=3 peers=(ext4 squashfuse erofs) run each
    [[ -z $quick ]] || tasks=30 runs=1
    "$build/bench/generate" "$work/image" "$tasks" 0 0
    mount_crfs "$work/image" "$work/mnt"
    copy_tree
    unmount "$work/mnt"
    # Orders differ from run to run, so that none always follows the same.
    for ((run = 0; run < runs; ++run)); do
        for each in $(printf '%s\n' crfs "${peers[@]}" | shuf --random-source=<(yes "$run")); do
            measure_tree "$each"
        done
    done
    local what entries small
    entries=$(wc -l <"$work/all")
    small=$(tr -cd '\0' <"$work/small" | wc -c)
    for each in squashfuse erofs ext4; do
        local targets=("" "" "")
        [[ $each != squashfuse ]] || targets=(0.8 0.6 0.5)
        compare "find -ls, cold ($entries entries)" "$(kept crfs.cold)" "$each" \
            "$(kept "$each.cold")" "${targets[0]}"
        compare "find -ls, second" "$(kept crfs.second)" "$each" "$(kept "$each.second")" \
            "${targets[1]}"
        compare "read every small file ($small)" "$(kept crfs.read)" "$each" \
            "$(kept "$each.read")" "${targets[2]}"
    done
}

copy_tree() {
    cp -a "$work/mnt" "$work/ext4"
    (cd "$work/ext4" && find . >"$work/all" && find . -type f -size -8k -print0 >"$work/small")
    mksquashfs "$work/ext4" "$work/squashfs" -quiet -no-progress >/dev/null
    mkfs.erofs --quiet "$work/erofs" "$work/ext4" >/dev/null 2>&1
}

mount_peer() { # NAME DIR
    mkdir -p "$2"
    case $1 in
        crfs) mount_crfs "$work/image" "$2" ;;
        ext4) mount --bind "$work/ext4" "$2" ;;
        squashfuse) squashfuse_ll "$work/squashfs" "$2" ;;
        erofs) mount -t erofs -o loop,ro "$work/erofs" "$2" ;;
    esac
}

read_small() { (cd "$1" && xargs -0 -n 2000 cat <"$work/small"); }

# ext4 lies on the disk of the machine and cannot be unmounted; its caches go all the same.
measure_tree() { # NAME
    mount_peer "$1" "$work/mnt"
    unmount "$work/mnt"
    drop_caches
    mount_peer "$1" "$work/mnt"
    keep "$1.cold" "$(seconds find "$work/mnt" -ls)"
    keep "$1.second" "$(seconds find "$work/mnt" -ls)"
    keep "$1.read" "$(seconds read_small "$work/mnt")"
    unmount "$work/mnt"
}
