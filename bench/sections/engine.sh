# SPDX-License-Identifier: Apache-2.0
# The ptrace engine on this machine itself: checkpoints and restarts of 1, 4 and 8 GiB, how long a
# program with four threads stands, and how much memory crfs takes meanwhile.

section_engine() {
    local sizes=(1024 4096 8192) runs=3 mib
    [[ -z $quick ]] || { sizes=(128) runs=1; }
    "$repository/tests/restart/build" >&2
    for mib in "${sizes[@]}"; do checkpoint_and_restart "$mib" "$runs"; done
    stand_with_threads
}

# start_touched MIB: a program with so much memory; sets pid.
start_touched() {
    rm -f "$work/ready"
    setsid "$build/tests/restart/touched" "$1" "$work/ready" </dev/null >/dev/null 2>&1 251>&- &
    pid=$!
    until [[ -e $work/ready ]]; do sleep 0.05; done
}
end_touched() { # its memory is as it was
    kill -USR1 "$1"
    while [[ -e /proc/$1 ]]; do sleep 0.05; done
    [[ ! -e $work/ready ]]
}

# Seconds and the most memory, in KiB, of any process of a command.
seconds_and_memory() {
    python3 -c 'import resource, subprocess, sys, time
begin = time.time()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.time() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}

checkpoint_and_restart() { # MIB RUNS
    local mib=$1 i pid took memory
    for ((i = 0; i < $2; i++)); do
        start_touched "$mib"
        drop_caches
        keep "copy-$mib" "$(seconds "$build/bench/copy_memory" "$pid" "$work/copy")"
        rm "$work/copy"
        drop_caches
        read -r took memory < <(seconds_and_memory "$crfs" checkpoint --engine ptrace "$pid" \
            -o "$work/image" --kill)
        keep "checkpoint-$mib" "$took"
        keep "memory-$mib" "$memory"
        wait "$pid" 2>/dev/null || true
        drop_caches
        keep "cat-$mib" "$(seconds cat "$work/image")"
        drop_caches
        keep "restart-$mib" "$(seconds "$crfs" restart --engine ptrace --detach "$work/image")"
        end_touched "$pid"
        rm "$work/image"
    done
    # A rate of at least 0.8 is a time of at most 1 / 0.8.
    compare "checkpoint of $mib MiB by ptrace" "$(kept "checkpoint-$mib")" process_vm_readv \
        "$(kept "copy-$mib")" 1.25
    memory=$(kept "memory-$mib")
    row "most memory of crfs meanwhile" "$((memory / 1024)) MiB" - - "<= 64 MiB" \
        "$(verdict "$memory" '<=' 65536)"
    compare "restart of $mib MiB by ptrace" "$(kept "restart-$mib")" "cat of the image" \
        "$(kept "cat-$mib")" 1.25
}

# For information: gcore stops a program for as long as it takes.
stand_with_threads() {
    local pid i
    for i in 1 2 3; do
        python3 -c 'import sys, threading, time
memory = bytearray(b"\1" * (64 << 20))
for i in range(3): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
open(sys.argv[1], "w").close()
time.sleep(1000)' "$work/ready-4" </dev/null >/dev/null 2>&1 251>&- &
        pid=$!
        until [[ -e $work/ready-4 ]]; do sleep 0.05; done
        sleep 0.2
        "$crfs" checkpoint --engine ptrace "$pid" -o "$work/image"
        keep stood "$("$crfs" show "$work/image" checkpoint/downtime)"
        "$crfs" checkpoint --fork "$pid" -o "$work/image"
        keep stood-fork "$("$crfs" show "$work/image" checkpoint/downtime)"
        keep gcore "$(seconds gcore -o "$work/core" "$pid" 2>/dev/null)"
        kill "$pid"
        wait "$pid" 2>/dev/null || true
        rm -f "$work/ready-4" "$work"/core*
    done
    compare "stop of 4 threads, 64 MiB" "$(kept stood)" gcore "$(kept gcore)"
    compare "the same with --fork" "$(kept stood-fork)" gcore "$(kept gcore)"
}
