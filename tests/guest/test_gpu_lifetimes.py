#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What comes and goes while pixels pass by way of the GPU: drivers, devices, daemons, and memory."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

from vm import GPU, HERE, Vm, counters, need_gpu  # noqa: E402

PIXELS = 1280 * 720 * 4
REBIND = """cd /sys/bus/virtio/drivers/virtio_gpu; device=$(basename $(ls -d virtio*)); echo $device >unbind; echo $device >bind"""
BOUND = "bound: the guest daemon holds this VM's device"


def wait_for_file(name):
    return f"until [ -e {name} ]; do sleep 0.1; done"


def no_pixels_crossed(t, vm, frames):
    """All clients have ended; none of them sent pixels, and together they showed that many frames."""
    lines = [line for line in vm.host.log().splitlines() if " ended: sent " in line]
    for line in lines:
        t.ok(counters(line)["received"] < 100 << 10, f"no pixels among the bytes received: {line}")
    t.ok(sum(counters(line)["copied"] for line in lines) >= frames * PIXELS, f"the device copied the pixels: {lines}")


@test(timeout=200)
def the_driver_leaves_and_returns(t):
    """As when its module is loaded anew: windows that are there, and new ones, go on as before."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"""python3 {HERE}/draw.py 1 2 >first & first=$!
        {wait_for_file("rebind")}; ({REBIND}); touch rebound
        {wait_for_file("3")}; kill $first
        python3 {HERE}/draw.py 3 >second & {wait_for_file("end")}; kill $!""")
    vm.picture(1, guest=guest)
    vm.touch("rebind")
    t.wait(lambda: vm.host.log().count(BOUND) == 2 or not guest.alive, "the host looks into the device again", 60)
    vm.picture(2, "a window that was there", guest=guest)
    vm.picture(3, "a new window", guest=guest)
    vm.touch("end")
    t.eq(guest.wait(60), 0, "the guest's status")
    no_pixels_crossed(t, vm, 3)


@test(timeout=200)
def gpu_buffers_outlive_the_driver(t):
    """Those that are of other devices are shown as before; the daemon lives on with those that are not."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"""python3 {HERE}/dmabuf.py 1 2 3 6 7 5 >first 2>&1 &
        {wait_for_file("rebind")}; ({REBIND}); touch rebound
        {wait_for_file("9")}; kill $!; exec python3 {HERE}/draw.py 9""")
    for generation in (1, 2, 3):        # of the virtio-gpu, vgem, the heap; 5, 6 and 7 are the same
        vm.picture(generation, guest=guest)
    vm.touch("rebind")
    t.wait(lambda: vm.host.log().count(BOUND) == 2 or not guest.alive, "the host looks into the device again", 60)
    vm.picture(6, "vgem's buffer", guest=guest)
    vm.picture(7, "the heap's buffer", guest=guest)
    vm.touch("5")
    vm.picture(9, "another window", guest=guest)


@test(timeout=200)
def two_daemons_share_the_device(t):
    """Each shows that it holds the VM's device, and the end of one takes nothing from the other."""
    vm = Vm(t, gpu=GPU)

    def window(n):
        return f"{wait_for_file(n)}; python3 {HERE}/draw.py {n} >drawn{n} & {wait_for_file(f'end{n}')}; kill $!"
    guest = vm.boot(f"""{os.environ["WAYVSOCK_GUEST"]} --connect vsock:2:1100 --token /run/token --display /run/second \\
            --log-level debug -- sh -c '{window(2)}; {wait_for_file("leave")}' >second.log 2>&1 &
        {window(1)}; {window(3)}; {window(4)}; {wait_for_file("end")}""")
    t.wait(lambda: vm.host.log().count(BOUND) == 2 or not guest.alive, "the host looks into the device for both", 60)
    for n in (1, 2, 3):
        vm.picture(n, f"window {n}", guest=guest)
        if n == 3:
            break
        vm.touch(f"end{n}")
    vm.touch("leave")
    t.wait(lambda: ": gone: it closed the connection" in vm.host.log(), "the second daemon is gone", 60)
    vm.touch("end3")
    vm.picture(4, "a window of the first, afterwards", guest=guest)
    vm.touch("end4")
    vm.touch("end")
    t.eq(guest.wait(60), 0, "the guest's status")
    no_pixels_crossed(t, vm, 4)


@test(timeout=200)
def several_devices(t):
    """Of two virtio-gpus the host finds the one that it was told of; dmabufs of both arrive, and none by the link."""
    other = t.path("other-export")
    vm = Vm(t, gpu=GPU, more_gpus=[f"{GPU} --export {other}"])
    clients = ((0, 1), (1, 5), (0, 9), (1, 13))     # which device's buffer, and what it shows
    guest = vm.boot("; ".join(f"{wait_for_file(n)}; CARD={card} python3 {HERE}/dmabuf.py {n} & {wait_for_file(f'end{n}')}; kill $!"
                              for card, n in clients))
    def nodes():
        return re.findall("the host looks into (/dev/dri/renderD[0-9]+)", vm.guest_log())

    for number, half in enumerate((clients[:2], clients[2:]), 1):
        t.wait(lambda number=number: BOUND in vm.host.log() and len(nodes()) == number or not guest.alive,
               "the host looks into a device, and the guest has heard so", 60)
        for _, generation in half:
            vm.picture(generation, guest=guest)
            vm.touch(f"end{generation}")
            vm.compositor.no_windows()
        no_pixels_crossed(t, vm, 2)
        if half == clients[:2]:
            vm.restart_host(lambda config: config.replace(vm.export, other))
    t.eq(len(set(nodes())), 2, f"nodes that the host looked into: {nodes()}")


@test(timeout=200)
def daemons_that_crash(t):
    """The host's, then the guest's: the next one binds the device again, and pixels go the same way."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"""[ -e again ] || {wait_for_file("1")}
        if [ ! -e again ]; then python3 {HERE}/draw.py 1; {wait_for_file("2")}; touch again
            python3 {HERE}/dmabuf.py 2 & {wait_for_file("crash")}; kill -KILL $PPID; fi
        exec python3 {HERE}/dmabuf.py 3""", lives=2)
    vm.picture(1, guest=guest)
    vm.restart_host()
    t.wait(lambda: BOUND in vm.host.log() or not guest.alive, "the host looks into the device again", 60)
    vm.picture(2, "after the host's end", guest=guest)
    vm.touch("crash")
    vm.compositor.no_windows()
    vm.picture(3, "after the guest's end", guest=guest)
    t.eq(vm.host.log().count(BOUND), 2, "bindings")
    vm.end(guest, clients=2)
    no_pixels_crossed(t, vm, 2)


@test(timeout=200)
def more_buffers_than_the_gpu_gives(t):
    """640 buffers at a time, each a tile of the picture: those beyond the limit go by the link; then it is as before."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"exec python3 {HERE}/tiles.py 1 2 4")
    for generation in (1, 2, 4):        # the second may come while the host is still letting go of the first one's
        vm.picture(generation, guest=guest)
    counts = counters(vm.end(guest))
    t.ok(counts["received"] < 1.5 * PIXELS and counts["copied"] > 2.5 * PIXELS, f"most went by the GPU: {counts}")


if __name__ == "__main__":
    if need_gpu():
        main()
