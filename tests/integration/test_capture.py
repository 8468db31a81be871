#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Pixels and files that cross without a commit: screen copies into client buffers, icons, gamma ramps.

The compositor is a test double: only it can write into a captured buffer at the moment that a test needs."""

import os

from harness import Skip, main, test
from harness.client import Pool
from harness.fake import GLOBALS
from harness.surface import FULL, Rig, draw, noise

CAPTURE = ("zwlr_screencopy_manager_v1", 3)


def screencopy(t, rig):
    output = rig.client.bind("wl_output", 3)
    manager = rig.client.bind("zwlr_screencopy_manager_v1", 3)
    frame = rig.client.create(manager, "capture_output", 0, output)
    rig.client.roundtrip()
    return frame


@test
def screen_copy_into_a_client_buffer(t):
    """What the compositor writes into a captured buffer is in the client's file when ready comes."""
    rig = Rig(t, globals=GLOBALS + [CAPTURE], host_args=["--allow", "zwlr_screencopy_manager_v1"])
    w, h, stride = 100, 60, 400
    pool = Pool(rig.client, rig.shm, 4096 + stride * h)
    buffer = pool.buffer(4096, w, h, stride)
    for i in range(3):
        frame = screencopy(t, rig)
        rig.peer.event(frame, "buffer", 1, w, h, stride)
        rig.peer.event(frame, "buffer_done")
        rig.client.send(frame, "copy", buffer)
        rig.client.roundtrip()
        picture = noise(stride * h, 50 + i)
        rig.peer.write_content(buffer, picture)
        rig.peer.event(frame, "flags", 0)
        rig.peer.event(frame, "ready", 0, 1, 2)
        start = len(rig.client.events)
        rig.client.wait_event("zwlr_screencopy_frame_v1", "ready", start=start)
        t.ok(bytes(pool.map[4096:]) == picture, f"copy {i}")
        t.ok(bytes(pool.map[:4096]) == bytes(4096), "bytes outside the buffer")
        rig.client.send(frame, "destroy")
        rig.client.roundtrip()


@test
def screen_copies_are_of_shared_memory(t):
    """What the compositor would like of a dmabuf is about the host's GPU: the client hears of shared memory only."""
    rig = Rig(t, globals=GLOBALS + [CAPTURE], host_args=["--allow", "zwlr_screencopy_manager_v1"])
    frame = screencopy(t, rig)
    rig.peer.event(frame, "buffer", 1, 100, 60, 400)
    rig.peer.event(frame, "linux_dmabuf", 0x34325258, 100, 60)
    rig.peer.event(frame, "buffer_done")
    rig.client.wait_event("zwlr_screencopy_frame_v1", "buffer_done")
    t.eq([m.name for m in rig.client.events if m.interface == "zwlr_screencopy_frame_v1"], ["buffer", "buffer_done"],
         "events of the frame")


@test
def screen_copy_then_show(t):
    """A captured buffer that the client then shows, partly redrawn, is right on the host."""
    rig = Rig(t, globals=GLOBALS + [CAPTURE], host_args=["--allow", "zwlr_screencopy_manager_v1"])
    w, h, stride = 100, 60, 400
    pool = Pool(rig.client, rig.shm, stride * h)
    buffer = pool.buffer(0, w, h, stride)
    rig.commit(buffer, FULL)
    frame = screencopy(t, rig)
    rig.peer.event(frame, "buffer", 1, w, h, stride)
    rig.peer.event(frame, "buffer_done")
    rig.client.send(frame, "copy", buffer)
    rig.client.roundtrip()
    picture = noise(stride * h, 50)
    rig.peer.write_content(buffer, picture)
    rig.peer.event(frame, "ready", 0, 1, 2)
    rig.client.wait_event("zwlr_screencopy_frame_v1", "ready")
    draw(pool, 0, stride, (10, 10, 20, 20), 1)
    rig.commit(buffer, FULL)
    rig.same(pool, buffer, 0, pool.size, "picture and drawing")


@test
def screen_copy_fails(t):
    """failed instead of ready leaves the client's buffer alone."""
    rig = Rig(t, globals=GLOBALS + [CAPTURE], host_args=["--allow", "zwlr_screencopy_manager_v1"])
    pool = Pool(rig.client, rig.shm, 4000)
    buffer = pool.buffer(0, 10, 100, 40)
    pool.map[:] = noise(4000, 1)
    frame = screencopy(t, rig)
    rig.client.send(frame, "copy", buffer)
    rig.client.roundtrip()
    rig.peer.event(frame, "failed")
    rig.client.wait_event("zwlr_screencopy_frame_v1", "failed")
    t.ok(bytes(pool.map) == noise(4000, 1), "the client's bytes")


