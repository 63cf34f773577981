# SPDX-License-Identifier: Apache-2.0
# A program with much memory restarted by crfs and by CRIU, in turns, in one guest.

section_restart() {
    local kernels=(6.1 6.12) mib=1024 runs=3 kernel output what ours peer
    [[ -z $quick ]] || { mib=128 runs=1; }
    "$repository/scripts/build-kmod" >&2
    "$repository/tests/restart/build" >&2
    for kernel in "${kernels[@]}"; do
        output=$("$repository/tests/vm/run" --kernel "$kernel" --memory 8192 --timeout 600 -- \
            bench/restart_in_guest "$mib" "$runs") || true
        peer=$(named criu-restore <<<"$output" | median)
        for what in restart commit; do
            ours=$(named "crfs-$what" <<<"$output" | median)
            compare "crfs $what of $mib MiB, Linux $kernel" "$ours" "criu restore" "$peer" 0.7
        done
    done
}

# The figures of one name, of lines NAME SECONDS.
named() { sed -n "s/^$1 //p"; }
