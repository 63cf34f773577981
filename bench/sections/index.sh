# SPDX-License-Identifier: Apache-2.0
# Building the index of an image, against writing as many entries to one sorted file.

section_index() {
    local objects=1000000 runs=3 name="1 M" ours alone peak entries
    [[ -z $quick ]] || objects=50000 runs=1 name="50 k"
    "$build/bench/generate" "$work/image" 1000 "$objects" 0
    for _ in $(seq "$runs"); do
        rm -rf "$work/built"
        read -r ours alone peak entries < <(
            timeout 600 "$build/bench/build_index" "$work/image" "$work/built")
        keep ours "$ours"
        keep alone "$alone"
        keep peak "$peak"
    done
    compare "index of $name objects (${entries} entries)" "$(kept ours)" SstFileWriter \
        "$(kept alone)" 3
    peak=$(awk '{printf "%.0f", $1 / 1024}' <<<"$(kept peak)")
    row "  its peak memory (max RSS)" "$peak MiB" "" "" "<= 256 MiB" "$(verdict "$peak" '<=' 256)"
}
