#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest whose daemon and driver lie, on a host with two VMs and their real GPU devices.

The hostile side names resources that it has, had, will have or never had. Whatever does not resolve ends the connection that
named it, with the broken rule's name in the log; the other VM shows its frames all the while."""

import collections
import os
import random
import socket
import struct
import threading

from harness import Failure, main, test
from harness.insider import copy_frame, import_frame, memory_frame
from harness.link import MEMORY, frame, mem_write, vfd
from harness.two_vms import NONCE, Neighbour, Vms, memory_client, stamp, watch
from harness.vgpu import PAGE

SANITIZED = bool(os.environ.get("WAYVSOCK_SANITIZED"))
UDMABUF = os.access("/dev/udmabuf", os.R_OK)     # else the host has mirrors
IN_GUEST = os.environ.get("WAYVSOCK_TRANSPORT") == "vsock"      # a guest kernel, many times slower
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
        for n in ids:       # a third in time, a third too late, and a third who knows
            client, memory, _ = clients[n]
            early = n % 3 == 0 or n % 3 == 2 and rng.random() < 0.5
            if early:
                client.copy(memory, client.import_(n, PAGE), PAGE)
            if n % 3 == 0:
                client.roundtrip()
            unrefs[n] = vgpu.start_unref(n)
            if n % 3 == 1 or rng.random() < 0.5:
                vgpu.wait(unrefs[n][0])
            if not early:
                client.copy(memory, client.import_(n, PAGE), PAGE)
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
            t.ok(n % 3 == 2 or (outcome == "copied") == (n % 3 == 0), f"{n}: {outcome}")
            t.ok(shown[:] == (stamp("old", n) if outcome == "copied" else bytes(PAGE)), f"round {n}: {outcome}")
            client.close()
            vgpu.unref(n)
    t.eq(set(seen) - {"copied", "generation)", "look-up)", "mark)"}, set(), f"what became of them: {seen}")


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
    session.bind(NONCE)
    other.roundtrip()
    client, memory, buffer = memory_client(session, 1)
    client.copy(memory, client.import_(1, PAGE), PAGE)
    t.ok(watch(fake, client, buffer)[:] == stamp("new", 1), "the new resource, after a new proof")
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
    frames("quota", *(import_frame(n, 1, size) for n in range(1, 3010)))
    vms.logged("size", "geometry", "known", "quota")


