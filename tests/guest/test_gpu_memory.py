#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Which of a guest's memory the GPU's resources are, and how many are made."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

from vm import GPU, Vm, counters, need_gpu  # noqa: E402

SCREEN = 1280 * 720 * 4


def screens(log):
    """What the resources of about the screen's size are, in order."""
    found = re.findall(r"import \d+: (\d+) bytes in resource \d+, (.*)", log)
    return [what for size, what in found if SCREEN <= int(size) <= SCREEN + 8192]


@test(timeout=200)
def sealed_memory_is_shared(t):
    """The resources of buffers in sealed memfds are the client's own memory; nothing is copied in the guest."""
    vm = Vm(t, gpu=GPU)
    vm.show((11, 10), program="scenes.py")  # files of whole pages, and one that ends within a page
    log = vm.guest_log()
    t.has("shared memory that its client has sealed is not copied in the guest", log, "the guest's log")
    t.eq(screens(log), ["the client's own"] * 14, "what the resources are")


@test(timeout=200)
def memory_that_was_given_back(t):
    """Pages that a client punched out of its sealed file are not taken for those of a new buffer there."""
    vm = Vm(t, gpu=GPU)
    vm.show((13,), program="scenes.py")
    t.eq(screens(vm.guest_log()), ["the client's own", "a copy of the client's", "the client's own"], "what the resources are")


@test(timeout=200)
def other_memory_is_copied(t):
    """A client that may shrink its file gets a copy of it."""
    vm = Vm(t, gpu=GPU)
    vm.show((1,))
    t.eq(set(screens(vm.guest_log())), {"a copy of the client's"}, "what the resources are")


@test(timeout=200)
def new_buffers_at_the_same_place(t):
    """A client that makes a wl_buffer for each of 400 frames does not cost 400 resources, nor 400 whole pictures."""
    vm = Vm(t, gpu=GPU)
    counts = counters(vm.show((5,), program="scenes.py"))
    resources = len(screens(vm.guest_log()))
    t.ok(0 < resources <= 3, f"resources of the screen's size: {resources}")
    t.ok(counts["copied"] < 20 * SCREEN, f"bytes copied on the host: {counts}")


if __name__ == "__main__":
    if need_gpu():
        main()
