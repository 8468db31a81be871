#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Frontends and kernels that can do less: the pixels are the same, and still none cross the link.

A frontend without blobs, as QEMU's vhost-user-gpu is: memory comes as classic 2D resources, and the guest's kernel takes no
other device's dmabuf into its virtio-gpu."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

from vm import GPU, HERE, Vm, counters, need_gpu  # noqa: E402

UUID, BLOB = 2, 3
PIXELS = 1280 * 720 * 4


def masked(*bits):
    return f"{HERE}/mask.py {','.join(map(str, bits))} {GPU} --log-level debug"


def arrived(t, log, pixels):
    t.has("bound: the guest daemon holds this VM's device", log, "the host's log")
    counts = counters(log)
    t.ok(counts["copied"] >= pixels, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 200 << 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def shared_memory_in_2d_resources(t):
    """Without blobs (QEMU 10 and later): wl_shm in all the ways that applications use it."""
    vm = Vm(t, gpu=masked(BLOB))
    arrived(t, vm.show(range(1, 13), program="scenes.py"), 12 * PIXELS)
    t.lacks("RESOURCE_CREATE_BLOB", vm.gpu_log(), "the device's log")


@test(timeout=200)
def shared_memory_without_marks(t):
    """Without blobs and UUIDs (QEMU 7.2), which say what the guest's kernel has shared."""
    vm = Vm(t, gpu=masked(BLOB, UUID))
    arrived(t, vm.show((1, 2)), 2 * PIXELS)


@test(timeout=200)
def gpu_buffers_that_are_copied(t):
    """Dmabufs that the kernel does not take into its virtio-gpu are copied in the guest; its own are not."""
    vm = Vm(t, gpu=masked(BLOB))
    arrived(t, vm.show(range(1, 9), program="dmabuf.py"), 8 * PIXELS)
    log = vm.guest_log()
    t.eq(log.count("a dmabuf is no resource of the GPU"), 3, "dmabufs of other devices")


@test(timeout=200)
def gpu_buffers_that_nobody_can_read(t):
    """Neither imported nor mapped: the client is told, the log says so, and the client's other buffers are shown."""
    vm = Vm(t, gpu=masked(BLOB))
    guest = vm.boot(f"WINDOW=unreadable exec python3 {HERE}/dmabuf.py 3 >drawn")
    vm.picture(3, guest=guest)
    t.eq(vm.read("drawn").decode().splitlines()[0], "failed", "what the client was told")
    t.has("cannot be shown", vm.guest_log(), "the guest's log")


if __name__ == "__main__":
    if need_gpu():
        main()
