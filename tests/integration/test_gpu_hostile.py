#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest whose daemon and driver lie, on a host with two VMs and their real GPU devices.

The hostile side names resources that it has, had, will have or never had. Whatever does not resolve ends the connection that
named it, with the broken rule's name in the log; the other VM shows its frames all the while."""

import collections
import mmap
import os
import random
import struct
import threading
import time

from harness import Failure, Skip, main, test
from harness.client import Window
from harness.insider import Insider, copy_frame, import_frame
from harness.link import frame
from harness.vgpu import PAGE, Vgpu

GPU = os.environ.get("WAYVSOCK_GPU", "")
SANITIZED = bool(os.environ.get("WAYVSOCK_SANITIZED"))
NONCE = 65000           # the resource that each VM shows its nonce in
WIDTH, HEIGHT = 1280, 720


class Vms:
    """wayvsock-host with VMs "bad" and "good", each with a wayvsock-gpu."""

    def __init__(self, t, compositor, mebibytes=16, log_level="debug"):
        self.t = t
        self.compositor = compositor
        if not os.access(GPU, os.X_OK):
            raise Skip("WAYVSOCK_GPU must name wayvsock-gpu")
        self.gpus, self.vgpus = {}, {}
        config = ""
        for seed, name in enumerate(("bad", "good")):
            self.gpus[name] = t.spawn([GPU, "--socket-path", t.path(f"{name}.vhost"), "--export", t.path(f"{name}.export"),
                                       "--log-level", log_level], name=f"wayvsock-gpu-{name}")
            self.gpus[name].is_daemon = True
            t.wait(lambda: os.path.exists(t.path(f"{name}.vhost")), "the device listens")
            self.vgpus[name] = Vgpu(t.path(f"{name}.vhost"), mebibytes, seed)
            self.vgpus[name].create(NONCE)
            config += (f"[vm {name}]\nlisten = unix:{t.path(name)}\ngpu = {t.path(name + '.export')}\n"
                       f"max-clients = 1000\nsecurity-context = no\n")
        self.host = t.spawn([os.environ["WAYVSOCK_HOST"], "--config", t.write("host.conf", config), "--compositor",
                             compositor.socket, "--log-level", log_level], name="wayvsock-host")
        self.host.is_daemon = True
        t.wait(lambda: os.path.exists(t.path("good")) or not self.host.alive, "the host listens")

    def session(self, name="bad", bind=True, **options):
        insider = Insider(self.t.path(name), self.vgpus[name], **options)
        return insider.bind(NONCE) if bind else insider

    def refused(self, client, rule, what):
        """The host ends the connection because of that rule (None: of the link's own)."""
        reason = client.ended()
        self.t.has(f"(GPU rule: {rule})" if rule else "the other proxy", reason, what)
        return reason

    def logged(self, *rules):
        """Lines that come fast are counted, not repeated; each rule is named all the same."""
        for rule in rules:
            self.t.has(f"(GPU rule: {rule})", self.host.log(), "the host's log")