@test(timeout=120)
def memory_that_is_an_import(t):
    """What is not the VM's to give is refused; what was given stays what it was, and goes with the resource."""
    fake = t.fake()
    vms = Vms(t, fake)
    vgpu = vms.vgpus["bad"]
    vgpu.create(1, 2 * PAGE)
    session = vms.session()
    steady = session.client()
    steady.roundtrip()
    size, far = 2 * PAGE, (1 << 32) - 1
    good, memory = import_frame(1, 1, size), memory_frame(1, 1, size)
    pool = vfd(1, MEMORY, 0, size)

    def frames(rule, what, *sent):
        client = session.client()
        client.say(*sent)
        if rule == "":
            client.roundtrip()
            client.close()
        else:
            vms.refused(client, rule, what)
        steady.roundtrip()

    release = frame("IMPORT_RELEASE", struct.pack("<I", 1))
    frames("", "all of it, and again", good, memory, pool, memory_frame(2, 1, size), memory_frame(3, 1, 1))
    frames("known", "memory of nothing", memory)
    frames("known", "memory of another import", good, memory_frame(1, 2, size))
    frames("known", "memory of a released import", good, release, memory)
    frames("known", "a copy into memory whose import is released", good, memory, release, copy_frame(1, 1, 1, 1, 0, 1, 1, 0))
    frames("geometry", "more than was imported", import_frame(1, 1, PAGE), memory_frame(1, 1, PAGE + 1))
    frames("geometry", "a copy beyond the import", good, memory_frame(1, 1, 1), vfd(2, MEMORY, 0, 4 * PAGE),
           copy_frame(2, 1, 1, 1, 0, 1, 1, size))
    for wrong in (0, 3 * PAGE, (1 << 31) + 1, far, 1 << 63):
        frames("geometry" if wrong == 3 * PAGE else None, f"memory of {wrong} bytes", good, memory_frame(1, 1, wrong))
    for number in (0, 2, far, 1 << 31, (1 << 31) + 1):
        frames(None, f"memory {number}", good, memory_frame(number, 1, size))
    frames(None, "memory of import 0", good, memory_frame(1, 0, size))
    frames(None, "memory 1 twice", good, memory, memory)
    frames(None, "a short frame", good, frame("MEM_IMPORT", bytes(15)))

    # The guest's own pages have the size that they have, and nobody writes into them.
    ours = None if UDMABUF else ""
    frames(ours, "a larger pool", good, memory, vfd(1, MEMORY, 0, size + 1))
    frames(ours, "growth", good, memory, frame("MEM_SIZE", struct.pack("<IIQ", 1, 0, size + 1)))
    frames(ours, "a hole", good, memory, frame("MEM_PUNCH", struct.pack("<IIQQ", 1, 0, 0, PAGE)))
    frames(ours, "bytes over the link", good, memory, mem_write(1, 4, 1, 4, 0, b"abcd"))
    frames("geometry" if UDMABUF else "", "other bytes", good, memory, copy_frame(1, 1, 1, 1, 0, 1, 1, 1))
    frames("geometry" if UDMABUF else "", "other rows", good, memory, copy_frame(1, 1, 2, 8, 0, 1, 9, 0))
    frames("", "the same bytes", good, memory, copy_frame(1, 1, 2, 8, 0, 1, 8, 0))

    # The guest hears that nobody looks into a resource when the compositor has no memory of it any more.
    client = session.client()
    shm = client.bind("wl_shm", 1)
    vgpu.write(1, stamp("old", 1))
    buffer, number, imported = client.buffer_of(shm, 1, PAGE // 4, 2)
    client.copy(number, imported, size)
    client.release(imported)
    client.say(frame("VFD_CLOSE", struct.pack("<I", number)))
    shown = watch(fake, client, buffer)
    t.ok(shown[:PAGE] == stamp("old", 1), "the pages as the compositor has them")
    t.eq(client.released, 0 if UDMABUF else 1, "releases while the compositor has a buffer")
    client.send(buffer, "destroy")
    client.wait_released(1)
    client.close()

    # The guest destroys what the compositor has: the connection is the only thing that can be taken back.
    client = session.client()
    client.buffer_of(client.bind("wl_shm", 1), 1, PAGE // 4, 2)
    client.roundtrip()
    vgpu.unref(1)
    vgpu.create(1, 2 * PAGE)
    if not UDMABUF:
        client.copy(1, 1, PAGE)
    vms.refused(client, "generation", "the resource of a buffer is destroyed")
    steady.roundtrip()
    vms.logged("known", "geometry", "generation")


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


@test(timeout=120)
def devices_that_are_found(t):
    """Where the host looks for a VM's device, the device of another VM is not to be had, whoever put the nonce there."""
    vms = Vms(t, t.fake(), searched=True)
    good = vms.vgpus["good"]
    good.create(5)
    neighbour = vms.session("good")
    other = neighbour.client()
    other.import_(5, PAGE)
    other.roundtrip()
    thief = vms.session(bind=False)
    nonce = thief.probe()
    good.write(5, nonce)                        # a picture that somebody showed it begins like this
    thief.probed(5)
    t.eq(thief.bound()[0], False, "bound to the other VM's device")
    client = thief.client()
    client.import_(5, PAGE)
    vms.refused(client, "session", "the other VM's resource")
    vms.vgpus["bad"].write(NONCE, nonce)
    thief.probed(NONCE)
    t.eq(thief.bound()[0], True, "bound to its own device")
    works = thief.client()
    works.import_(NONCE, PAGE)
    works.roundtrip()
    other.import_(5, PAGE)
    other.roundtrip()


class Liar(threading.Thread):
    """What says that it is a VM's GPU, and that it has found whatever it is asked for."""

    WELCOME, BIND, MIRROR, STATUS, BOUND = 2, 3, 6, 9, 13

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(16)
        self.packets = []           # (type, payload)
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        while packet := client.recv(8192):
            _, kind, _, serial = struct.unpack_from("<IHHI", packet)
            self.packets.append((kind, packet[12:]))
            if kind == 1:           # HELLO, in whatever version is wanted
                version = struct.unpack_from("<H", packet, 12 + 6)[0]
                answer = self.WELCOME, struct.pack("<IHHIIQQII16s", 0, version, 0, 2 | 16, 1, 1, 0, 0, 0, bytes(range(16)))
            elif kind == self.BIND and len(packet) == 12 + 16:
                answer = self.BOUND, struct.pack("<II", 0, 0) + bytes(32)
            else:
                answer = self.STATUS, struct.pack("<II", 0, 0)
            try:
                client.send(struct.pack("<IHHI", len(answer[1]), answer[0], 0, serial) + answer[1])
            except BrokenPipeError:
                return              # another one was it


@test(timeout=120)
def a_device_that_only_says_so(t):
    """A process beside the devices that says OK to everything is not the VM's GPU, and is told nothing by which it could be."""
    vms = Vms(t, t.fake(), searched=True)
    liar = Liar(t.path("devices-bad", "99.sock"))
    session = vms.session(bind=False)
    nonce = session.probe()
    session.probed(6)                           # which no real device has
    t.eq(session.bound()[0], False, "bound to one that only says so")
    vms.vgpus["bad"].write(NONCE, nonce)
    session.probed(NONCE)
    t.eq(session.bound()[0], True, "bound to the VM's device")
    client = session.client()
    client.import_(NONCE, PAGE)
    client.roundtrip()
    t.ok(any(kind == Liar.BIND for kind, _ in liar.packets), "it was asked")
    t.ok(not any(nonce in payload for _, payload in liar.packets), "it does not know the nonce")
    t.ok(not any(kind == Liar.MIRROR for kind, _ in liar.packets), "it has no mirror")
    liar.listener.close()


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
        return {proc.name: proc.rss_kib() + proc.shmem_kib() for proc in (vms.host, *vms.gpus.values())}
    storm(session, 2, 5000)
    memory = settle()
    for _ in range(5):
        storm(session, 4, 1000 if SANITIZED or IN_GUEST else 5000)
        neighbour.check(t)
    for name, kib in settle().items():          # a sanitizer keeps what was freed
        t.ok(SANITIZED or kib < memory[name] + 1024, f"{name}: {kib} KiB of memory, at first {memory[name]}")
    sway.shows(neighbour.stop(t), "the other VM's last frame")


if __name__ == "__main__":
    main()
