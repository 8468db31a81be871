#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Programs that call all of their window damaged at each frame, though little or nothing of it is new."""

import pathlib
import random
import re
import subprocess
import sys
import threading

from harness import main, test
from harness.client import Pool
from harness.surface import FULL, Rig, noise

W, H, STRIDE = 640, 480, 2560
SIZE = STRIDE * H
PROGRAM = pathlib.Path(__file__).parent / "harness" / "gl_program.py"


class Window:
    """A surface that shows its buffers in turn."""

    def __init__(self, rig, n_buffers):
        self.rig = rig
        self.pool = Pool(rig.client, rig.shm, n_buffers * SIZE)
        self.buffers = [self.pool.buffer(i * SIZE, W, H, STRIDE) for i in range(n_buffers)]
        self.frame = 0

    def next(self, content, damage=FULL):
        which = self.frame % len(self.buffers)
        self.frame += 1
        self.pool.map[which * SIZE:(which + 1) * SIZE] = bytes(content)
        self.rig.commit(self.buffers[which], damage)
        self.rig.same(self.pool, self.buffers[which], which * SIZE, SIZE, f"frame {self.frame}")


def sent_in_all(t, rig):
    """Bytes of pixels that the guest's daemon sent for its clients, once they are gone."""
    totals = re.compile(r"ended: sent \S+ mem=(\d+) ")
    rig.client.close()
    t.wait(lambda: any(int(n) for n in totals.findall(rig.stack.guest.log())), "the guest's daemon counts")
    return sum(int(n) for n in totals.findall(rig.stack.guest.log()))


def repeats(n_buffers):
    """Registers a test with so many buffers that take turns."""
    def run(t):
        frames = 150
        rig = Rig(t)
        window, content = Window(rig, n_buffers), bytearray(noise(SIZE, n_buffers))
        for _ in range(frames):
            window.next(content)
        content[SIZE // 2:SIZE // 2 + 4] = b"\1\2\3\4"          # and what is new is seen
        window.next(content)
        content[:] = noise(SIZE, 77)
        window.next(content)
        used = sent_in_all(t, rig)
        t.ok((n_buffers + 1) * SIZE <= used <= frames * SIZE // 10, f"{used} bytes for {frames} frames of {SIZE}")
    run.__name__ = f"the_same_frame_in_{n_buffers}_buffers"
    run.__doc__ = "Of frames that repeat, at most a tenth goes over the link."
    test(run, direct=False)


for n in (1, 2, 3):
    repeats(n)


@test(direct=False)
def a_caret_blinks(t):
    """A few pixels go on and off: they cost little more than themselves."""
    rig = Rig(t)
    window, content = Window(rig, 2), bytearray(noise(SIZE, 5))
    for i in range(100):
        for row in range(100, 116):
            content[row * STRIDE + 400:row * STRIDE + 408] = (b"\0" if i & 1 else b"\xff") * 8
        window.next(content)
    used = sent_in_all(t, rig)
    t.ok(used <= 100 * SIZE // 10, f"{used} bytes for 100 frames of {SIZE}")


@test
def anything_may_change(t):
    """All is called damaged, mostly; what changes is anything between nothing and all, and often as it was before."""
    for seed in range(2):
        r = random.Random(seed)
        rig = Rig(t) if seed == 0 else rig
        window = Window(rig, seed + 1)
        pictures = [bytearray(noise(SIZE, 10 + i)) for i in range(2)]
        content = bytearray(pictures[0])
        for _ in range(120):
            damage, kind = FULL, r.random()
            if kind < 0.2:
                content[:] = pictures[r.randrange(2)]
            elif kind < 0.5:
                first = r.randrange(SIZE)
                last = r.randint(first, min(SIZE, first + r.choice([8, 5000, SIZE])))
                content[first:last] = pictures[r.randrange(2)][first:last]
            elif kind < 0.55:
                content[0:4] = r.randbytes(4)
                damage = [(0, 0, 1, 1)]
            window.next(content, damage)


@test
def who_draws_while_it_is_shown(t):
    """A program that does not wait for its buffer's release gets what it deserves until it does, and then what it draws."""
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, SIZE)
    buffer = pool.buffer(0, W, H, STRIDE)
    pool.map[:] = noise(SIZE, 1)
    for _ in range(8):
        rig.commit(buffer, FULL)
    for turn in range(30):
        over = threading.Event()

        def scribble(over=over):
            while not over.is_set():
                for row in range(0, H, 8):
                    pool.map[row * STRIDE:row * STRIDE + 64] = b"\0" * 64
                for row in range(0, H, 8):
                    pool.map[row * STRIDE:row * STRIDE + 64] = b"\xff" * 64
        writer = threading.Thread(target=scribble)
        writer.start()
        for _ in range(5):
            rig.commit(buffer, FULL)
        over.set()
        writer.join()
        rig.commit(buffer, FULL)
        rig.same(pool, buffer, 0, SIZE, f"turn {turn}")


@test
def one_of_many_buffers_is_drawn_anew(t):
    """What the host holds of a place is what was shown there last, by whichever surface."""
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, SIZE)
    whole = pool.buffer(0, W, H, STRIDE)
    upper = pool.buffer(0, W, H // 2, STRIDE)
    other = rig.new_surface()
    pool.map[:] = noise(SIZE, 3)
    for _ in range(8):
        rig.commit(whole, FULL)
    kept = bytes(pool.map[:SIZE // 2])
    pool.map[:SIZE // 2] = noise(SIZE // 2, 4)
    rig.commit(upper, FULL, surface=other)
    rig.same(pool, upper, 0, SIZE // 2, "the upper half")
    pool.map[:SIZE // 2] = kept
    rig.commit(whole, FULL)
    rig.same(pool, whole, 0, SIZE, "all of it, as before")


@test(direct=False)
def an_idle_gl_program(t):
    """Mesa's software renderer damages the whole buffer at each swap."""
    frames, width, height = 100, 400, 300
    rig = Rig(t, globals=[("wl_compositor", 4), ("wl_shm", 1)])
    shown = []
    rig.fake.on("wl_surface", "attach", lambda peer, m: shown.append((peer, m.args[0])) or rig._attach(peer, m))
    rig.fake.on("wl_surface", "frame", lambda peer, m: peer.send(m.args[0], "done", 0))
    env = t.env(WAYLAND_DISPLAY=rig.stack.display, LIBGL_ALWAYS_SOFTWARE="1")
    program = t.spawn([sys.executable, str(PROGRAM), str(width), str(height), str(frames)], env, name="gl",
                      stdin=subprocess.PIPE)
    t.wait(lambda: "drawn" in program.log() or not program.alive, "the frames are drawn")
    t.has("drawn", program.log(), "the program's words")
    peer, buffer = shown[-1]
    seen, stride = peer.content(buffer), peer.buffers[buffer][4]
    for y in range(height):
        row = b"\xff\0\0" * width
        if height - 48 <= y < height - 16:
            row = b"\xff\0\0" * 16 + b"\0\0\xff" * 32 + b"\xff\0\0" * (width - 48)
        pixels = seen[y * stride:y * stride + width * 4]
        t.ok(b"".join(pixels[i:i + 3] for i in range(0, width * 4, 4)) == row, f"row {y}")
    t.ok(len(shown) == frames + 1, f"{len(shown)} frames arrived")
    program.popen.stdin.close()
    program.wait()
    used, size = sent_in_all(t, rig), width * height * 4
    t.ok(used <= frames * size // 10, f"{used} bytes for {frames} frames of {size}")


if __name__ == "__main__":
    main()