class Neighbour(threading.Thread):
    """The good VM: a window whose pixels come from its GPU, frame after frame until stop()."""

    def __init__(self, vms):
        super().__init__(daemon=True)
        self.vgpu = vms.vgpus["good"]
        self.session = vms.session("good")
        self.client = self.session.client(label=b"neighbour")
        self.window = Window(self.client, app_id="neighbour")
        self.vgpu.create(1, WIDTH * HEIGHT * 4)
        self.buffer, self.memory = self.client.new_buffer(self.window.shm, WIDTH, HEIGHT)
        self.number = self.client.import_(1, WIDTH * HEIGHT * 4)
        self.pictures = [random.Random(i).randbytes(WIDTH * HEIGHT * 4) for i in range(3)]
        self.frames = 0
        self.error = None
        self.going = True
        self.show()
        self.start()

    def show(self):
        self.vgpu.write(1, self.pictures[self.frames % 3])
        self.client.copy(self.memory, self.number, WIDTH * HEIGHT * 4)
        self.window.show(self.buffer)
        self.client.roundtrip()
        self.frames += 1

    def run(self):
        try:
            while self.going:
                self.show()
                time.sleep(0.05)
        except BaseException as e:      # told by check()
            self.error = e

    def check(self, t):
        """It goes on drawing."""
        before = self.frames
        t.wait(lambda: self.frames > before + 1 or self.error, "the other VM's next frame")
        t.ok(self.error is None, f"the other VM's client: {self.error!r}")

    def stop(self, t):
        """Returns what its window shows, as the bytes of a picture."""
        self.check(t)
        self.going = False
        self.join()
        data = self.pictures[(self.frames - 1) % 3]
        rgb = bytearray(WIDTH * HEIGHT * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
        return b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + bytes(rgb)


def stamp(name, number):
    """What a page of that resource has in it."""
    return struct.pack("<4sI", name[:4].encode(), number) * (PAGE // 8)


def memory_client(session, pages):
    """A client with room for so many pages on the host: (client, memory, buffer)."""
    client = session.client()
    buffer, memory = client.new_buffer(client.bind("wl_shm", 1), PAGE // 4, pages)
    return client, memory, buffer


def watch(fake, client, buffer):
    """The memory behind a buffer as the compositor has it, for as long as anybody wants to look."""
    client.roundtrip()
    pool = fake.newest().buffers[buffer][0]
    return mmap.mmap(*fake.newest().pool_files[pool], prot=mmap.PROT_READ)


IDS = 10000
HOLES = {31: "unmarked", 71: "of the other VM", 111: "destroyed", 151: "without memory"}      # by the id modulo 160
RULES = {"unmarked": "mark"}            # the others fail at the look-up


@test(timeout=200)
def every_id(t):
    """Of the ids up to 10,000, those resolve that exist, have memory and are shared; and to this VM's memory."""
    fake = t.fake()
    vms = Vms(t, fake, mebibytes=48)
    bad, good = vms.vgpus["bad"], vms.vgpus["good"]
    kinds = {n: HOLES.get(n % 160, "there") for n in range(1, IDS + 1)}
    good.create_many([n for n in kinds if n % 160 != 111])
    bad.create_many([n for n, kind in kinds.items() if kind in ("there", "destroyed")])
    bad.create_many([n for n, kind in kinds.items() if kind == "unmarked"], shared=False)
    for name, vgpu in vms.vgpus.items():
        for n in vgpu.resources:
            vgpu.write(n, stamp(name, n))
    for n, kind in kinds.items():
        if kind == "destroyed":
            bad.unref(n)
        elif kind == "without memory":
            bad.create_2d(n, 32, 32, backed=False)
    session = vms.session()
    there = [n for n, kind in kinds.items() if kind == "there"]
    for first in range(0, len(there), 1000):
        part = there[first:first + 1000]
        client, memory, buffer = memory_client(session, len(part))
        for i, n in enumerate(part):
            client.copy(memory, client.import_(n, PAGE), PAGE, i * PAGE)
        client.roundtrip()
        t.ok(fake.newest().content(buffer) == b"".join(stamp("bad", n) for n in part),
             f"the pages of ids {part[0]} to {part[-1]}")
        client.close()
    kinds = {n: kind for n, kind in kinds.items() if kind != "there"}
    kinds.update({n: "that never was" for n in (IDS + 1, 0x7fffffff, 0xffffffff)})
    clients = {n: session.client() for n in kinds}
    for n, client in clients.items():
        client.import_(n, PAGE)
    for n, client in clients.items():
        vms.refused(client, RULES.get(kinds[n], "look-up"), f"id {n}, {kinds[n]}")
    zero = session.client()
    zero.import_(0, PAGE)
    vms.refused(zero, None, "id 0")
    vms.logged("look-up", "mark")


@test(timeout=120)
def ids_that_change(t):
    """Nobody sees the pages of a resource that took the place of another one, whenever it did."""
    fake = t.fake()
    vms = Vms(t, fake)
    vgpu = vms.vgpus["bad"]
    session = vms.session()
    first, second = stamp("old", 1), stamp("new", 1)

    # Destroyed when it was imported: the pages are free for others as soon as the host let go.
    vgpu.create(1)
    vgpu.write(1, first)
    client, memory, buffer = memory_client(session, 1)
    number = client.import_(1, PAGE)
    client.copy(memory, number, PAGE)
    shown = watch(fake, client, buffer)
    vgpu.unref(1)
    vgpu.create(1)
    vgpu.write(1, second)
    client.copy(memory, number, PAGE)
    vms.refused(client, "generation", "a copy out of a destroyed resource")
    t.ok(shown[:] == first, "the destroyed resource's last picture stays")

    # Its memory taken away.
    vgpu.create_2d(2, 32, 32)
    client, memory, buffer = memory_client(session, 1)
    number = client.import_(2, PAGE)
    client.roundtrip()
    vgpu.detach(2)
    client.copy(memory, number, PAGE)
    vms.refused(client, "generation", "a copy out of a resource whose memory was taken away")
    client = session.client()
    client.import_(2, PAGE)
    vms.refused(client, "look-up", "a resource without memory")

    # Named first, made later: within the second it counts.
    vgpu.unref(1)
    client, memory, buffer = memory_client(session, 1)
    client.copy(memory, client.import_(3, PAGE), PAGE)
    vgpu.create(3)
    vgpu.write(3, second)
    client.copy(memory, client.import_(3, PAGE), PAGE)
    t.ok(watch(fake, client, buffer)[:] == second, "a resource that was made after it was named")
    client.close()
    vms.logged("generation", "look-up")


@test(timeout=120)
def destroyed_in_flight(t):
    """The driver destroys what the daemon names at that moment, and puts a private resource in its place."""
    fake = t.fake()
    vms = Vms(t, fake)
    vgpu = vms.vgpus["bad"]
    session = vms.session()
    rng = random.Random(4)
    seen = collections.Counter()
    for first in range(1, 121, 24):
        ids = range(first, first + 24)
        vgpu.create_many(ids)
        clients, unrefs = {}, {}
        for n in ids:
            vgpu.write(n, stamp("old", n))
            client, memory, buffer = memory_client(session, 1)
            clients[n] = client, memory, watch(fake, client, buffer)
        for n in ids:
            client, memory, _ = clients[n]
            early = rng.random() < 0.5
            if early:
                client.copy(memory, client.import_(n, PAGE), PAGE)
            unrefs[n] = vgpu.start_unref(n)
            if not early:
                client.copy(memory, client.import_(n, PAGE), PAGE)
            if rng.random() < 0.5:
                vgpu.wait(unrefs[n][0])
        for n in ids:
            slot, pages = unrefs[n]
            vgpu.wait(slot)
            vgpu.free_pages[:0] = pages         # for the next one
            vgpu.create(n, shared=False)
            vgpu.write(n, stamp("new", n))
        for n in ids:
            client, _, shown = clients[n]
            try:
                client.roundtrip()
                outcome = "copied"
            except (EOFError, Failure):
                outcome = client.error[1].partition("GPU rule: ")[2]
            seen[outcome] += 1
            t.ok(shown[:] == (stamp("old", n) if outcome == "copied" else bytes(PAGE)), f"round {n}: {outcome}")
            client.close()
            vgpu.unref(n)
    t.eq(set(seen) - {"copied", "generation)", "look-up)", "mark)"}, set(), f"what became of them: {seen}")
    t.ok(len(seen) > 1, f"several things became of them: {seen}")


@test(timeout=120)
def drivers_that_start_anew(t):
    """What was imported before is void, whatever has its id now; a new proof is needed."""
    fake = t.fake()
    vms = Vms(t, fake)
    vgpu = vms.vgpus["bad"]
    session = vms.session()
    vgpu.create(1)
    vgpu.write(1, stamp("old", 1))
    client, memory, buffer = memory_client(session, 1)
    number = client.import_(1, PAGE)
    shown = watch(fake, client, buffer)
    waiting = session.client()
    waiting.import_(2, PAGE)
    other = session.client()
    other.roundtrip()
    vgpu.reset()
    vms.refused(waiting, "epoch", "an import that waited")
    for n in (1, NONCE):
        vgpu.create(n)
        vgpu.write(n, stamp("new", n))
    client.copy(memory, number, PAGE)
    vms.refused(client, "epoch", "an import of the time before")
    t.ok(shown[:] == bytes(PAGE), "nothing was shown")
    client = session.client()
    client.import_(1, PAGE)
    vms.refused(client, "session", "an import before a new proof")
    t.eq(session.bound()[0], False, "the first proof holds no more")
    other.roundtrip()
    session = vms.session()
    client, memory, buffer = memory_client(session, 1)
    client.copy(memory, client.import_(1, PAGE), PAGE)
    t.ok(watch(fake, client, buffer)[:] == stamp("new", 1), "the new resource, after a new proof")
    other = session.client()
    other.roundtrip()
    vms.gpus["bad"].kill()
    client.copy(memory, 1, PAGE)
    vms.refused(client, "device", "a copy when the device has died")
    other.roundtrip()
    vms.logged("epoch", "session", "device")


@test(timeout=120)
def edges(t):
    """Sizes, offsets and strides around what is there, releases that do not add up, numbers that were not given."""
    fake = t.fake()
    vms = Vms(t, fake)
    vms.vgpus["bad"].create(1, 3 * PAGE)
    session = vms.session()
    steady = session.client()
    steady.roundtrip()
    size, room = 3 * PAGE, 4 * PAGE             # of the resource, of the host's memory
    far, top = (1 << 32) - 1, 1 << 63

    def copies(rule, *fields, imported=size):
        """row, rows, stride, offset, source_stride, source_offset"""
        row, rows, stride, offset, source_stride, source_offset = fields
        client, memory, _ = memory_client(session, 4)
        number = client.import_(1, imported)
        client.say(copy_frame(memory, row, rows, stride, offset, number, source_stride, source_offset))
        if rule == "":
            client.roundtrip()
            client.close()
        else:
            vms.refused(client, rule, f"the copy {fields}")
        steady.roundtrip()

    def frames(rule, *sent):
        client, memory, _ = memory_client(session, 4)
        client.say(*sent)
        vms.refused(client, rule, f"the frames {[f.hex() for f in sent[:4]]}")
        steady.roundtrip()

    def release(number):
        return frame("IMPORT_RELEASE", struct.pack("<I", number))

    for imported, rule in ((size, ""), (size - 1, ""), (1, ""), (0, None), (size + 1, "size"), (far, None), (1 << 31, "size"),
                           ((1 << 31) + 1, None), (1 << 32, None), (top, None), (2 * top - 1, None)):
        copies(rule, 1, 1, 1, 0, 1, 0, imported=imported)
    copies("", size, 1, size, 0, size, 0)
    copies("", 1, 1, 1, room - 1, 1, size - 1)
    copies("", PAGE, 3, PAGE, PAGE, PAGE, 0)
    copies("", 16, 2, room - 16, 0, size - 16, 0)       # the last row ends where both end
    copies("", 1, 1, far, 0, far, 0)                    # one row: no stride is taken
    copies(None, 0, 1, 1, 0, 1, 0)
    copies(None, 1, 0, 1, 0, 1, 0)
    copies(None, 0, 0, 0, 0, 0, 0)
    copies(None, 2, 1, 1, 0, 2, 0)
    copies(None, 2, 1, 2, 0, 1, 0)
    copies(None, 1, 1, 0, 0, 0, 0)
    copies("geometry", size + 1, 1, size + 1, 0, size + 1, 0)
    copies("geometry", 1, 1, 1, 0, 1, size)
    copies("geometry", 2, 1, 2, 0, 2, size - 1)
    copies("geometry", 16, 2, 16, 0, size - 15, 0)
    copies("geometry", 1, 2, 1, 0, far, 0)
    copies("geometry", 1, 2, 1, 0, far, 1)
    copies("geometry", 1, 1, 1, 0, 1, 1 << 31)
    copies("geometry", 2, 1, 2, 0, 2, 0, imported=1)    # within the resource, not within what was imported
    copies(None, 1, 1, 1, 0, 1, (1 << 31) + 1)
    copies(None, 1, 1, 1, 0, 1, top)
    copies(None, 1, 1, 1, 0, 1, 2 * top - 1)
    copies(None, 1, 1, 1, room, 1, 0)                   # the memory's end
    copies(None, 2, 1, 2, room - 1, 2, 0)
    copies(None, 1, 2, far, 0, 1, 0)
    copies(None, 1, far, 1, 0, 1, 0)
    copies(None, far, far, far, 0, far, 0)
    copies(None, 1, 1, 1, top, 1, 0)

    one = copy_frame(1, 1, 1, 1, 0, 1, 1, 0)
    good = import_frame(1, 1, size)
    frames("known", good, release(1), release(1))
    frames("known", good, one, release(1), one)
    frames("known", one, good)
    frames("known", good, copy_frame(1, 1, 1, 1, 0, 2, 1, 0))
    frames(None, release(1))
    frames(None, good, release(2))
    frames(None, good, release(0))
    frames(None, good, copy_frame(1, 1, 1, 1, 0, 0, 1, 0))
    frames(None, good, copy_frame(2, 1, 1, 1, 0, 1, 1, 0))
    frames(None, good, copy_frame(far, 1, 1, 1, 0, 1, 1, 0))
    frames(None, good, good)
    frames(None, good, release(1), good)
    frames(None, import_frame(0, 1, size))
    frames(None, import_frame(2, 1, size))
    frames(None, import_frame(far, 1, size))
    frames(None, good[:-1] + good)
    frames(None, frame("IMPORT_RELEASED", struct.pack("<I", 7)))
    frames("quota", *(import_frame(n, 1, size) for n in range(1, 1030)))
    vms.logged("size", "geometry", "known", "quota")


@test(timeout=120)
def sessions(t):
    """A daemon that does not show that it holds its VM's device names nothing; one that answers wrongly is not bound."""
    vms = Vms(t, t.fake())
    good, bad = vms.vgpus["good"], vms.vgpus["bad"]
    good.create(5)
    neighbour = vms.session("good")
    other = neighbour.client()
    other.roundtrip()

    def refused(session, what):
        client = session.client()
        client.import_(NONCE, PAGE)
        vms.refused(client, "session", what)

    quiet = vms.session(bind=False, features=0)
    refused(quiet, "a daemon without a GPU")
    silent = vms.session(bind=False)
    nonce = silent.probe()
    refused(silent, "a daemon that does not answer the probe")

    liar = vms.session(bind=False)
    good.write(5, liar.probe())
    for answer, what in ((5, "the other VM's resource"), (6, "nothing at all"), (NONCE, "a resource without the nonce")):
        liar.probed(answer)
        t.eq(liar.bound()[0], False, f"bound with {what}")
        refused(liar, f"a daemon that named {what}")
    bad.create(5)
    liar.probed(5)
    t.eq(liar.bound()[0], False, "bound with the other VM's id")
    bad.write(5, nonce)
    liar.probed(5)
    t.eq(liar.bound()[0], False, "bound with an earlier session's nonce")
    bad.write(5, good.read(5)[:31])
    liar.probed(5)
    t.eq(liar.bound()[0], False, "bound with all but one byte")
    bad.write(5, good.read(5))
    liar.probed(5)
    t.eq(liar.bound()[0], True, "bound with the nonce, after all")
    works = liar.client()
    works.import_(5, PAGE)
    works.roundtrip()

    again = vms.session()                       # the sessions before are over with it
    t.has("session", works.ended(), "why the older session's client ended")
    late = liar.client()
    t.has("key", late.ended(), "why the older session's key is refused")
    again.probed(NONCE)
    again.probed(NONCE)
    again.control.wait_end()
    guesser = vms.session(bind=False)
    guesser.probe()
    for _ in range(20):
        guesser.probed(NONCE)
    guesser.control.wait_end()
    left = vms.session(bind=False)
    left.probe()
    left.probed(0)
    refused(left, "a daemon that has no device")
    last = vms.session()
    last.client().roundtrip()
    other.roundtrip()
    vms.logged("session")


def descriptors(vms):
    found = {}
    for proc in (vms.host, *vms.gpus.values()):
        try:
            found[proc.name] = proc.fds()
        except PermissionError:                 # wayvsock-gpu hides; only root sees all the same
            found[proc.name] = []
    return found


def storm(session, clients, imports):
    """So many connections, each with so many imports and releases."""
    for _ in range(clients):
        client, memory, _ = memory_client(session, 1)
        for first in range(0, imports, 200):
            numbers = [client.import_(1 + i % 3, PAGE) for i in range(200)]
            client.copy(memory, numbers[-1], PAGE)
            for number in numbers:
                client.release(number)
            client.wait_released(first + 200)
        client.roundtrip()
        client.close()
        client = session.client()
        for _ in range(250):
            client.import_(1, PAGE)
        client.close()                          # while some of it is under way, and nothing is released


@test(timeout=300)
def a_hundred_thousand_imports(t):
    """They come and go, and some never properly; the daemons hold as much as before, and the neighbour draws on."""
    sway = t.sway()
    vms = Vms(t, sway, log_level="info")
    neighbour = Neighbour(vms)
    session = vms.session()
    vms.vgpus["bad"].create_many((1, 2, 3))
    before = descriptors(vms)

    def settle():
        try:
            t.wait(lambda: descriptors(vms) == before, "the daemons hold the descriptors that they held")
        except Failure as e:
            raise Failure(f"{e}: {before}, now {descriptors(vms)}") from None
        return {proc.name: proc.rss_kib() for proc in (vms.host, *vms.gpus.values())}
    storm(session, 2, 5000)
    memory = settle()
    for _ in range(5):
        storm(session, 4, 1000 if SANITIZED else 5000)
        neighbour.check(t)
    for name, kib in settle().items():          # a sanitizer keeps what was freed
        t.ok(SANITIZED or kib < memory[name] + 1024, f"{name}: {kib} KiB of private memory, at first {memory[name]}")
    sway.shows(neighbour.stop(t), "the other VM's last frame")


if __name__ == "__main__":
    main()