@test
def image_copy_capture(t):
    """The same with ext-image-copy-capture-v1: frame after frame into one buffer, the compositor writes only its damage."""
    names = [("ext_output_image_capture_source_manager_v1", 1), ("ext_image_copy_capture_manager_v1", 1)]
    rig = Rig(t, globals=GLOBALS + names, host_args=[a for n, _ in names for a in ("--allow", n)])
    if not any(g[0] == names[0][0] for g in rig.client.globals.values()):
        raise Skip("this build knows no ext-image-copy-capture-v1")
    w, h, stride = 100, 60, 400
    pool = Pool(rig.client, rig.shm, stride * h)
    buffer = pool.buffer(0, w, h, stride)
    source = rig.client.create(rig.client.bind(names[0][0]), "create_source", rig.client.bind("wl_output", 3))
    session = rig.client.create(rig.client.bind(names[1][0]), "create_session", source, 0)
    rig.client.roundtrip()
    rig.peer.event(session, "buffer_size", w, h)
    rig.peer.event(session, "shm_format", 1)
    rig.peer.event(session, "done")
    picture = bytearray(stride * h)
    for i in range(4):
        frame = rig.client.create(session, "create_frame")
        rig.client.send(frame, "attach_buffer", buffer)
        rig.client.send(frame, "damage_buffer", 0, 0, w, h)
        rig.client.send(frame, "capture")
        rig.client.roundtrip()
        rows = slice(i * 10 * stride, (i * 10 + 10) * stride)
        picture[rows] = noise(10 * stride, i)
        rig.peer.write_content(buffer, bytes(picture))
        start = len(rig.client.events)
        rig.peer.event(frame, "damage", 0, i * 10, w, 10)
        rig.peer.event(frame, "ready")
        rig.client.wait_event("ext_image_copy_capture_frame_v1", "ready", start=start)
        t.ok(bytes(pool.map) == bytes(picture), f"frame {i}")
        rig.client.send(frame, "destroy")
        rig.client.roundtrip()


@test
def toplevel_icons(t):
    """xdg_toplevel_icon_v1.add_buffer lets the compositor read a buffer without any commit: it is complete by then."""
    rig = Rig(t, globals=GLOBALS + [("xdg_toplevel_icon_manager_v1", 1)])
    if not any(g[0] == "xdg_toplevel_icon_manager_v1" for g in rig.client.globals.values()):
        raise Skip("this build knows no xdg-toplevel-icon-v1")
    manager = rig.client.bind("xdg_toplevel_icon_manager_v1")
    pool = Pool(rig.client, rig.shm, 64 * 64 * 4)
    for i in range(3):
        pool.map[:] = noise(pool.size, i)
        buffer = pool.buffer(0, 64, 64, 256)
        icon = rig.client.create(manager, "create_icon")
        rig.client.send(icon, "add_buffer", buffer, 1)
        rig.client.roundtrip()
        rig.same(pool, buffer, 0, pool.size, f"icon {i}")
        rig.client.send(icon, "destroy")
        rig.client.send(buffer, "destroy")
        rig.client.roundtrip()


@test
def gamma_ramp_goes_to_the_compositor(t):
    """A read-once file from the guest: content and size at the compositor are the client's."""
    rig = Rig(t, globals=GLOBALS + [("zwlr_gamma_control_manager_v1", 1)],
              host_args=["--allow", "zwlr_gamma_control_manager_v1"])
    output = rig.client.bind("wl_output", 3)
    manager = rig.client.bind("zwlr_gamma_control_manager_v1", 1)
    control = rig.client.create(manager, "get_gamma_control", output)
    rig.client.roundtrip()
    rig.peer.event(control, "gamma_size", 256)
    rig.client.wait_event("zwlr_gamma_control_v1", "gamma_size")
    fd = os.memfd_create("gamma")
    table = noise(256 * 2 * 3, 1)
    os.write(fd, table)
    rig.client.send(control, "set_gamma", fd)
    os.close(fd)
    rig.client.roundtrip()
    m = rig.peer.wait("zwlr_gamma_control_v1", "set_gamma")
    t.eq(os.pread(m.fds[0], 65536, 0), table, "the ramp")


if __name__ == "__main__":
    main()
