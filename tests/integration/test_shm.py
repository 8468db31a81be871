#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Shared memory: pools, buffers, exact damage, files that shrink.

The compositor is a test double, because the bytes in its pool are what the tests are about.  It releases a buffer at the
commit, as compositors do that copy."""

import fcntl
import os
import random
import struct
import tempfile

from harness import Failure, Skip, main, test
from harness.client import Pool, ProtocolError
from harness.surface import FULL, Rig, draw, noise
from harness.wire import pack

F_GET_SEALS = 1034


@test
def content_arrives(t):
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 320 * 200 * 4)
    buffer = pool.buffer(0, 320, 200, 1280)
    pool.map[:] = noise(pool.size, 1)
    rig.commit(buffer, FULL)
    rig.same(pool, buffer, 0, pool.size, "the first frame")
    t.eq(rig.peer.buffers[buffer][1:], (0, 320, 200, 1280, 1), "the buffer's geometry")


@test
def first_use_sends_all_whatever_the_damage(t):
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 320 * 200 * 4)
    buffer = pool.buffer(0, 320, 200, 1280)
    pool.map[:] = noise(pool.size, 1)
    rig.commit(buffer, [(5, 5, 1, 1)])
    rig.same(pool, buffer, 0, pool.size, "a first frame with one damaged pixel")


@test(direct=False)
def undamaged_bytes_are_not_sent(t):
    """What the client changed without damaging stays as it was on the host, to the byte at the rectangle's edges."""
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 256 * 256 * 4)
    buffer = pool.buffer(0, 256, 256, 1024)
    pool.map[:] = noise(pool.size, 1)
    rig.commit(buffer, FULL)
    for step, rect in enumerate([(10, 20, 30, 40), (0, 0, 1, 1), (255, 255, 1, 1), (0, 100, 256, 1), (77, 0, 1, 256)]):
        before = rig.peer.content(buffer)
        pool.map[:] = noise(pool.size, 100 + step)
        now = bytes(pool.map)
        rig.commit(buffer, [rect])
        expected = bytearray(before)
        x, y, w, h = rect
        for row in range(y, y + h):
            expected[row * 1024 + x * 4:row * 1024 + (x + w) * 4] = now[row * 1024 + x * 4:row * 1024 + (x + w) * 4]
        t.ok(rig.peer.content(buffer) == bytes(expected), f"exactly {rect} was updated")


