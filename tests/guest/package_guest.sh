#!/bin/bash
# SPDX-License-Identifier: MIT
# What a newcomer types in a fresh virtual machine, as root. The test that has booted it says when to go on, and shares
# this folder: packages/, newer/ and the token.
set -eux
cd "$GUEST_DIR"

wait_for() { until [[ -e $1 ]]; do sleep 0.2; done; }
install_packages() { DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; }

useradd -m -s /bin/bash alice
install_packages ./packages/*.deb
install -D -m 600 token /etc/credstore/wayvsock.token
[[ $(systemctl is-active 'wayvsock-guest@alice.socket') == inactive ]] # nothing is started by itself
systemctl enable --now wayvsock-guest@alice.socket

# As alice types it, in a shell of her login.
touch enabled
wait_for show-first
su - alice -c 'exec foot --title=first sleep 1000' </dev/null &
first=$!
wait_for show-second
install_packages ./newer/*.deb
[[ $(dpkg-query -W -f '${Version}' wayvsock-guest) == *+newer ]]
kill -0 $first # its window is open still
su - alice -c 'exec foot --title=second sleep 1000' </dev/null &
touch upgraded

# Her programs are in the host's menu; what a package brings comes and goes there.
wait_for allow
systemctl enable --now wayvsock-run@alice.socket
touch allowed
wait_for remove
DEBIAN_FRONTEND=noninteractive apt-get -qq remove -y foot
touch removed
wait_for install
install_packages foot
touch installed

# As if this machine were down, until the host starts it.
wait_for down
systemctl stop 'wayvsock-*@alice.*'
touch is-down
wait_for start
systemctl start wayvsock-guest@alice.socket wayvsock-run@alice.socket

wait_for end
pkill foot || true
DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y 'wayvsock*'
systemctl list-units --all --plain --no-legend 'wayvsock*' >left
find / /etc/systemd /run -xdev \( -path /proc -o -path /sys -o -path "$GUEST_DIR" \) -prune -o -name '*wayvsock*' -print |
    grep -v -e '^/etc/credstore/wayvsock.token$' >>left || true
touch purged
