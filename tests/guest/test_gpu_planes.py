#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""GPU buffers of several planes: a video's NV12 and P010, from linux-dmabuf in the guest to the compositor's wl_shm."""

import mmap
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import Skip, main, test  # noqa: E402
from harness.client import Client  # noqa: E402

import planes  # noqa: E402
from vm import GPU, HERE, Vm, counters, need_gpu  # noqa: E402


class Recorder:
    """Makes of a fake compositor, a test double, one that keeps what each commit showed: (format, size, stride, bytes)."""

    def __init__(self, t, name, formats):
        self.fake = t.fake(name=f"double-{name}", formats=(0, 1, *formats))
        self.buffers = {}       # (peer, buffer) → file and layout, as they were when it was made
        self.attached = {}
        self.seen = []
        self.fake.on("wl_shm_pool", "create_buffer", self.create_buffer)
        self.fake.on("wl_surface", "attach", self.attach)
        self.fake.on("wl_surface", "commit", self.commit)

    def create_buffer(self, peer, m):
        self.buffers[peer, m.args[0]] = (os.dup(peer.pool_files[m.object][0]), *m.args[1:])
        return False

    def attach(self, peer, m):
        self.attached[peer, m.object] = m.args[0]
        return False

    def commit(self, peer, m):
        buffer = self.attached.pop((peer, m.object), None)
        if not buffer:
            return False
        fd, offset, width, height, stride, fourcc = self.buffers[peer, buffer]
        size = os.lseek(fd, 0, os.SEEK_END)
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as view:
            self.seen.append((fourcc, (width, height), stride, view[offset:]))
        peer.send(buffer, "release")
        return False


def in_wl_shm(name, width, height, stride, generation, data):
    """Whether wl_shm's reader finds each sample: the second plane's rows follow the first's, as far apart."""
    luma, colours = planes.content(name, width, height, generation)
    return all(data[at * stride:at * stride + len(row)] == row for at, row in enumerate(luma + colours))


@test(timeout=200)
def formats_that_were_not_heard_yet(t):
    """A client that asks for a buffer before it can know the formats gets it, and not one that shows nothing."""
    runs = [(name, way) for name in planes.FORMATS for way in ("one", "two")]
    for device in ("vm", "masked"):
        recorder = Recorder(t, device, [f for f, _ in planes.FORMATS.values()])
        vm = Vm(t, compositor=recorder.fake, name=device, gpu=f"{HERE}/mask.py 3 {GPU}" if device == "masked" else GPU)
        commands = [f"AT_ONCE=1 SIZE=64x48 python3 {HERE}/planes.py {name} {way} {i} >>drawn 2>&1 & pids=\"$pids $!\";"
                    for i, (name, way) in enumerate(runs)]
        guest = vm.boot(" ".join(commands) + " until [ -e end ]; do sleep 0.1; done; kill $pids")
        for i in range(len(runs)):
            vm.touch(str(i))
        t.wait(lambda: vm.read("drawn").count(b"drawn ") == len(runs) or not guest.alive, f"{len(runs)} pictures", 60)
        t.lacks(b"failed", vm.read("drawn"), "what the clients were told")
        for i, (name, way) in enumerate(runs):
            shown = [s for s in recorder.seen if s[:2] == (planes.FORMATS[name][0], (64, 48))]
            t.ok(any(in_wl_shm(name, 64, 48, stride, i, data) for _, _, stride, data in shown),
                 f"{name}, {way}, {device}: it is not among {len(shown)} that were shown")
        vm.touch("end")
        t.wait(lambda: vm.host.log().count(" ended: sent ") == len(runs), "the clients end")


