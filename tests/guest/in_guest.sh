#!/bin/bash
# SPDX-License-Identifier: MIT
# in_guest.sh [-s] TEST [ARG…]: runs a test program in a guest kernel, -s: with a systemd; its TAP is this script's.
if [[ ! ${WAYVSOCK_GUEST_TESTS:-} ]]; then
    echo "1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel"
    exit 0
fi
here=$(dirname "$(readlink -f "$0")")
given=()
if [[ $1 == -s ]]; then
    if [[ ! -x /lib/systemd/systemd ]]; then
        echo "1..0 # SKIP systemd is not installed"
        exit 0
    fi
    given+=(-s)
    shift
fi
for name in WAYVSOCK WAYVSOCK_BUILD WAYVSOCK_GPU WAYVSOCK_NEWER_GL WAYVSOCK_NEWER_WESTON; do
    [[ ! ${!name:-} ]] || given+=(-e "$name=${!name}")
done
exec "$here/../../scripts/guest" -m 2G -t "${WAYVSOCK_GUEST_LIMIT:-900}" \
    -e "WAYVSOCK_GUEST=$WAYVSOCK_GUEST" -e "WAYVSOCK_HOST=$WAYVSOCK_HOST" "${given[@]}" \
    -e WAYVSOCK_TRANSPORT=vsock -e WAYVSOCK_TIMEOUT_SCALE=2 -- /usr/bin/python3 "$@"
