#!/bin/bash
# SPDX-License-Identifier: MIT
# The systemd units: correct in systemd's eyes, the system services exposed no further than 1.5, and the
# display of a guest user found where the socket unit puts it.
#   test_units.sh UNIT-FOLDER ENVIRONMENT-GENERATOR
set -u
units=$1 generator=$2
command -v systemd-analyze >/dev/null || exit 77 # skipped

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/runtime" "$work/home"
export XDG_RUNTIME_DIR=$work/runtime HOME=$work/home
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# What is not installed yet cannot be verified: the programs are replaced, manual pages not looked for.
for unit in "$units"/wayvsock-*.service "$units"/wayvsock-*.socket "$units"/wayvsock-*.target; do
    grep -q '@bindir@\|@sysconfdir@' "$unit" && fail "$unit has unreplaced variables"
    sed -E "s#^ExecStart=[^ ]*/wayvsock-(guest|host|gpu|vsock|x11)( |$)#ExecStart=$(command -v true)\\2#" \
        "$unit" >"$work/${unit##*/}"
done
[[ $(grep -lE '^ExecStart=/[^ ]*/wayvsock-(guest|host|gpu|vsock|x11)( |$)' "$units"/*.service | wc -l) == 6 ]] ||
    fail "not every service starts a daemon by its full path"

# Unknown settings are only warned of: there must be no output either.
verify() {
    local output
    output=$(cd "$work" && SYSTEMD_UNIT_PATH=$work: systemd-analyze "$@" 2>&1) ||
        fail "systemd-analyze $*: exit status $?"
    [[ -z $output ]] || fail "systemd-analyze $*: $output"
}
verify verify --man=no ./wayvsock-guest@root.socket ./wayvsock-guest@root.service
verify verify --man=no ./wayvsock-run@root.socket ./wayvsock-run@root.service
verify verify --man=no ./wayvsock-gpu@vm.socket ./wayvsock-gpu@vm.service
verify verify --man=no ./wayvsock-vsock@vm.socket ./wayvsock-vsock@vm.service
verify verify --man=no ./wayvsock-vm@vm.target
verify --user verify --man=no ./wayvsock-host.socket ./wayvsock-host.service
verify --user verify --man=no ./wayvsock-x11.socket ./wayvsock-x11.service

for service in wayvsock-guest@ wayvsock-gpu@ wayvsock-vsock@; do
    exposure=$(cd "$work" && systemd-analyze security --offline=true --threshold=15 --no-pager \
        "./$service.service" 2>&1) || fail "$service is exposed further than 1.5"
    echo "$service: ${exposure##*→ }"
done

# The generator, with the folder of displays moved to where a test may write.
mkdir -p "$work/run/someone"
sed "s#/run/wayvsock#$work/run#" "$generator" >"$work/generator"
generate() {
    env -u WAYLAND_DISPLAY -u DISPLAY -u XDG_CONFIG_HOME "$@" sh "$work/generator"
}
[[ -z $(generate USER=someone) ]] || fail "a display is named that is not there"
touch "$work/run/someone/wayland-0"
[[ -z $(generate USER=someone) ]] || fail "a file is taken for a display"
rm "$work/run/someone/wayland-0"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \
    "$work/run/someone/wayland-0"
[[ $(generate USER=someone) == "WAYLAND_DISPLAY=$work/run/someone/wayland-0" ]] ||
    fail "the display is not named"
[[ -z $(generate USER=other) ]] || fail "another user's display is named"
[[ -z $(generate USER=someone WAYLAND_DISPLAY=wayland-1) ]] || fail "a display in use is replaced"
grep -q '^ListenStream=/run/wayvsock/%i/wayland-0$' "$units/wayvsock-guest@.socket" ||
    fail "the socket unit's path is not the generator's"

# The X display of the user's own number, once its socket is enabled.
mkdir -p "$HOME/.config/systemd/user/sockets.target.wants"
touch "$HOME/.config/systemd/user/sockets.target.wants/wayvsock-x11.socket"
[[ $(generate USER=other) == "DISPLAY=:$(id -u)" ]] || fail "the X display is not named"
[[ -z $(generate USER=other DISPLAY=:7) ]] || fail "an X display in use is replaced"
grep -q '^ListenStream=/tmp/.X11-unix/X%U$' "$units/wayvsock-x11.socket" ||
    fail "the X display's number is not the generator's"

exit $failed