@test(direct=False)
def small_damage_costs_little_on_the_link(t):
    """A 64×64 change in a full-HD buffer costs its bytes and little else; a commit without damage next to nothing."""
    rig = Rig(t, transport="mux")
    pool = Pool(rig.client, rig.shm, 1920 * 1080 * 4)
    buffer = pool.buffer(0, 1920, 1080, 7680)
    start = rig.stack.vmm.to_host
    rig.commit(buffer, FULL)
    full = rig.stack.vmm.to_host - start
    t.ok(full >= pool.size, f"the first frame: {full} bytes")
    t.ok(full < pool.size + pool.size // 50, f"the first frame has little overhead: {full} bytes")
    for i in range(20):
        rect = (50 * i, 40 * i, 64, 64)
        draw(pool, 0, 7680, rect, i)
        start = rig.stack.vmm.to_host
        rig.commit(buffer, [rect])
        used = rig.stack.vmm.to_host - start
        t.ok(64 * 64 * 4 <= used < 64 * 64 * 4 + 8192, f"64×64 damage cost {used} bytes")
    start = rig.stack.vmm.to_host
    rig.commit(buffer)
    used = rig.stack.vmm.to_host - start
    t.ok(used < 2048, f"a commit without damage cost {used} bytes")
    rig.same(pool, buffer, 0, pool.size, "the end")


@test
def two_buffers_in_turn(t):
    """Each frame is drawn whole; the damage is what changed since the last frame, which was in the other buffer."""
    rig = Rig(t)
    w, h, stride = 200, 150, 800
    pool = Pool(rig.client, rig.shm, 2 * stride * h)
    buffers = [pool.buffer(i * stride * h, w, h, stride) for i in range(2)]
    frame = bytearray(noise(stride * h, 0))
    r = random.Random(7)
    for i in range(60):
        rects = []
        for _ in range(r.randint(1, 3)):
            x, y = r.randrange(w), r.randrange(h)
            rect = (x, y, r.randint(1, w - x), r.randint(1, h - y))
            data = r.randbytes(rect[2] * 4)
            for row in range(rect[1], rect[1] + rect[3]):
                frame[row * stride + x * 4:row * stride + x * 4 + len(data)] = data
            rects.append(rect)
        which = i % 2
        pool.map[which * stride * h:(which + 1) * stride * h] = bytes(frame)
        rig.commit(buffers[which], rects)
        rig.same(pool, buffers[which], which * stride * h, stride * h, f"frame {i}")


@test
def random_buffers_pools_and_surfaces(t):
    """Buffers at overlapping places of one file through two pools, on two surfaces: every committed buffer is right.

    A frame is the surface's last content plus the damage, as the protocol wants it."""
    for seed in range(3):
        r = random.Random(seed)
        rig = Rig(t) if seed == 0 else rig
        w, h, stride = 64, 48, 64 * 4 + 12
        length = stride * h
        pool = Pool(rig.client, rig.shm, 4 * length)
        twin_id = rig.client.create(rig.shm, "create_pool", pool.fd, pool.size)
        buffers = []
        for _ in range(6):
            offset = r.choice([0, length, 2 * length, length // 2 & ~3])
            owner = r.choice([pool.id, twin_id])
            buffers.append((rig.client.create(owner, "create_buffer", offset, w, h, stride, 1), offset))
        surfaces = [rig.new_surface(), rig.new_surface()]
        frames = {s: bytearray(r.randbytes(length)) for s in surfaces}
        for step in range(50):
            surface = r.choice(surfaces)
            buffer, offset = r.choice(buffers)
            frame = frames[surface]
            x, y = r.randrange(w), r.randrange(h)
            rect = (x, y, r.randint(1, w - x), r.randint(1, h - y))
            for row in range(y, y + rect[3]):
                frame[row * stride + x * 4:row * stride + (x + rect[2]) * 4] = r.randbytes(rect[2] * 4)
            pool.map[offset:offset + length] = bytes(frame)
            rig.commit(buffer, [rect], surface=surface)
            seen, mine = rig.peer.content(buffer), bytes(frame)
            for row in range(h):
                t.ok(seen[row * stride:row * stride + w * 4] == mine[row * stride:row * stride + w * 4],
                     f"seed {seed} step {step}: row {row} of the buffer at {offset}")
        for s in surfaces:
            rig.client.send(s, "destroy")


@test
def damage_without_a_new_attach(t):
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 100 * 100 * 4)
    buffer = pool.buffer(0, 100, 100, 400)
    rig.commit(buffer, FULL)
    for i in range(5):
        rect = (i * 10, 3, 20, 50)
        draw(pool, 0, 400, rect, i)
        rig.commit(None, [rect])
        rig.same(pool, buffer, 0, pool.size, f"commit {i} without attach")


@test
def damage_accumulates_until_the_commit(t):
    """Several rectangles, also some before the attach, count together."""
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 100 * 100 * 4)
    buffer = pool.buffer(0, 100, 100, 400)
    rig.commit(buffer, FULL)
    for i, rect in enumerate([(0, 0, 10, 10), (50, 50, 10, 10), (90, 0, 10, 100)]):
        draw(pool, 0, 400, rect, i)
        rig.client.send(rig.surface, "damage_buffer", *rect)
    rig.client.send(rig.surface, "attach", buffer, 0, 0)
    draw(pool, 0, 400, (30, 30, 5, 5), 9)
    rig.commit(None, [(30, 30, 5, 5)])
    rig.same(pool, buffer, 0, pool.size, "four rectangles")


@test
def surface_damage_scale_and_transform(t):
    """wl_surface.damage is in surface coordinates: scale and all eight transforms map it to the right bytes."""
    rig = Rig(t)
    w, h = 120, 80
    pool = Pool(rig.client, rig.shm, w * h * 4)
    buffer = pool.buffer(0, w, h, w * 4)
    for scale in (1, 2):
        for transform in range(8):
            rig.client.send(rig.surface, "set_buffer_scale", scale)
            rig.client.send(rig.surface, "set_buffer_transform", transform)
            rig.commit(buffer, FULL)
            sw, sh = (w // scale, h // scale) if transform % 2 == 0 else (h // scale, w // scale)
            for i, (x, y, dw, dh) in enumerate([(1, 2, 7, 5), (sw - 9, sh - 4, 9, 4), (0, sh // 2, sw, 1)]):
                # Where a surface pixel lies in the buffer: the client turned its content by the transform already.
                big_w, big_h = sw * scale, sh * scale
                changed = set()
                for px in range(x * scale, (x + dw) * scale):
                    for py in range(y * scale, (y + dh) * scale):
                        mx, my = big_w - 1 - px, big_h - 1 - py
                        changed.add([(px, py), (py, mx), (mx, my), (my, px),
                                     (mx, py), (py, px), (px, my), (my, mx)][transform])
                for bx, by in changed:
                    at = (by * w + bx) * 4
                    pool.map[at:at + 4] = noise(4, at + i)
                rig.commit(buffer, surface_damage=[(x, y, dw, dh)])
                rig.same(pool, buffer, 0, pool.size, f"scale {scale} transform {transform} rectangle {i}")


@test
def viewport_damage(t):
    """With a viewport the surface's damage covers what is scaled into it."""
    rig = Rig(t)
    viewporter = rig.client.bind("wp_viewporter", 1)
    viewport = rig.client.create(viewporter, "get_viewport", rig.surface)
    pool = Pool(rig.client, rig.shm, 200 * 200 * 4)
    buffer = pool.buffer(0, 200, 200, 800)
    rig.client.send(viewport, "set_source", 50, 50, 100, 100)
    rig.client.send(viewport, "set_destination", 50, 50)
    rig.commit(buffer, FULL)
    # surface (10,10) 5×5 is buffer (70,70) 10×10
    draw(pool, 0, 800, (70, 70, 10, 10), 3)
    rig.commit(buffer, surface_damage=[(10, 10, 5, 5)])
    rig.same(pool, buffer, 0, pool.size, "scaled down by two")
    rig.client.send(viewport, "set_destination", 333, 77)
    pool.map[:] = noise(pool.size, 8)
    rig.commit(buffer, [(0, 0, 1, 1)])
    rig.same(pool, buffer, 0, pool.size, "a changed viewport breaks the chain")
    draw(pool, 0, 800, (50, 50, 100, 100), 4)
    rig.commit(buffer, surface_damage=[(0, 0, 333, 77)])
    rig.same(pool, buffer, 0, pool.size, "an odd scale")
    rig.client.send(viewport, "destroy")
    pool.map[:] = noise(pool.size, 9)
    rig.commit(buffer, FULL)
    rig.same(pool, buffer, 0, pool.size, "without the viewport")


@test
def changed_scale_breaks_the_chain(t):
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 100 * 100 * 4)
    buffer = pool.buffer(0, 100, 100, 400)
    rig.commit(buffer, FULL)
    for i, (name, value) in enumerate([("set_buffer_scale", 2), ("set_buffer_transform", 1), ("set_buffer_scale", 1)]):
        pool.map[:] = noise(pool.size, i)
        rig.client.send(rig.surface, name, value)
        rig.commit(buffer, [(0, 0, 1, 1)])
        rig.same(pool, buffer, 0, pool.size, f"{name} {value}")


@test
def absurd_rectangles(t):
    """Negative, empty, huge and overflowing damage is as libwayland's compositors take it, and hurts nobody."""
    rig = Rig(t)
    big, small = (1 << 31) - 1, -(1 << 31)
    pool = Pool(rig.client, rig.shm, 100 * 100 * 4)
    buffer = pool.buffer(0, 100, 100, 400)
    rig.commit(buffer, FULL)
    rects = [(small, small, big, big), (big, big, big, big), (small, small, small, small), (0, 0, small, small),
             (-5, -5, 10, 10), (99, 99, big, big), (0, 0, 0, 0), (1, 1, -1, -1), (big, 0, 1, 1), (small, 0, big, 1),
             (-50, -50, big, big)]
    for i, rect in enumerate(rects):
        pool.map[:] = noise(pool.size, i)
        rig.commit(buffer, [rect])
        rig.commit(buffer, surface_damage=[rect])
    rig.commit(buffer, rects, surface_damage=rects)
    pool.map[:] = noise(pool.size, 99)
    rig.commit(buffer, [(-50, -50, big, big)])
    rig.same(pool, buffer, 0, pool.size, "an overlapping huge rectangle")


@test
def thousands_of_rectangles(t):
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 512 * 512 * 4)
    buffer = pool.buffer(0, 512, 512, 2048)
    rig.commit(buffer, FULL)
    r = random.Random(3)
    rects = [(r.randrange(512), r.randrange(512), 1, 1) for _ in range(5000)]
    for i, rect in enumerate(rects):
        draw(pool, 0, 2048, rect, i)
    rig.commit(buffer, rects)
    rig.same(pool, buffer, 0, pool.size, "5000 single pixels")


@test
def odd_offsets_strides_and_formats(t):
    """Any place in the file, any stride, formats of 1, 2, 3, 4 and 8 bytes a pixel, and one that nobody knows."""
    rig = Rig(t)
    formats = [(1, 4), (0, 4), (0x36314752, 2), (0x20203852, 1), (0x34324752, 3), (0x48344258, 8), (0x7f7f7f7f, 4)]
    pool = Pool(rig.client, rig.shm, 300000)
    for i, (fmt, cpp) in enumerate(formats):
        w, h = 61, 37
        stride = w * cpp + 7
        offset = 1001 + i * 4
        buffer = rig.client.create(pool.id, "create_buffer", offset, w, h, stride, fmt)
        pool.map[:] = noise(pool.size, i)
        rig.commit(buffer, FULL)
        for step in range(4):
            rect = (step * 5, step * 6, 11, 13)
            draw(pool, offset, stride, rect, step + i, cpp)
            rig.commit(buffer, [rect])
        seen, used = rig.peer.content(buffer), w * cpp
        for y in range(h):
            at = y * stride
            t.ok(seen[at:at + used] == bytes(pool.map[offset + at:offset + at + used]), f"format {fmt:#x} row {y}")
        rig.client.send(buffer, "destroy")
        rig.client.roundtrip()


def fourcc(name):
    return int.from_bytes(name.encode(), "little")


@test(direct=False)
def unknown_formats_are_hidden(t):
    """Who does not know a format cannot say whether it has planes: nobody is offered it, and using it is an error."""
    known = [0, 1, fourcc("NV12"), fourcc("YUYV"), fourcc("S010"), fourcc("T430"), fourcc("RG48")]
    unknown = [fourcc("QZ99"), fourcc("YU08"), 0x7f7f7f7f]
    rig = Rig(t, fake=t.fake(formats=known[:3] + unknown + known[3:]))
    rig.client.roundtrip()
    t.eq([m.args[0] for m in rig.client.events if m.name == "format"], known, "the formats that are offered")
    for bad in unknown:
        client = rig.stack.client()
        pool = Pool(client, client.bind("wl_shm", 1), 65536)
        client.roundtrip()
        pool.buffer(0, 64, 64, 256, known[3])
        client.roundtrip()
        pool.buffer(0, 64, 64, 256, bad)
        error = client.expect_error()
        t.eq((error.object_id, error.code), (pool.id, 0), "wl_shm.error.invalid_format")
        pool.close()


@test
def every_plane_arrives(t):
    """All planes of the buffer, in odd sizes too, also of formats that are newer than most lists."""
    formats = {"NV12": (1, (1, 2)), "NV30": (1, (2, 1)), "P210": (2, (1, 1)), "P030": (2, (1, 2)), "Q401": (2, (2, 1)),
               "S010": (2, (1, 2)), "S216": (2, (1, 1)), "S412": (2, (2, 1)), "YU12": (1, (1, 2)), "XRA8": (4, (0.25, 1))}
    rig = Rig(t, fake=t.fake(formats=[0, 1] + [fourcc(name) for name in formats]))
    width, height = 60, 33
    for i, (name, (cpp, (more, divisor))) in enumerate(formats.items()):
        stride = width * cpp
        size = stride * height + int(stride * more) * -(-height // divisor)
        pool = Pool(rig.client, rig.shm, size + 5000)
        buffer = pool.buffer(4096, width, height, stride, fourcc(name))
        for frame in range(2):
            pool.map[:] = noise(pool.size, 2 * i + frame)
            rig.commit(buffer, [(0, 0, 1, 1)] if frame else FULL)
            fd, _ = rig.peer.pool_files[pool.id]
            t.ok(os.pread(fd, size, 4096) == pool.map[4096:4096 + size], f"{name}, frame {frame}")
        rig.client.send(buffer, "destroy")
        rig.client.send(pool.id, "destroy")
        rig.client.roundtrip()
        pool.close()


@test
def buffer_may_end_without_its_last_padding(t):
    """offset + stride × height may be the file's exact end."""
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 4096 + 100 * 33)
    buffer = pool.buffer(4096, 25, 33, 100)
    pool.map[:] = noise(pool.size, 5)
    rig.commit(buffer, FULL)
    rig.same(pool, buffer, 4096, 3300, "the last byte of an odd-sized file")


@test
def pool_resize(t):
    """Growing step by step; old buffers keep working, new ones lie in the new part."""
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 4000)
    first = pool.buffer(0, 10, 10, 40)
    for i in range(1, 8):
        pool.resize(4000 << i)
        pool.map[:] = noise(pool.size, i)
        at = (4000 << i) - 4000
        buffer = pool.buffer(at, 10, 100, 40)
        rig.commit(buffer, FULL)
        rig.same(pool, buffer, at, 4000, f"the end of {4000 << i} bytes")
        rig.commit(first, FULL)
        rig.same(pool, first, 0, 400, "the first buffer")
        t.eq(rig.peer.find("wl_shm_pool", "resize")[-1].args[0], 4000 << i, "resize")


@test
def pool_destroyed_before_its_buffers(t):
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 40000)
    buffer = pool.buffer(0, 100, 100, 400)
    rig.client.send(pool.id, "destroy")
    rig.client.roundtrip()
    pool.map[:] = noise(pool.size, 5)
    rig.commit(buffer, FULL)
    rig.same(pool, buffer, 0, 40000, "a buffer without its pool")
    rig.client.send(buffer, "destroy")
    rig.client.roundtrip()


@test
def buffer_destroyed_while_attached(t):
    rig = Rig(t)
    pool = Pool(rig.client, rig.shm, 80000)
    buffer = pool.buffer(0, 100, 100, 400)
    rig.commit(buffer, FULL)
    rig.client.send(buffer, "destroy")
    rig.commit(None, FULL)
    rig.commit(0, ())
    second = pool.buffer(40000, 100, 100, 400)
    pool.map[:] = noise(pool.size, 2)
    rig.commit(second, [(0, 0, 1, 1)])
    rig.same(pool, second, 40000, 40000, "the next buffer")


@test
def many_pools_and_buffers(t):
    rig = Rig(t)
    for i in range(100):
        pool = Pool(rig.client, rig.shm, 16384)
        buffers = [pool.buffer(o, 32, 32, 128) for o in (0, 4096, 8192, 12288)]
        pool.map[:] = noise(16384, i)
        for n, b in enumerate(buffers):
            rig.commit(b, FULL, sync=False)
        rig.client.roundtrip()
        for n, b in enumerate(buffers):
            rig.same(pool, b, n * 4096, 4096, f"pool {i} buffer {n}")
            rig.client.send(b, "destroy")
        rig.client.send(pool.id, "destroy")
        pool.close()
    rig.client.roundtrip()


@test(direct=False)
def flags_and_seals_stay(t):
    """The client's descriptor is its own: neither its flags, its seals nor its position change."""
    rig = Rig(t)
    fd = os.memfd_create("pool", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(fd, 1 << 20)
    flags, seals = fcntl.fcntl(fd, fcntl.F_GETFL), fcntl.fcntl(fd, F_GET_SEALS)
    pool = Pool(rig.client, rig.shm, 1 << 20, fd=fd)
    buffer = pool.buffer(0, 512, 512, 2048)
    rig.commit(buffer, FULL)
    t.eq(rig.peer.content(buffer), bytes(1 << 20), "zeros")
    t.eq(fcntl.fcntl(fd, fcntl.F_GETFL), flags, "flags")
    t.eq(fcntl.fcntl(fd, F_GET_SEALS), seals, "seals")
    t.eq(os.lseek(fd, 0, os.SEEK_CUR), 0, "the file position")


@test(direct=False)
def scrolling_stays_flat(t):
    """foot scrolls by moving its buffer through a huge sparse pool: the mirror holds what live buffers cover."""
    rig = Rig(t)
    length = 400 * 1024
    fd = os.memfd_create("pool")
    os.ftruncate(fd, 512 << 20)
    pool_id = rig.client.create(rig.shm, "create_pool", fd, 512 << 20)
    previous, worst = None, 0
    for i in range(400):
        offset = i * 65536
        os.pwrite(fd, noise(length, i), offset)
        buffer = rig.client.create(pool_id, "create_buffer", offset, 1024, 100, 4096, 1)
        rig.commit(buffer, [(0, 84, 1024, 16)] if i % 10 else FULL)
        if previous:
            rig.client.send(previous, "destroy")
        previous = buffer
        if i % 20 == 19:
            rig.client.roundtrip()
            worst = max(worst, os.fstat(rig.peer.pool_files[pool_id][0]).st_blocks * 512)
    t.ok(worst <= 4 * length, f"the mirror holds {worst} bytes for a buffer of {length}")
    t.eq(rig.peer.content(previous)[-65536:], os.pread(fd, 65536, offset + length - 65536), "the last strip")


@test
def file_shrinks_under_us(t):
    """The client that shrinks its pool gets wl_display.error on the wl_buffer, code 2; others never notice."""
    if t.direct:
        raise Skip("the answer is libwayland's, and the fake compositor's is none")
    rig = Rig(t)
    healthy = Rig(t, stack=rig.stack, fake=rig.fake)
    for size in (0, 4096, 5000):
        bad = Rig(t, stack=rig.stack, fake=rig.fake)
        pool = Pool(bad.client, bad.shm, 1 << 20)
        buffer = pool.buffer(0, 512, 512, 2048)
        pool.map[:] = noise(1 << 20, 1)
        bad.commit(buffer, FULL)
        os.ftruncate(pool.fd, size)
        bad.commit(buffer, FULL, sync=False)
        e = bad.client.expect_error()
        t.eq((e.object_id, e.code), (buffer, 2), f"shrunk to {size}: {e.text}")
        bad.peer.wait_gone()
    pool = Pool(healthy.client, healthy.shm, 40000)
    buffer = pool.buffer(0, 100, 100, 400)
    pool.map[:] = noise(40000, 1)
    healthy.commit(buffer, FULL)
    healthy.same(pool, buffer, 0, 40000, "the healthy client's frame")


@test
def pool_on_a_disk(t):
    """Some make their pools in /tmp, wherever that is."""
    rig = Rig(t)
    w, h, stride = 200, 150, 800
    with tempfile.TemporaryFile(dir="/var/tmp") as f:
        if "tmpfs" in os.popen(f"stat -f -c %T /proc/{os.getpid()}/fd/{f.fileno()}").read():
            raise Skip("/var/tmp is a tmpfs")
        f.truncate(2 * stride * h)
        pool = Pool(rig.client, rig.shm, 2 * stride * h, fd=os.dup(f.fileno()))
        buffers = [pool.buffer(i * stride * h, w, h, stride) for i in range(2)]
        pool.map[:] = noise(2 * stride * h, 3)
        for i in range(6):
            rect = (7 * i, 11 * i, 60, 40)
            for which in range(2):
                draw(pool, which * stride * h, stride, rect, i)
            rig.commit(buffers[i % 2], [rect] if i > 1 else FULL)
            rig.same(pool, buffers[i % 2], i % 2 * stride * h, stride * h, f"frame {i}")


@test(direct=False)
def pool_on_a_strange_file_system(t):
    """Some file systems hang whoever reads from them, and everybody waits for us: the client is told which was too much."""
    rig = Rig(t)
    bad = Rig(t, stack=rig.stack, fake=rig.fake)
    with open("/proc/self/maps", "rb") as f:
        bad.client.create(bad.shm, "create_pool", f.fileno(), 4096)
        e = bad.client.expect_error()
    t.eq((e.object_id, e.code), (bad.shm, 2), "where, and the code")
    t.has("create_pool: a pool must be shared memory or a file on a local file system, not on proc", e.text, "the words")
    rig.client.roundtrip()


@test
def pool_before_its_file_has_its_length(t):
    """A pool may be made first and its file filled then: what counts is when somebody reads."""
    rig = Rig(t)
    w, h, stride = 100, 100, 400
    fd = os.memfd_create("pool")
    pool = rig.client.create(rig.shm, "create_pool", fd, 2 * stride * h)
    buffers = [rig.client.create(pool, "create_buffer", i * stride * h, w, h, stride, 1) for i in range(2)]
    rig.client.roundtrip()
    for size in (stride * h, 2 * stride * h):       # the first frame's part, then all
        os.ftruncate(fd, size)
        os.pwrite(fd, noise(stride * h, size), size - stride * h)
        buffer = buffers[size > stride * h]
        rig.commit(buffer, FULL)
        t.ok(rig.peer.content(buffer) == os.pread(fd, stride * h, size - stride * h), f"the pixels, of {size} bytes")


@test(direct=False)
def pool_whose_file_never_has_its_length(t):
    """Nobody is asked for bytes that nobody shows; who shows them hears of it on the wl_buffer, as from libwayland."""
    rig = Rig(t)
    w, h, stride = 100, 100, 400
    for size in (0, 4096, stride * h):
        bad = Rig(t, stack=rig.stack, fake=rig.fake)
        fd = os.memfd_create("pool")
        os.ftruncate(fd, size)
        pool = bad.client.create(bad.shm, "create_pool", fd, 2 * stride * h)
        buffers = [bad.client.create(pool, "create_buffer", i * stride * h, w, h, stride, 1) for i in range(2)]
        bad.client.send(pool, "resize", 4 * stride * h)
        if size == stride * h:
            bad.commit(buffers[0], FULL)
        bad.commit(None)
        bad.client.send(bad.surface, "attach", buffers[1], 0, 0)
        bad.client.roundtrip()
        bad.commit(None, FULL, sync=False)
        e = bad.client.expect_error()
        t.eq((e.object_id, e.code), (buffers[1], 2), f"a file of {size} bytes: {e.text}")
    rig.client.roundtrip()


@test(direct=False)
def bad_pools(t):
    """Sizes ≤ 0, things that are no file: an error for that client."""
    rig = Rig(t)
    for what, size in (("zero", 0), ("negative", -1), ("the least", -(1 << 31))):
        bad = Rig(t, stack=rig.stack, fake=rig.fake)
        fd = os.memfd_create("pool")
        os.ftruncate(fd, 4096)
        new = bad.client.new_id("wl_shm_pool")
        bad.client.send_raw(pack(bad.shm, 0, struct.pack("=Ii", new, size)), [fd])
        os.close(fd)
        e = bad.client.expect_error()
        t.ok(e.object_id in (bad.shm, new), f"{what}: {e}")
    for what, fd in (("a pipe", os.pipe()[0]), ("a device", os.open("/dev/null", os.O_RDWR)),
                     ("a directory", os.open("/dev/shm", os.O_RDONLY))):
        bad = Rig(t, stack=rig.stack, fake=rig.fake)
        bad.client.create(bad.shm, "create_pool", fd, 4096)
        e = bad.client.expect_error()
        t.ok(e.object_id == bad.shm, f"{what}: {e}")
    rig.client.roundtrip()


def weston_refuses(t, cases, act):
    """The compositor's own answer to what it can judge reaches the client; a healthy one goes on."""
    stack = t.stack(t.weston())
    healthy = stack.client()
    healthy.roundtrip()
    for case in cases:
        bad = stack.client()
        shm = bad.bind("wl_shm", 1)
        pool = Pool(bad, shm, 40000)
        try:
            act(bad, pool, case)
            bad.roundtrip(8)
            raise Failure(f"{case}: nothing happened")
        except ProtocolError as e:
            t.ok(e.object_id in (shm, pool.id, pool.id + 1) and e.text, f"{case}: {e}")
        pool.close()
        bad.close()
        healthy.roundtrip()


@test
def bad_buffers(t):
    """Geometry outside the pool, in 64-bit arithmetic."""
    big = (1 << 31) - 1
    weston_refuses(t, [(0, 100, 100, 401 * 100), (-4, 10, 10, 40), (0, 0, 10, 40), (0, 10, 0, 40), (0, -1, 10, 40),
                       (0, 10, -10, 40), (0, 10, 10, -40), (40000, 1, 1, 4), (39999, 1, 1, 4), (0, big, big, big),
                       (big, 1, 1, 4), (0, 1, big, 4), (4, 10, 1000, 40)],
                   lambda c, pool, case: pool.buffer(*case))


@test
def bad_resize(t):
    """Shrinking, and sizes that are none."""
    weston_refuses(t, [100, 0, -1, -(1 << 31)], lambda c, pool, size: c.send(pool.id, "resize", size))


@test
def resize_before_the_file_has_grown(t):
    """As with a new pool: the file may follow."""
    rig = Rig(t)
    fd = os.memfd_create("pool")
    os.ftruncate(fd, 40000)
    pool = rig.client.create(rig.shm, "create_pool", fd, 40000)
    rig.client.send(pool, "resize", (1 << 31) - 1)
    buffer = rig.client.create(pool, "create_buffer", 40000, 100, 100, 400, 1)
    rig.client.roundtrip()
    os.pwrite(fd, noise(40000, 1), 40000)
    rig.commit(buffer, FULL)
    t.ok(rig.peer.content(buffer) == noise(40000, 1), "the pixels")


@test
def synchronised_subsurface(t):
    """A subsurface's buffer is right from its own commit on, whenever the parent's follows."""
    rig = Rig(t)
    subcompositor = rig.client.bind("wl_subcompositor", 1)
    child = rig.new_surface()
    rig.client.create(subcompositor, "get_subsurface", child, rig.surface)
    w, h, stride = 80, 50, 320
    pool = Pool(rig.client, rig.shm, 2 * stride * h)
    buffers = [pool.buffer(i * stride * h, w, h, stride) for i in range(2)]
    frame = bytearray(noise(stride * h, 99))
    for i in range(10):
        which = i % 2
        at = (i * 3 % 40) * stride
        frame[at:at + 5 * stride] = noise(5 * stride, i)
        pool.map[which * stride * h:(which + 1) * stride * h] = bytes(frame)
        rig.commit(buffers[which], [(0, i * 3 % 40, w, 5)], surface=child)
        rig.same(pool, buffers[which], which * stride * h, stride * h, f"commit {i} of the subsurface")
        rig.commit(None)


if __name__ == "__main__":
    main()
