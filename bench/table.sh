# SPDX-License-Identifier: Apache-2.0
# The table that bench/run prints; sourced by it.

describe_machine() {
    local model memory filesystem
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    memory=$(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)
    filesystem=$(df --output=source,fstype "$build" | awk 'NR == 2 {print $2 " on " $1}')
    printf '%s; %s cores; %s; Linux %s; %s; load at the start %s%s\n\n' "$model" "$(nproc)" \
        "$memory" "$(uname -r)" "$filesystem" "$(cut -d ' ' -f 1 /proc/loadavg)" \
        "${quick:+; --quick}"
}

row() { # WHAT CRFS PEER RATIO TARGET MET
    printf '| %-46s | %10s | %-24s | %6s | %-12s | %-6s |\n' "$@"
}

table_header() {
    row what crfs peer ratio target met
    printf '|%s|%s|%s|%s|%s|%s|\n' "$(line 48)" "$(line 12)" "$(line 26)" "$(line 8)" \
        "$(line 14)" "$(line 8)"
}

line() { printf '%*s' "$1" '' | tr ' ' -; }

# A time in seconds as people read it.
show() { awk -v s="$1" 'BEGIN {if (s < 1) printf "%.1f ms", s * 1000; else printf "%.2f s", s}'; }

divide() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

# verdict VALUE (<=|>=) LIMIT
verdict() { awk -v a="$1" -v how="$2" -v b="$3" 'BEGIN {
    print (how == "<=" ? a <= b : a >= b) ? "yes" : "NO"}'; }

# One line of two times in seconds, the target being a ratio of them; no target without LIMIT.
compare() { # WHAT CRFS PEER-NAME PEER [LIMIT]
    local ratio
    ratio=$(divide "$2" "$4")
    row "$1" "$(show "$2")" "$3 $(show "$4")" "$ratio" "${5:+<= $5}" \
        "${5:+$(verdict "$ratio" '<=' "$5")}"
}
