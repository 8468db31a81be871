#!/bin/bash
# SPDX-License-Identifier: MIT
# unit_in_guest.sh PROGRAM: runs a unit test in a guest kernel, for what this machine's kernel may lack.
[[ ${WAYVSOCK_GUEST_TESTS:-} ]] || exit 77
here=$(dirname "$(readlink -f "$0")")
exec "$here/../../scripts/guest" -t 300 -- "$@"
