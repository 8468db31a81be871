# shellcheck shell=bash
# What every script here needs: where things are, and how to say that something failed.

# The repository, and the folder for whatever is downloaded for it: root's is one that the users that
# root starts programs as can read.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if ((EUID == 0)); then
    cache=${WAYVSOCK_CACHE:-/var/cache/wayvsock}
else
    cache=${WAYVSOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wayvsock}
fi
export repo cache

say() { printf '%s\n' "$*" >&2; }

die() {
    say "${0##*/}: $*"
    exit 1
}

# run_quietly WHAT COMMAND…: shows the command's output only if it fails.
run_quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        say "${0##*/}: $what failed"
        return 1
    fi
    rm -f "$log"
}

# locked NAME COMMAND…: one process at a time, so that parallel test runs can share the cache.
locked() {
    local name=$1
    shift
    mkdir -p "$cache"
    (
        flock 9
        "$@"
    ) 9>"$cache/$name.lock"
}

# wait_until SECONDS COMMAND…: polls until the command succeeds; 1 if it never did.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}
