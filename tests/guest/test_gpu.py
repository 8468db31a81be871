#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest with a virtio-gpu of ours: its pixels reach the screen without crossing the link."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import Skip, main, test  # noqa: E402

import draw  # noqa: E402
from vm import GPU, HERE, Vm, counters, need_gpu  # noqa: E402

@test(timeout=200)
def no_pixel_crosses_the_link(t):
    """Two full screens arrive pixel by pixel; the link carried messages only."""
    vm = Vm(t, gpu=f"{GPU} --log-level debug")
    log = vm.show((1, 2))
    t.has("bound: the guest daemon holds this VM's device", log, "the host's log")
    counts = counters(log)
    t.ok(counts["copied"] >= 2 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def whatever_applications_do_with_pools(t):
    """Several buffers of a pool, growth, partial damage, buffers that are gone at once, many of them, shared bytes,
    files of every kind."""
    vm = Vm(t, gpu=f"{GPU} --log-level debug")
    counts = counters(vm.show(range(1, 13), program="scenes.py"))
    t.ok(counts["copied"] >= 12 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 200 << 10, f"no pixels among the bytes received: {counts}")


def something_to_copy(t):
    """A screen, and the picture that a window of its own shows there."""
    sway = t.sway()
    own = t.spawn(["python3", f"{HERE}/draw.py", "4"], sway.env(), cwd=t.mkdir("own"))
    t.write("own/4", "")
    picture = draw.ppm_pixels(1280, 720, 4)
    t.wait(lambda: sway.grab().endswith(picture) or not own.alive, "a picture to copy")
    return sway, own, picture


@test(timeout=200)
def screen_copies(t):
    """Copies of the screen into shared memory are what is there, nothing beside them changes, and they can be shown."""
    sway, own, picture = something_to_copy(t)
    vm = Vm(t, compositor=sway, gpu=GPU, allow=["zwlr_screencopy_manager_v1"])
    guest = vm.boot(f"exec python3 {HERE}/capture.py >done 2>&1")
    t.wait(lambda: vm.read("done").startswith(b"done") or not guest.alive, "copies", 60)
    for kind in ("plain", "sealed"):
        t.ok(vm.read(kind) == vm.read(f"{kind}-again") == picture, f"the copies, {kind} files")
        t.ok(vm.read(f"{kind}-other") == bytes(len(picture)), f"the buffer beside it, {kind} files")
    own.stop()
    half = len(picture) // 2
    shown = picture[:half] + draw.ppm_pixels(1280, 720, 7)[half:]
    t.wait(lambda: sway.grab().endswith(shown) or not guest.alive, "the copy on the screen, the lower half drawn over")


@test(timeout=200)
def screen_copies_into_gpu_buffers(t):
    """Copies of the screen into dmabufs of the virtio-gpu, another device, and a heap: also where those are mapped only."""
    sway, _, picture = something_to_copy(t)
    for name, device in (("vm", GPU), ("masked", f"{HERE}/mask.py 3 {GPU}")):
        vm = Vm(t, compositor=sway, gpu=device, name=name, allow=["zwlr_screencopy_manager_v1"])
        guest = vm.boot(f"exec python3 {HERE}/capture.py dmabuf >done 2>&1")
        t.wait(lambda: vm.read("done").startswith(b"done") or not guest.alive, "copies", 60)
        for kind in ("gpu", "vgem", "heap"):
            t.ok(vm.read(kind) == picture, f"the copy, {kind}, {name}")


@test(timeout=200)
def gpu_buffers(t):
    """Dmabufs of the virtio-gpu, another device, a heap and plain pages arrive pixel by pixel; none cross the link."""
    vm = Vm(t, gpu=f"{GPU} --log-level debug")
    counts = counters(vm.show(range(1, 9), program="dmabuf.py"))
    t.ok(counts["copied"] >= 8 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def buffers_by_an_event(t):
    """Buffers that `create` announces, among hundreds that come and go, and data offers: pixels and texts are right."""
    vm = Vm(t, gpu=f"{GPU} --log-level debug", allow=["zwlr_data_control_manager_v1"])
    counts = counters(vm.show(range(1, 11), program="created.py"))
    t.ok(counts["copied"] >= 10 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 1 << 20, f"no pixels among the bytes received: {counts}")
    made = [int(line.split()[-1]) for line in vm.read("drawn").decode().splitlines() if line.startswith("server ids")]
    t.ok(made[1] < 40 and made[-1] == made[-2], f"server ids are used again: {made}")
    t.has(b"at once 50", vm.read("drawn"), "what the client did")


@test(timeout=200)
def a_video(t):
    """GStreamer's waylandsink, which knows `create` only, shows frames of each kind."""
    t.need("gst-inspect-1.0")
    python = "/usr/bin/python3"  # Debian's, which has Debian's modules
    if subprocess.run([python, "-c", "import gi; gi.require_version('GstVideo', '1.0')"], stderr=subprocess.DEVNULL).returncode or \
            subprocess.run(["gst-inspect-1.0", "--exists", "waylandsink"]).returncode:
        raise Skip("GStreamer's waylandsink is not installed, or not for Python")
    vm = Vm(t, gpu=f"{GPU} --log-level debug")
    counts = counters(vm.show(range(1, 9), program="video.py", python=python))
    wire = vm.read("wire")
    t.ok(wire.count(b".created(new id wl_buffer@42781900") >= 8, "each frame is a buffer by create")
    t.lacks(b".failed()", wire, "the client's events")
    t.ok(counts["copied"] >= 8 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def buffers_that_are_being_drawn(t):
    """A frame is shown when the client's GPU has drawn it, not before."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"WINDOW=fenced exec python3 {HERE}/dmabuf.py 5 >drawn")
    vm.picture(5, guest=guest)
    t.has(b"waits\n", vm.read("drawn"), "what the client saw")
    t.lacks(b"does not wait", vm.read("drawn"), "what the client saw")


@test(timeout=200)
def a_gpu_that_hangs(t):
    """A buffer that is never said to be drawn is shown as it is, sooner or later, and the log says so."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"WINDOW=hanging exec python3 {HERE}/dmabuf.py 5 >drawn")
    vm.picture(5, guest=guest)
    t.has("a buffer was not drawn within 2 s", vm.guest_log(), "the guest's log")


@test(timeout=200)
def what_is_told_of_gpu_buffers(t):
    """Formats that the compositor has, linear; the guest's own device; what cannot be had fails softly."""
    vm = Vm(t, gpu=GPU)
    t.eq(vm.run(f"exec python3 {HERE}/dmabuf.py describe >told 2>&1"), 0, f"status; {vm.read('told')}")
    told = vm.read("told").decode()
    t.has("v3 format 875713112\n", told, "v3's formats")
    t.has("v3 modifier 875713112 0 0\n", told, "v3's modifiers")
    t.has("34325258:0", told, "v4's table")
    t.has("v4 main_device 81e2000000000000\n", told, "the render node's number")
    t.has("v4 done\n", told, "v4's events")
    t.has("create created", told, "create")
    t.has("create of a tiled buffer failed", told, "create")
    t.has("create_immed of a tiled buffer failed", told, "create_immed")


@test(timeout=200)
def wrong_gpu_buffers(t):
    """Each mistake gets the protocol's error, on the object that it was made with."""
    vm = Vm(t, gpu=GPU)
    t.eq(vm.run(f"exec python3 {HERE}/dmabuf.py wrong >told 2>&1"), 0, f"status; {vm.read('told')}")
    errors = ["already used 0 params", "added later 0 params", "plane number 1 params", "plane twice 2 params",
               "no plane 3 params", "a plane too many 3 params", "no width 5 params",
               "beyond the end 6 params", "far beyond 6 params"]
    t.eq(vm.read("told").decode().splitlines(), 2 * errors + 2 * ["narrow rows failed"], "errors of create_immed and create")
    t.ok(vm.host.alive, "the host lives")


@test(timeout=200)
def an_application_that_animates(t):
    """weston-simple-shm, frame after frame, on a weston."""
    t.need("weston-simple-shm")
    sway = t.sway()
    vm = Vm(t, compositor=t.weston(parent=sway.socket), gpu=GPU)
    guest = vm.boot("timeout -s INT 5 weston-simple-shm; exit 3")
    still = sway.grab()
    pictures = set()
    t.wait(lambda: pictures.add(sway.grab()) or len(pictures - {still}) > 3 or not guest.alive, "the picture moves", 60)
    t.eq(guest.wait(60), 3, "the guest's status")
    counts = counters(vm.host.log())
    t.ok(counts["copied"] > 1 << 20, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < counts["copied"] // 20, f"no pixels among the bytes received: {counts}")
    sent = counters(guest.log())
    t.eq(sent["mem"], 0, "pixel bytes that the guest sent")
    t.eq(sent["copied"], counts["copied"], "bytes that the guest named and the host copied")


@test(timeout=200)
def a_file_that_shrinks(t):
    """An application that truncates its pool's file is told so; the daemons and other applications live."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"python3 {HERE}/truncate.py >truncated 2>&1; exec python3 {HERE}/draw.py 1 >drawn")
    vm.picture(1, "the other's picture", guest=guest)
    t.has("truncated", vm.read("truncated").decode(), "the first one's error")


@test(timeout=200)
def applications_that_leave_among_their_frames(t):
    """Killed or ended for a mistake: the host does not miss buffers that went with them, and knows why they ended."""
    vm = Vm(t, gpu=GPU)
    leave = f"python3 {HERE}/leave.py"
    vm.run(f"for i in 1 2 3 4; do {leave} killed; {leave} wrong >>told; done")
    t.eq(vm.read("told").count(b"its file has been truncated"), 4, "what those who were wrong were told")
    t.eq(vm.host.log().count("ended by the guest: error accessing SHM buffer"), 4, "their ends in the host's log")
    t.lacks("warning: ", vm.host.log(), "the host's log")


@test(timeout=200)
def a_file_for_a_dmabuf(t):
    """What is no dmabuf could shrink under its reader: it is refused, and the daemon and other applications live."""
    vm = Vm(t, gpu=GPU)
    guest = vm.boot(f"python3 {HERE}/truncate.py dmabuf >truncated 2>&1; exec python3 {HERE}/draw.py 1 >drawn")
    vm.picture(1, "the other's picture", guest=guest)
    t.eq(vm.read("truncated"), b"failed\n", "what the first one was told")


@test(timeout=200)
def the_device_dies(t):
    """Without its wayvsock-gpu the VM's applications start and show their windows, with pixels by the link."""
    pid = t.path("gpu.pid")
    vm = Vm(t, gpu=f"sh -c 'echo $$ >{pid}; exec \"$@\"' sh {GPU}")
    guest = vm.boot(f"python3 {HERE}/draw.py 1 >before & until [ -e 2 ]; do sleep 0.1; done; "
                    f"exec python3 {HERE}/draw.py 2 >drawn")
    vm.picture(1, guest=guest)
    with open(pid) as f:
        os.kill(int(f.read()), signal.SIGKILL)
    t.wait(lambda: "the VM's GPU device is gone" in vm.host.log(), "the host's log says so")
    vm.touch("2")
    t.wait(lambda: b"drawn 2" in vm.read("drawn") or not guest.alive, "the next application draws", 60)
    t.ok(vm.host.alive, "the host daemon lives")
    t.eq(len(vm.compositor.windows()), 2, "windows")


@test(timeout=200)
def another_vms_device(t):
    """A host that is told of another VM's device does not look there: the guest cannot show it the nonce."""
    vm = Vm(t, gpu=GPU)
    other = t.spawn([GPU, "--socket-path", t.path("other"), "--export", t.path("other-export")], name="wayvsock-gpu")
    t.wait(lambda: os.path.exists(t.path("other-export")) or not other.alive, "the other device")
    vm.restart_host(lambda config: config.replace(vm.export, t.path("other-export")))
    log = vm.show((4,))
    t.has("no device of the guest shows the nonce", log, "the host's log")
    t.lacks("bound:", log, "the host's log")
    t.eq(counters(log)["copied"], 0, "copied bytes")


@test(timeout=200)
def without_the_device_as_bytes(t):
    """--gpu off: the same picture, by the link; the host says why."""
    vm = Vm(t, gpu=GPU)
    log = vm.show((3,), guest_args=["--gpu", "off"])
    t.has("pixels go over the link", log, "the host's log")
    counts = counters(log)
    t.eq(counts["copied"], 0, "copied bytes")
    t.ok(counts["received"] > 1280 * 720 * 4, f"the pixels are among the bytes received: {counts}")


if __name__ == "__main__":
    if need_gpu():
        main()
