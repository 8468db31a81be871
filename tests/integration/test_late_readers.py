#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Readers that take their time: what was taken over from a writer reaches them, whatever has ended meanwhile."""

import hashlib
import os
import time

from harness import main, test
from harness.tools import copy, plug_keyboard
from harness.transfers import DIRECTIONS, Rig, feed, read_all

LATE = 15           # seconds; the daemons wait for nothing else as long
HELD = 300000       # bytes that the daemon next to the reader takes at once
MUCH = 650000       # what both take together, and a pipe


def write_all(t, rig, direction, size):
    """(what was written to a pipe, its reader's end): the writer is done, nobody has read."""
    w, r = rig.pair(direction)
    data = os.urandom(size)
    writer = feed(w, data)
    writer.join(60)
    t.ok(not writer.is_alive(), f"{direction}: the writer got rid of {size} bytes")
    return data, r


def end_politely(rig):
    rig.client.close()


def end_by_an_error(rig):
    rig.client.send(rig.manager, "get_data_device", rig.device, rig.device)      # an id that is in use
    rig.client.expect_error()


@test(timeout=240)
def the_client_is_gone(t):
    """In each direction a reader that begins 15 s after the client has left, or was ended."""
    late = []
    rig = Rig(t)
    for what, end in (("closed", end_politely), ("ended by an error", end_by_an_error)):
        rig.connect()
        pairs = [write_all(t, rig, direction, MUCH) for direction in DIRECTIONS]
        end(rig)
        late += [(f"{what}, {direction}", *pair) for direction, pair in zip(DIRECTIONS, pairs)]
    time.sleep(LATE)
    for what, data, r in late:
        t.ok(read_all(r) == data, f"{what}: all {len(data)} bytes")


def held(direction, whose_end):
    def run(t):
        rig = Rig(t)
        data, r = write_all(t, rig, direction, HELD)
        for _ in range(50):
            rig.client.roundtrip()      # all of it has crossed the link
        near, far = rig.stack.host, rig.stack.guest
        if direction == "to guest":
            near, far = far, near
        if whose_end == "the other daemon":
            far.kill()
            t.wait(lambda: "was lost" in near.log(), "it is noticed")
        else:
            near.stop()
        t.ok(read_all(r) == data, f"all {len(data)} bytes")
    run.__name__ = f"{direction} {whose_end} is gone".replace(" ", "_")
    run.__doc__ = """What the daemon beside the reader has then is delivered; at its own end, what the pipe can be made to hold."""
    test(run, direct=False)


for a_direction in DIRECTIONS:
    held(a_direction, "the other daemon")
    held(a_direction, "the near daemon")


@test(timeout=240)
def copy_and_paste(t):
    """wl-copy that ends with its first paste, wl-paste into a pipe that somebody reads 15 s later."""
    t.need("wl-copy", "wl-paste", "wtype")
    sway = t.sway()
    plug_keyboard(t, sway)
    stack = t.stack(sway)
    late = []
    for what, source, sink in (("to host", stack.env, sway.env), ("to guest", sway.env, stack.env)):
        data = os.urandom(HELD)
        path = t.path(what.replace(" ", "-"))
        with open(path, "wb") as f:
            f.write(data)
        copied = copy(t, source(), path, "-o")
        r, w = os.pipe()
        pasted = t.spawn(["sh", "-c", 'until wl-paste -l 2>/dev/null | grep -q octet; do sleep 0.1; done; '
                                      "exec wl-paste -n -t application/octet-stream"], sink(), stdout=w)
        os.close(w)
        t.eq(copied.wait(60), 0, f"{what}: wl-copy is done")
        late.append((what, data, r, pasted))
    time.sleep(LATE)
    for what, data, r, pasted in late:
        got = read_all(r)
        t.eq(hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest(), f"{what}: {len(got)} of {len(data)} bytes")


@test(timeout=120, direct=False)
def the_command_is_done(t):
    """wayvsock-guest -- COMMAND: its end waits for the readers of what its command has pasted."""
    rig = Rig(t)
    rig.client.close()
    rig.stack.stop_guest()
    done = t.path("done")
    guest = rig.stack.start_guest(command=["sh", "-c", f"until [ -e {done} ]; do sleep 0.1; done"])
    rig.connect()
    data, r = write_all(t, rig, "to guest", MUCH)
    rig.client.close()
    open(done, "w").close()
    t.wait(lambda: "the command ended with status 0" in guest.log(), "the command ends")
    t.ok(read_all(r) == data, f"all {len(data)} bytes")
    t.eq(guest.wait(60), 0, "the daemon's status")


if __name__ == "__main__":
    main()
