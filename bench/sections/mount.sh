# SPDX-License-Identifier: Apache-2.0
# Mounting an image that has an index: until the command returns and the mount answers.

section_mount() {
    local objects=1000000 runs=11 name="1 M" i ratio
    [[ -z $quick ]] || objects=50000 runs=5 name="50 k"
    "$build/bench/generate" "$work/small" 10 1000 0
    "$build/bench/generate" "$work/large" 1000 "$objects" 0
    for ((i = -1; i < runs; ++i)); do
        for image in small large; do
            mkdir -p "$work/mnt"
            figure=$(seconds mount_and_look "$work/$image" "$work/mnt")
            ((i < 0)) || keep "$image" "$figure" # the first builds the index
            unmount "$work/mnt"
        done
    done
    ratio=$(divide "$(kept large)" "$(kept small)")
    row "mount: $name objects; 1 k objects" "$(show "$(kept large)")" "crfs 1 k $(show "$(kept small)")" \
        "$ratio" "<= 1.5" "$(verdict "$ratio" '<=' 1.5)"
    row "  mount: $name objects" "$(show "$(kept large)")" "" "" "<= 50 ms" \
        "$(verdict "$(kept large)" '<=' 0.05)"
}

mount_and_look() {
    mount_crfs "$1" "$2" && stat "$2/checkpoint/uuid"
}
