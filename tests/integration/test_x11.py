#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""X11 programs: a rootful Xwayland in the guest is one window on the host."""

import os

from harness import main, test
from harness.x11 import X


def start(t, stack, *args):
    """Xwayland in the guest; returns it and its number."""
    r, w = os.pipe()
    server = t.spawn(["Xwayland", "-displayfd", str(w), "-noreset", "-ac", *args], stack.env(), pass_fds=[w])
    os.close(w)
    with os.fdopen(r) as f:
        number = f.readline().strip()
    t.ok(number.isdigit(), "Xwayland has a display")
    return server, number


@test(timeout=240)
def three_thousand_pixmaps(t):
    """A rootless Xwayland without GL makes a pool for each pixmap of its programs."""
    t.need("Xwayland")
    sway = t.sway()
    stack = t.stack(sway)
    server, number = start(t, stack, "-rootless", "-shm")
    x = X(number)
    for _ in range(3):
        x.pixmaps(1000, 64, 64)
        x.base += 1000
    stack.client().roundtrip()
    t.ok(server.alive, "Xwayland goes on")


@test(timeout=120)
def rootful_xwayland(t):
    """Xwayland shows its root window, and what an X program draws on it."""
    t.need("Xwayland", "grim")
    sway = t.sway()
    stack = t.stack(sway)
    empty = sway.grab()
    _, number = start(t, stack)
    sway.wait_windows(1)
    t.wait(lambda: sway.grab() != empty, "its window is drawn")
    x = X(number)
    for colour in (0xc04020, 0x2040c0):
        x.fill(colour, 10, 10, 200, 100)
        t.wait(lambda: colour.to_bytes(3, "big") * 200 in sway.grab(), f"a rectangle in {colour:#x}")


if __name__ == "__main__":
    main()
