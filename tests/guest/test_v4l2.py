#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Frames of a V4L2 driver in the guest, which are dmabufs of neither GPU: on the host's screen, and at a service of the host's."""

import mmap
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import Skip, main, test  # noqa: E402
from harness.two_vms import ppm  # noqa: E402

from vm import GPU, HERE, Vm, need_gpu  # noqa: E402

FRAME = 1280 * 720 * 4


def serve(listener, frames):
    """Keeps what is in each dmabuf that comes."""
    connection, _ = listener.accept()
    with connection:
        while True:
            data, fds, _, _ = socket.recv_fds(connection, 1, 1)
            if not data:
                return
            with mmap.mmap(fds[0], FRAME, prot=mmap.PROT_READ) as content:
                frames.append(content[:])
            os.close(fds[0])
            connection.sendall(b"h")


@test(timeout=200)
def frames(t):
    path, passed = t.path("service"), []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    t.closers.append(listener.close)
    threading.Thread(target=serve, args=(listener, passed), daemon=True).start()
    vm = Vm(t, gpu=GPU, services=f"[forward video]\npath = {path}\ndmabufs = once\n", forward="video")
    guest = vm.boot(f"exec python3 {HERE}/v4l2.py /run/video 1 2 3 >drawn 2>&1", guest_args=("--forward", "video=/run/video"))
    seen = set()
    for generation in (1, 2, 3):
        vm.touch(str(generation))

        def is_shown():
            frame = vm.read(f"frame-{generation}")
            return len(frame) == FRAME and vm.compositor.grab() == ppm(frame) or not guest.alive
        t.wait(is_shown, f"frame {generation} is on the screen: {vm.read('drawn').decode()}", 60)
        if "no vivid" in vm.read("drawn").decode() and os.environ.get("WAYVSOCK_RIG"):
            raise Skip("the kernel that WAYVSOCK_RIG names has no vivid; what scripts/guest-kernel builds has")
        t.ok(guest.alive, f"the guest's program: {vm.read('drawn').decode()}")
        frame = vm.read(f"frame-{generation}")
        t.wait(lambda: frame in passed, f"frame {generation} is at the service")
        seen.add(frame)
    t.eq(len(seen), 3, "different frames")
    log = vm.guest_log()
    t.has(f"import 1: {FRAME} bytes in resource ", log, "the guest's log")
    t.lacks("a copy of the client's", log, "the guest's log")
    t.has(f"a dmabuf of {FRAME} bytes is {'shared' if os.path.exists('/dev/udmabuf') else 'copied'}", log, "the guest's log")


if __name__ == "__main__":
    if need_gpu():
        main()
