#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The guest's daemon as the service that users have, under a systemd, in a guest with a virtio-gpu of ours: the sandbox lets
it do all that it has to do with buffers."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.stack import TOKEN  # noqa: E402

from vm import BOOT, GPU, HERE, Vm, counters, need_gpu  # noqa: E402

# As wayvsock-guest(1) says; a hybrid socket needs a token. Devices have their groups as udev's rules give them.
SET_UP = f"""set -e
exec >setup 2>&1
meson install -C {os.environ.get("WAYVSOCK_BUILD")} --no-rebuild --quiet
groupadd -f -r kvm; groupadd -f -r render; useradd -m bob
for device in kvm:/dev/udmabuf render:/dev/dri/renderD*; do
    chgrp "${{device%%:*}}" ${{device#*:}} && chmod 660 ${{device#*:}}
done
mkdir -p /etc/credstore /etc/wayvsock
install -m 600 token /etc/credstore/wayvsock.token
echo 'WAYVSOCK_OPTIONS=--log-level debug' >/etc/wayvsock/guest.conf
systemctl daemon-reload
systemctl enable --now wayvsock-guest@bob.socket
journalctl -f -n 0 -o cat -u wayvsock-guest@bob.service >journal &
export WAYLAND_DISPLAY=/run/wayvsock/bob/wayland-0
"""


def show(t, program, generations):
    """Has it draw these pictures; returns the daemon's log."""
    vm = Vm(t, gpu=f"{GPU} --log-level debug")
    t.write("vm/token", TOKEN + "\n")
    draw = f"exec python3 {HERE}/{program} {' '.join(map(str, generations))} >drawn"
    guest = t.spawn([BOOT, "-s", "-d", vm.dir, "-t", "120", *vm.gpu, "--", "bash", "-c", SET_UP + draw], dict(os.environ),
                    name="guest")
    try:
        for generation in generations:
            vm.picture(generation, guest=guest)
    except AssertionError:
        print("# " + (vm.read("setup") + vm.read("journal")).decode().replace("\n", "\n# "))
        raise
    log, said = vm.end(guest), vm.read("journal").decode()
    for refused in ("Permission denied", "Operation not permitted"):
        t.lacks(refused, said, "the guest's log")
    t.has("bound: the guest daemon holds this VM's device", log, "the host's log")
    counts = counters(log)
    t.ok(counts["copied"] >= len(generations) * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")
    return said


@test(timeout=200)
def dmabufs(t):
    """Of the virtio-gpu, another device, a heap and plain pages: none cross the link."""
    show(t, "dmabuf.py", range(1, 9))


@test(timeout=200)
def shared_memory(t):
    """An application's sealed file is a resource by itself, which takes a udmabuf."""
    said = show(t, "scenes.py", (11, 10))
    t.has("in resource", said, "the guest's log")
    t.has(", the client's own", said, "the guest's log")
    t.lacks("a copy of the client's", said, "the guest's log")


if __name__ == "__main__":
    if not os.access("/lib/systemd/systemd", os.X_OK):
        print("1..0 # SKIP systemd is not installed")
    elif need_gpu():
        main()
