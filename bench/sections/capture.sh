# SPDX-License-Identifier: Apache-2.0
# Memory of a frozen task through /dev/crfs and through process_vm_readv, in one guest.

section_capture() {
    local kernels=(6.1 6.12) runs=3 kernel output ours peer
    [[ -z $quick ]] || runs=1
    "$repository/scripts/build-kmod" >&2
    "$repository/tests/kmod/build" >&2
    for kernel in "${kernels[@]}"; do
        output=$("$repository/tests/vm/run" --kernel "$kernel" --timeout 120 -- \
            bash -c "for i in \$(seq $runs); do build/tests/kmod-tests rate; done") || true
        ours=$(rates '/dev/crfs' <<<"$output" | median)
        peer=$(rates 'process_vm_readv' <<<"$output" | median)
        local ratio
        ratio=$(divide "$ours" "$peer")
        row "capture in a guest, Linux $kernel" "$ours MiB/s" "process_vm_readv $peer" "$ratio" \
            ">= 0.9" "$(verdict "$ratio" '>=' 0.9)"
    done
}

# MiB/s of one way, a line a run.
rates() { sed -n "s|^# memory:.*$1 \([0-9]*\) MiB/s.*|\1|p"; }
