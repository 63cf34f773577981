# SPDX-License-Identifier: Apache-2.0
# A program with much memory saved by both engines of crfs and by CRIU, in turns, in one guest.

section_dump() {
    local kernels=(6.1 6.12) mib=1024 runs=3 kernel output engine
    [[ -z $quick ]] || { mib=128 runs=1; }
    "$repository/scripts/build-kmod" >&2
    "$repository/tests/restart/build" >&2
    for kernel in "${kernels[@]}"; do
        output=$("$repository/tests/vm/run" --kernel "$kernel" --memory 8192 --timeout 600 -- \
            bench/dump_in_guest "$mib" "$runs") || true
        for engine in kernel ptrace; do
            compare "$engine engine, $mib MiB, Linux $kernel" "$(figure "$engine")" "criu dump" \
                "$(figure criu)" 0.7
            compare "the program stood" "$(figure "$engine-stood")" "criu dump" \
                "$(figure criu-stood)" 0.7
        done
    done
}

# The median of one name, of lines NAME SECONDS in $output.
figure() { sed -n "s/^$1 //p" <<<"$output" | median; }
