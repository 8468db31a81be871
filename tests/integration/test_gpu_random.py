#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest that does anything with GPU buffers, in any order: nothing of it hurts the host, the other VM, or a later client."""

import os
import random
import signal
import struct
import threading
import time

from harness import Failure, main, test
from harness.client import XRGB8888
from harness.fake import GLOBALS
from harness.insider import copy_frame, memory_frame
from harness.link import frame, mem_write
from harness.two_vms import NONCE, Vms, memory_client, stamp, watch
from harness.vgpu import PAGE

FIRST_SEED = int(os.environ.get("WAYVSOCK_RANDOM_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + 6)
STEPS = 400
KILLS = int(os.environ.get("WAYVSOCK_KILLS") or 4)
IDS = range(1, 9)
ROW = PAGE // 4         # pixels


class Player:
    """One client that plays at random with what it and the others have."""

    def __init__(self, session, vgpu, rng):
        self.vgpu, self.rng = vgpu, rng
        self.client = session.client()
        self.shm = self.client.bind("wl_shm", 1)
        self.compositor = self.client.bind("wl_compositor", 4)
        self.surface = self.client.create(self.compositor, "create_surface")
        self.manager = self.client.bind("zwlr_screencopy_manager_v1", 3)
        self.output = self.client.bind("wl_output", 3)
        self.pools, self.buffers = [], []

    def some(self, count):
        """One of the numbers that were given; now and then one that was not."""
        return self.rng.randint(1, max(1, count)) if self.rng.random() < 0.98 else self.rng.choice((0, count + 1, 1 << 31))

    def name(self):
        there = [n for n in self.vgpu.resources if n in IDS]
        number = self.rng.choice(IDS if not there or self.rng.random() < 0.01 else there)
        self.client.import_(number, self.rng.choice((PAGE, PAGE, 2 * PAGE)))

    def memory(self):
        self.client.memory_of(self.some(self.client.imports), PAGE)

    def plain_memory(self):
        self.pools.append(self.client.new_pool(self.shm, 2 * PAGE)[0])

    def pool(self):
        self.pools.append(self.client.take(self.some(self.client.memories), self.shm, PAGE))

    def buffer(self):
        if self.pools:
            self.buffers.append(self.client.create(self.rng.choice(self.pools), "create_buffer", 0, ROW, 1, PAGE, XRGB8888))

    def copy(self):
        offset = self.rng.choice((0, 0, 0, 16))
        self.client.say(copy_frame(self.some(self.client.memories), 64, 4, 256, offset, self.some(self.client.imports), 256,
                                   offset))

    def write(self):
        self.client.say(mem_write(self.some(self.client.memories), 4, 1, 4, 0, b"word"))

    def grow(self):
        self.client.say(frame("MEM_SIZE", struct.pack("<IIQ", self.some(self.client.memories), 0, 2 * PAGE)))

    def forget(self):
        self.client.say(frame("VFD_CLOSE", struct.pack("<I", self.some(self.client.memories))))

    def release(self):
        self.client.release(self.some(self.client.imports))

    def commit(self):
        if self.buffers:
            self.client.send(self.surface, "attach", self.rng.choice(self.buffers), 0, 0)
            self.client.send(self.surface, "commit")

    def capture(self):
        if self.buffers:
            shot = self.client.create(self.manager, "capture_output", 0, self.output)
            self.client.send(shot, "copy", self.rng.choice(self.buffers))

    def destroy(self):
        kind = self.rng.choice((self.pools, self.buffers))
        if kind:
            self.client.send(kind.pop(self.rng.randrange(len(kind))), "destroy")

    def again(self):
        """A memory number that is taken, or the next one."""
        self.client.say(memory_frame(self.some(self.client.memories), self.some(self.client.imports), PAGE))

    def roundtrip(self):
        self.client.roundtrip()

    MOVES = ([name] * 5 + [memory] * 4 + [pool] * 4 + [buffer] * 5 + [copy] * 6 + [commit] * 4 + [capture] * 3 + [destroy] * 3 +
             [plain_memory, write, forget, release, roundtrip, roundtrip])
    RARE = [grow, again]

    def step(self):
        """False: the host has ended the connection."""
        try:
            if not self.client.imports:
                self.name()
            if not self.client.memories:
                self.plain_memory()
            self.rng.choice(self.MOVES if self.rng.random() < 0.99 else self.RARE)(self)
            while True:
                self.client.dispatch(0.0001)
        except TimeoutError:
            return True
        except (EOFError, Failure):
            return False


def driver(vgpu, rng):
    """Something that a guest's kernel might do, or might not."""
    number, there = rng.choice(IDS), list(vgpu.resources)
    if number not in there:
        if rng.random() < 0.2:
            vgpu.create_2d(number, 32, 64)
        else:
            vgpu.create(number, 2 * PAGE)
    elif rng.random() < 0.15:
        vgpu.unref(number)
    else:
        vgpu.write(number, rng.randbytes(PAGE))


def finish_copies(peer, m):
    """The compositor's side of a screen copy: it writes, and says so."""
    buffer = m.args[0]
    if buffer in peer.buffers and peer.objects.get(buffer, ("",))[0] == "wl_buffer":
        peer.write_content(buffer, b"captured")
    peer.send(m.object, "flags", 0)
    peer.send(m.object, "ready", 0, 1, 2)
    return False


@test(timeout=300)
def anything_in_any_order(t):
    fake = t.fake(globals=GLOBALS + [("zwlr_screencopy_manager_v1", 3)])
    fake.on("zwlr_screencopy_frame_v1", "copy", finish_copies)
    vms = Vms(t, fake, settings="allow = zwlr_screencopy_manager_v1")
    vgpu = vms.vgpus["bad"]
    neighbour = vms.session("good")
    other = neighbour.client()
    other.roundtrip()
    session = vms.session()
    session.client().roundtrip()
    fds, ended = vms.host.fds(), 0
    for seed in SEEDS:
        rng = random.Random(seed)
        players = []
        for _ in range(STEPS):
            if len(players) < 3:
                players.append(Player(session, vgpu, rng))
            if rng.random() < 0.2:
                driver(vgpu, rng)
            player = rng.choice(players)
            if rng.random() < 0.002:
                vgpu.reset()
                vgpu.create(NONCE)
                session = vms.session()
                players.clear()
            elif not player.step():
                players.remove(player)
                ended += 1
        for player in players:
            player.client.close()
        if seed % 2:
            for number in list(vgpu.resources):
                if number in IDS:
                    vgpu.unref(number)
        else:
            vgpu.create_many([n for n in IDS if n not in vgpu.resources])
        vgpu.create(100)
        vgpu.write(100, stamp("bad", seed))
        client, memory, buffer = memory_client(session, 1)
        client.copy(memory, client.import_(100, PAGE), PAGE)
        t.ok(watch(fake, client, buffer)[:] == stamp("bad", seed), f"seed {seed}: a client afterwards")
        client.close()
        vgpu.unref(100)
        other.roundtrip()
    t.ok(ended > 3, f"{ended} clients were ended")

    def back():
        return len(vms.host.fds()) <= len(fds)
    t.wait(back, f"the host holds no more than {fds}, not {vms.host.fds()}")


def kill_or_stop(device, delay, stopped):
    """After a while, from beside."""
    time.sleep(delay)
    if stopped:
        device.signal(signal.SIGSTOP)
        time.sleep(stopped)
        device.signal(signal.SIGCONT)
        time.sleep(delay)
    device.signal(signal.SIGKILL)


@test(timeout=300)
def its_device_is_killed_at_any_moment(t):
    """kill -9, or a stop before it, in the middle of anything: the other VM notices nothing, and a new device is believed."""
    fake = t.fake(globals=GLOBALS + [("zwlr_screencopy_manager_v1", 3)])
    fake.on("zwlr_screencopy_frame_v1", "copy", finish_copies)
    vms = Vms(t, fake, settings="allow = zwlr_screencopy_manager_v1")
    other = vms.session("good").client()
    other.roundtrip()
    vms.session().client().roundtrip()
    fds = vms.host.fds()
    for seed in range(FIRST_SEED, FIRST_SEED + KILLS):
        rng = random.Random(seed)
        session, vgpu, device = vms.session(), vms.vgpus["bad"], vms.gpus["bad"]
        ends = threading.Thread(target=kill_or_stop, args=(device, rng.random() / 10, rng.choice((0, 0, rng.random() / 10))))
        ends.start()
        players = []
        while ends.is_alive():
            try:
                if len(players) < 3:
                    players.append(Player(session, vgpu, rng))
                driver(vgpu, rng)
                for player in list(players):
                    if not player.step():
                        players.remove(player)
            except (OSError, EOFError, Failure):
                pass                    # there is no device any more
        ends.join()
        device.wait()
        other.roundtrip()
        vms.start_device("bad")
        vms.vgpus["bad"].create(100)
        vms.vgpus["bad"].write(100, stamp("bad", seed))
        session.close()
        session = vms.session()
        client, memory, buffer = memory_client(session, 1)
        client.copy(memory, client.import_(100, PAGE), PAGE)
        t.ok(watch(fake, client, buffer)[:] == stamp("bad", seed), f"seed {seed}: the next device's pixels")
        for ended in [client, *(player.client for player in players), session]:
            ended.close()
    t.wait(lambda: len(vms.host.fds()) <= len(fds), f"the host holds no more than {fds}, not {vms.host.fds()}")


if __name__ == "__main__":
    main()
