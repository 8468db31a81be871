#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A VM that does its worst to the host, and the VM next door, which goes on working.

Judged by counts (the host's memory and descriptors, what is left afterwards) and by ratios in the same run: how long the
neighbour's round trips take beside the worst frames, and beside harmless ones of the same number of connections.

WAYVSOCK_ATTACK_SECONDS makes it long: `scripts/test attack`. WAYVSOCK_RANDOM_SEED is the first seed."""

import os
import random
import signal
import socket
import statistics
import struct
import threading
import time

from harness import Failure, main, test
from harness import link
from harness.client import Client
from harness.insider import Insider, copy_frame, import_frame, memory_frame
from harness.link import frame, mem_write
from harness.stack import Stack
from harness.two_vms import Vms
from harness.wire import pack

SECONDS = int(os.environ.get("WAYVSOCK_ATTACK_SECONDS", "0"))
SEED = int(os.environ.get("WAYVSOCK_RANDOM_SEED", "1"))
LIMIT = SECONDS + 600
SANITIZED = bool(os.environ.get("WAYVSOCK_SANITIZED"))     # keeps freed memory for a while
MIB = 1 << 20
CONNECTIONS = 8


def until(seconds):
    """Rounds until the time is up; at least one."""
    end, number = time.monotonic() + seconds, 0
    while number == 0 or time.monotonic() < end:
        yield number
        number += 1


def close(number):
    return frame("VFD_CLOSE", struct.pack("<I", number))


def punch(number, offset, length):
    return frame("MEM_PUNCH", struct.pack("<IIQQ", number, 0, offset, length))


class Rig:
    """A good VM with its daemon and an application, and a bad one that is the test's own."""

    def __init__(self, t, settings=""):
        self.t = t
        self.path = t.path("evil")
        self.stack = t.stack(t.weston(), config=f"[vm good]\nlisten = @ADDRESS@\n[vm evil]\nlisten = unix:{self.path}\n"
                                                f"security-context = no\n{settings}")
        self.session = Insider(self.path)
        t.guests.append(self.session.close)
        self.healthy = self.stack.client(timeout=120)
        self.healthy.roundtrip()
        self.host = self.stack.host
        self.fds = len(self.host.fds())
        self.blocks = sum(self.host.mirror_blocks())

    def client(self):
        client = self.session.client()
        client.shm = client.bind("wl_shm", 1)
        client.roundtrip()
        return client

    def held(self):
        """Bytes that the host has for anybody."""
        return self.host.rss_kib() * 1024 + sum(self.host.mirror_blocks()) * 512

    def even(self):
        """Nothing is left of the bad VM's clients."""
        self.healthy.roundtrip()
        self.t.wait(lambda: len(self.host.fds()) <= self.fds + 8, f"the host's descriptors go: {self.fds} before", 200)
        self.t.wait(lambda: sum(self.host.mirror_blocks()) <= self.blocks + 2048, "the mirrors go", 200)
        self.t.ok(self.host.alive, "the host lives")


class Flood:
    """The same bytes, again and again, on each of some connections."""

    def __init__(self, rig, prepare, block):
        self.clients = []
        for _ in range(CONNECTIONS):
            client = rig.client()
            client.say(prepare(client))
            client.roundtrip()
            # What is on its way when the flood ends still costs what it costs.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            self.clients.append(client)
        self.block, self.going, self.blocks = block, True, 0
        self.threads = [threading.Thread(target=self._send, args=(c,), daemon=True) for c in self.clients]
        for thread in self.threads:
            thread.start()

    def _send(self, client):
        client.socket.settimeout(30)
        try:
            while self.going:
                client.socket.sendall(self.block)
                self.blocks += 1
        except OSError:
            pass

    def stop(self):
        """The end of a connection, however much the host has not read."""
        self.going = False
        for client in self.clients:
            client.socket.shutdown(2)
        for thread in self.threads:
            thread.join()
        for client in self.clients:
            client.close()


def pool(size):
    """Memory 1, as a pool."""
    def prepare(client):
        client.memories = 1
        return link.vfd(1, link.MEMORY, 0, size) + frame("WAYLAND", pack(client.shm, 0, struct.pack(
            "=II", client.new_id("wl_shm_pool"), min(size, (1 << 31) - 1))))
    return prepare


def nothing(client):
    client.memories = 1
    return link.vfd(1, link.MEMORY, 0, 4096) + frame("WAYLAND", pack(client.shm, 0, struct.pack(
        "=II", client.new_id("wl_shm_pool"), 4096))) + close(1)


GIB = 1 << 30
HARMLESS = close(1) * 20000                     # late for something that is gone
ATTACKS = {
    "punching a gigabyte": (pool(GIB), (mem_write(1, 1, 1, 1, 0, b"x") + mem_write(1, 1, 1, 1, GIB - 1, b"x") +
                                        punch(1, 0, GIB)) * 2000),
    "rows of one byte": (pool(GIB), (mem_write(1, 1, 4096, 4096, 0, b"x" * 4096) + punch(1, 0, GIB)) * 20),
    "many rows, punched one by one": (pool(64 * MIB), (mem_write(1, 1, 64, 8192, 0, b"x" * 64) + punch(1, 0, 1 << 20)) * 500),
    "the same memory again and again": (pool(4096), b"".join(
        frame("MEM_SIZE", struct.pack("<IIQ", 1, 0, 4096)) for _ in range(10000))),
    "writes to what is gone": (nothing, mem_write(1, 1, 1, 1, 0, b"x") * 10000),
    "all of it, mixed": (pool(GIB), (mem_write(1, 1, 4096, 4096, 0, b"x" * 4096) + punch(1, 0, GIB) +
                                     mem_write(1, 1, 64, 8192, 0, b"x" * 64) + punch(1, 0, 1 << 20) +
                                     frame("MEM_SIZE", struct.pack("<IIQ", 1, 0, GIB)) * 100) * 20),
}


def median(client, number=15):
    took = []
    for _ in range(number):
        start = time.perf_counter()
        client.roundtrip()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def beside(rig, attack):
    """The neighbour's round trip while that goes on."""
    flood = Flood(rig, *attack)
    try:
        median(rig.healthy, 3)
        return median(rig.healthy)
    finally:
        flood.stop()


def floods(t, rig):
    for what, attack in ATTACKS.items():
        ratios = []
        for _ in range(4):
            harmless = beside(rig, (nothing, HARMLESS))
            ratios.append(beside(rig, attack) / harmless)
            if ratios[-1] <= 3:
                break
        print(f"# {what}: {ratios}", flush=True)
        t.ok(min(ratios) <= 3, f"{what}: the neighbour's round trips take {min(ratios):.1f} times as long: {ratios}")
        rig.even()


@test(direct=False, timeout=LIMIT)
def floods_of_the_worst_frames(t):
    rig = Rig(t)
    for _ in until(SECONDS / 6):
        floods(t, rig)


@test(direct=False, timeout=LIMIT)
def floods_within_low_limits(t):
    rig = Rig(t, "max-memory = 64M\nmax-fds = 100\nmax-clients = 20\nmax-queue = 1M\n")
    for _ in until(SECONDS / 6):
        floods(t, rig)


@test(direct=False, timeout=600)
def what_nobody_reads(t):
    """Answers that the VM does not take, on many connections: within the VM's memory, and then those connections end."""
    limit = 16 * MIB
    rig = Rig(t, f"max-memory = {limit}\nmax-queue = 8M\nmax-fds = 400\n")
    before = rig.held()
    clients = [rig.client() for _ in range(24)]
    most, sent = 0, 0
    for _ in range(30):
        for client in clients:
            block = b"".join(pack(1, 0, struct.pack("=I", client.next_id + i)) for i in range(4000))
            client.next_id += 4000
            client.socket.settimeout(0.2)
            try:
                client.socket.sendall(frame("WAYLAND", block))
                sent += 1
            except OSError:
                continue
        most = max(most, rig.held() - before)
    t.ok(sent > 24, "the host took some of it")
    t.ok(SANITIZED or most < 3 * limit, f"the host held {most} bytes for a VM that may have {limit}")
    for client in clients:
        client.close()
    rig.even()


def ended_by_limit(client):
    """Whether the host said that a limit of the VM's is reached."""
    try:
        while not client.closed:
            client.read(0.5)
    except TimeoutError:
        pass
    return bool(client.error and client.error[0] == link.LIMIT)


@test(direct=False, timeout=600)
def memory_and_descriptors_stay_within_low_limits(t):
    """Pools whose memory was closed, sparse rows, files: whatever it is, no more than the VM may have."""
    limit = 64 * MIB
    rig = Rig(t, f"max-memory = {limit}\nmax-fds = 64\nmax-clients = 4\n")
    before, most, descriptors, ended = rig.held(), 0, 0, 0
    for _ in range(3):
        for kind in "closed", "sparse", "files", "buffers":
            client = rig.client()
            data = []
            for i in range(1, 200):
                new = client.new_id("wl_shm_pool")
                if kind == "closed":
                    data += [link.vfd(i, link.MEMORY, 0, MIB), frame("WAYLAND", pack(client.shm, 0, struct.pack(
                        "=II", new, MIB))), mem_write(i, 65536, 1, 65536, 0, bytes(65536)), close(i)]
                elif kind == "sparse":
                    data += [link.vfd(i, link.MEMORY, 0, 16 * MIB), frame("WAYLAND", pack(client.shm, 0, struct.pack(
                        "=II", new, 16 * MIB))), mem_write(i, 1, 4096, 4096, 0, bytes(4096))]
                elif kind == "files":
                    data += [link.vfd(i, link.FILE, 0, MIB), mem_write(i, 4096, 1, 4096, 0, bytes(4096))]
                else:
                    data += [link.vfd(i, link.MEMORY, 0, 32 * MIB), frame("WAYLAND", pack(client.shm, 0, struct.pack(
                        "=II", new, 32 * MIB)) + b"".join(pack(new, 0, struct.pack(
                            "=IiiiiI", client.new_id("wl_buffer"), 0, 1024, 8192, 4096, 1)) for _ in range(20)))]
            client.say(*data)
            ended += ended_by_limit(client)
            for _ in range(20):
                most = max(most, rig.held() - before)
                descriptors = max(descriptors, len(rig.host.fds()) - rig.fds)
                time.sleep(0.02)
            client.close()
            rig.even()
    t.ok(ended >= 9, f"{ended} connections ended by a limit")
    t.ok(SANITIZED or most < limit + 48 * MIB, f"the host held {most} bytes for a VM that may have {limit}")
    t.ok(descriptors <= 64 + 16, f"the host had {descriptors} descriptors open for a VM that may have 64")


# -- anything, on both planes

def templates(client, rng):
    """Frames as a guest's daemon may send them, now and then with numbers that mean nothing."""
    n = lambda: rng.choice((0, 1, 2, 3, rng.randint(1, 20), rng.getrandbits(32)))   # noqa: E731
    size = rng.choice((0, 1, 4096, 65536, MIB, GIB, rng.getrandbits(40)))
    return rng.choice((
        lambda: link.vfd(n(), rng.randint(0, 4), rng.randint(0, 3), size),
        lambda: close(n()), lambda: punch(n(), rng.getrandbits(16), size),
        lambda: frame("MEM_SIZE", struct.pack("<IIQ", n(), 0, size)),
        lambda: mem_write(n(), 4, 2, rng.choice((4, 4096)), rng.getrandbits(13), bytes(8)),
        lambda: frame("STREAM_DATA", struct.pack("<I", n()) + rng.randbytes(rng.randint(0, 64))),
        lambda: frame("STREAM_CREDIT", struct.pack("<II", n(), rng.getrandbits(20))),
        lambda: frame("STREAM_END", struct.pack("<I", n())),
        lambda: import_frame(n(), rng.randint(0, 12), size & 0xffffffff),
        lambda: frame("IMPORT_RELEASE", struct.pack("<I", n())),
        lambda: copy_frame(n(), 64, 4, 256, 0, n(), 256, 0),
        lambda: memory_frame(n(), n(), 4096),
        lambda: frame("WAYLAND", pack(rng.choice((1, 2, 3, 4, n())), rng.randint(0, 4),
                                      rng.randbytes(4 * rng.randint(0, 6)))),
        lambda: frame("WAYLAND", pack(client.shm, 0, struct.pack("=Ii", client.new_id("wl_shm_pool"), size & 0x7fffffff))),
        lambda: frame(rng.randint(0, 30), rng.randbytes(rng.randint(0, 40))),
    ))()


def mutated(data, rng):
    if rng.random() < 0.8:
        return data
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.getrandbits(8)
    return bytes(data)


def driver(vgpu, rng):
    """What a guest's kernel might do."""
    number = rng.randint(1, 12)
    there = number in vgpu.resources
    move = rng.random()
    if not there:
        if move < 0.3:
            vgpu.create_2d(number, 32, 64)
        else:
            vgpu.create(number, 8192)
    elif move < 0.3:
        vgpu.unref(number)
    else:
        vgpu.write(number, rng.randbytes(4096))


@test(direct=False, timeout=LIMIT)
def anything_on_both_planes(t):
    """Random frames and random GPU commands at once, by seeds; the device and the host live, the neighbour goes on."""
    vms = Vms(t, t.fake())
    neighbour = vms.session("good").client(timeout=60)
    neighbour.roundtrip()
    session, fds, clients = vms.session(), len(vms.host.fds()), 0
    for round_ in until(max(30, SECONDS / 3)):
        rng = random.Random(SEED + round_)
        for _ in range(10):
            client = session.client()
            client.shm = client.bind("wl_shm", 1)
            clients += 1
            for _ in range(rng.randint(1, 60)):
                client.say(mutated(templates(client, rng), rng))
                if rng.random() < 0.2:
                    driver(vms.vgpus["bad"], rng)
            try:
                client.dispatch(0.01)
            except (EOFError, Failure, TimeoutError, OSError, struct.error):
                pass
            client.close()
        neighbour.roundtrip()
        t.ok(vms.host.alive and all(gpu.alive for gpu in vms.gpus.values()), f"seed {SEED + round_}: all live")
    t.wait(lambda: len(vms.host.fds()) <= fds + 8, "the host's descriptors go", 60)
    print(f"# {clients} clients")


# -- processes that are killed

def leftovers(stack):
    """What else is in the folder of the sockets."""
    return sorted(os.listdir(stack.dir))


@test(direct=False, timeout=LIMIT)
def killed_at_any_moment(t):
    """kill -9 and SIGSTOP of either daemon while applications run: the other VM goes on, a new one works, nothing is left."""
    rng = random.Random(SEED)
    compositor = t.weston()
    other = Stack(t, compositor, vm="other", tag="other")
    healthy = other.client(timeout=60)
    stack = Stack(t, compositor, vm="victim", tag="victim", settle=False)
    folder = None
    for number in until(SECONDS / 6):
        for _ in range(5):
            clients = []
            try:
                for _ in range(rng.randint(1, 4)):
                    client = Client(stack.display, timeout=5)
                    clients.append(client)
                    client.bind("wl_compositor", 4)
                time.sleep(rng.random() * 0.02)
            except (OSError, EOFError, Failure, TimeoutError):
                pass
            name = rng.choice(("host", "guest"))
            victim = getattr(stack, name)
            if rng.random() < 0.3:
                victim.signal(signal.SIGSTOP)
                healthy.roundtrip()
                victim.signal(signal.SIGCONT)
            else:
                victim.kill()
                healthy.roundtrip()
                (stack.start_host if name == "host" else stack.start_guest)()
            for client in clients:
                client.close()
            t.wait(stack.usable, f"round {number}: a client gets through after the {name}'s end", 60)
            now = [n for n in leftovers(stack) if not n.startswith("n")]
            folder = folder or now
            t.eq(now, folder, "what is in the folder of the sockets")
    healthy.roundtrip()
    healthy.close()
    other.check_fds()


if __name__ == "__main__":
    main()