@test(timeout=200)
def each_byte_of_both_planes(t):
    """Byte by byte at a test double, which takes both formats: odd sizes, one dmabuf or two, other strides than wl_shm's; also
    where the guest's kernel takes no foreign dmabufs into its virtio-gpu."""
    runs = [(name, way, size) for name in planes.FORMATS for way in ("one", "two") for size in ("640x360", "321x201")]
    for device in ("vm", "masked"):
        recorder = Recorder(t, device, [f for f, _ in planes.FORMATS.values()])
        vm = Vm(t, compositor=recorder.fake, name=device, gpu=f"{HERE}/mask.py 3 {GPU}" if device == "masked" else GPU)
        commands = [f'SIZE={size} python3 {HERE}/planes.py {name} {way} {i} >>drawn 2>&1 & pids="$pids $!";'
                    for i, (name, way, size) in enumerate(runs)]
        guest = vm.boot(" ".join(commands) + " until [ -e end ]; do sleep 0.1; done; kill $pids")
        for i in range(len(runs)):
            vm.touch(str(i))
        t.wait(lambda: vm.read("drawn").count(b"drawn ") == len(runs) or not guest.alive, f"{len(runs)} pictures", 60)
        t.lacks(b"failed", vm.read("drawn"), "what the clients were told")
        for i, (name, way, size) in enumerate(runs):
            width, height = map(int, size.split("x"))
            shown = [s for s in recorder.seen if s[:2] == (planes.FORMATS[name][0], (width, height))]
            for generation in (i + 100, i):
                t.ok(any(in_wl_shm(name, width, height, stride, generation, data) for _, _, stride, data in shown),
                     f"{name}, {size}, {way}, {device}: picture {generation} is not among {len(shown)} that were shown")
        vm.touch("end")
        t.wait(lambda: vm.host.log().count(" ended: sent ") == len(runs), "the clients end")
        for line in vm.host.log().splitlines():
            if " ended: sent " in line:
                counts = counters(line)
                t.ok(counts["received"] < 32 << 10 < counts["copied"], f"no pixels crossed the link: {counts}")


def as_if_direct(t, name, ways, **options):
    """The screen is the same as when a client beside the compositor shows the same planes by wl_shm."""
    sway = t.sway()
    weston = t.weston(parent=sway.socket, gl=True, shell="kiosk", **options)
    probe = Client(weston.socket)
    shm = probe.bind("wl_shm", 1)
    probe.roundtrip()
    formats = [m.args[0] for m in probe.events if m.interface == "wl_shm" and m.object == shm]
    probe.close()
    if planes.FORMATS[name][0] not in formats:
        raise Skip(f"this weston has no {name} in wl_shm")
    empty = sway.still()
    pictures = []
    beside = t.mkdir("beside")
    for generation in (1, 2):
        t.write(f"beside/{generation}", "")
        client = t.spawn(["python3", f"{HERE}/planes.py", name, "shm", str(generation)], weston.env(), cwd=beside)
        t.wait(lambda: f"drawn {generation}" in client.log() or not client.alive, "the direct client draws", 60)
        pictures.append(sway.still(unlike=empty))
        client.stop()
        sway.shows(empty, "the direct client is gone")
    t.ok(pictures[0] != pictures[1] and len(set(pictures[0])) > 100, "two pictures")
    for way in ways:
        vm = Vm(t, compositor=weston, gpu=GPU, name=way)
        guest = vm.boot(f"exec python3 {HERE}/planes.py {name} {way} 1 2 >drawn")
        for generation, picture in enumerate(pictures, 1):
            vm.touch(str(generation))
            sway.shows(picture, f"{name}, {way}: picture {generation}", 60)
        counts = counters(vm.end(guest))
        t.ok(counts["received"] < 32 << 10 < counts["copied"], f"no pixels crossed the link: {counts}")
        sway.shows(empty, "the guest's client is gone")


@test(timeout=200)
def nv12_on_weston(t):
    """Weston's GL renderer draws NV12 the same from a guest's dmabufs as from shared memory beside it."""
    as_if_direct(t, "NV12", ("one", "two"))


@test(timeout=200)
def p010_on_a_newer_weston(t):
    """P010, too, with a weston that has it (WAYVSOCK_NEWER_WESTON)."""
    command = os.environ.get("WAYVSOCK_NEWER_WESTON")
    if not command:
        raise Skip("WAYVSOCK_NEWER_WESTON does not name one")
    as_if_direct(t, "P010", ("one", "two"), command=command)


if __name__ == "__main__":
    if need_gpu():
        main()
