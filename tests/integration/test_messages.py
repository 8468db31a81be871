#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Message boundaries: fragments, batches, large messages, descriptors early, late and many at once; slow readers.

The compositor is a test double, which shows what the host daemon forwarded."""

import mmap
import os
import struct
import threading

from harness import main, test


@test
def requests_byte_by_byte(t):
    fake, _, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    client.roundtrip()
    data = client.encode(surface, "damage", 1, 2, 3, 4)[0] + client.encode(surface, "set_buffer_scale", 2)[0]
    callback = client.new_id("wl_callback")
    data += client.encode(1, "sync", callback)[0]
    for i in range(len(data)):
        client.send_raw(data[i:i + 1])
    client.wait_for(lambda: callback in client.done, "the answer")
    t.eq(peer.find("wl_surface", "damage")[0].args, [1, 2, 3, 4], "damage")
    t.eq(peer.find("wl_surface", "set_buffer_scale")[0].args, [2], "set_buffer_scale")


@test
def events_byte_by_byte(t):
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    pointer = client.create(seat, "get_pointer")
    client.roundtrip()
    data = b"".join(peer.encode(pointer, "motion", i, i, i)[0] for i in range(20))
    writer = threading.Thread(target=lambda: [peer.raw(data[i:i + 1]) for i in range(len(data))])
    writer.start()
    client.wait_for(lambda: client.count("wl_pointer", "motion") == 20, "20 motions")
    writer.join()


@test
def messages_split_at_every_place(t):
    """Two writes, the second when the first was read, cut at each position of the pair of messages."""
    fake, _, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    client.roundtrip()
    one = client.encode(surface, "damage", 5, 6, 7, 8)[0] + client.encode(surface, "damage_buffer", 5, 6, 7, 8)[0]
    for cut in range(1, len(one)):
        client.send_raw(one[:cut])
        t.wait(client.taken, "the first part is read")
        client.send_raw(one[cut:])
    client.roundtrip()
    t.eq(len(peer.find("wl_surface", "damage")), len(one) - 1, "damage")
    t.eq(len(peer.find("wl_surface", "damage_buffer")), len(one) - 1, "damage_buffer")


@test
def fds_of_a_fragmented_message(t):
    """The descriptor comes with the first byte, the rest of the message one byte at a time."""
    fake, _, client, peer = t.connected()
    shm = client.bind("wl_shm", 1)
    client.roundtrip()
    fd = os.memfd_create("pool")
    os.ftruncate(fd, 4096)
    os.pwrite(fd, b"marked", 0)
    pool = client.new_id("wl_shm_pool")
    data, fds = client.encode(shm, "create_pool", pool, fd, 4096)
    client.send_raw(data[:1], fds)
    for i in range(1, len(data)):
        client.send_raw(data[i:i + 1])
    client.roundtrip()
    m = peer.wait("wl_shm", "create_pool")
    t.eq(m.args[2], 4096, "the size")
    t.eq(len(m.fds), 1, "descriptors")
    os.close(fd)


@test
def fds_early(t):
    """Descriptors may come before the message that names them, with an earlier one."""
    fake, _, client, peer = t.connected()
    shm = client.bind("wl_shm", 1)
    client.roundtrip()
    fd = os.memfd_create("pool")
    os.ftruncate(fd, 8192)
    sync_id = client.new_id("wl_callback")
    client.send_raw(client.encode(1, "sync", sync_id)[0], [fd])
    client.wait_for(lambda: sync_id in client.done, "an answer to sync")
    pool = client.new_id("wl_shm_pool")
    data, _ = client.encode(shm, "create_pool", pool, fd, 8192)
    client.send_raw(data)
    client.roundtrip()
    t.eq(peer.wait("wl_shm", "create_pool").args[2], 8192, "the pool's size")
    os.close(fd)


@test
def fds_28_at_once(t):
    """28 pools in one sendmsg: as much as libwayland sends; each keeps its own file."""
    fake, _, client, peer = t.connected()
    shm = client.bind("wl_shm", 1)
    client.roundtrip()
    data, fds, sizes = b"", [], []
    for i in range(28):
        fd = os.memfd_create("pool")
        os.ftruncate(fd, 4096 * (i + 1))
        fds.append(fd)
        sizes.append(4096 * (i + 1))
        pool = client.new_id("wl_shm_pool")
        data += client.encode(shm, "create_pool", pool, fd, sizes[-1])[0]
    client.send_raw(data, fds)
    client.roundtrip()
    pools = peer.find("wl_shm", "create_pool")
    t.eq([m.args[2] for m in pools], sizes, "sizes in order")
    with fake.lock:
        held = [os.fstat(m.fds[0]).st_size for m in pools]
        t.eq(len({(os.fstat(m.fds[0]).st_dev, os.fstat(m.fds[0]).st_ino) for m in pools}), 28, "files")
    t.ok(all(h >= s for h, s in zip(held, sizes)), f"each file holds its pool: {held}")
    for fd in fds:
        os.close(fd)


@test
def events_with_many_fds(t):
    """200 keymaps in one go: read-once files keep their order and content."""
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    keyboard = client.create(seat, "get_keyboard")
    client.roundtrip()
    for i in range(200):
        fd = os.memfd_create("keymap")
        os.write(fd, b"keymap %03d\0" % i)
        peer.event(keyboard, "keymap", 1, fd, 11)
        os.close(fd)
    client.wait_for(lambda: client.count("wl_keyboard", "keymap") == 200, "200 keymaps")
    maps = [m for m in client.events if m.name == "keymap"]
    for i, m in enumerate(maps):
        t.eq(os.pread(m.fds[0], 64, 0), b"keymap %03d\0" % i, f"keymap {i}")
        os.close(m.fds[0])


@test
def keymap_is_mappable(t):
    """The client gets a file that it can map privately, and cannot change for others."""
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 7)
    keyboard = client.create(seat, "get_keyboard")
    client.roundtrip()
    text = os.urandom(60000) + b"\0"
    fd = os.memfd_create("keymap")
    os.write(fd, text)
    peer.event(keyboard, "keymap", 1, fd, len(text))
    os.close(fd)
    m = client.wait_event("wl_keyboard", "keymap")
    t.eq(m.args[2], len(text), "size")
    with mmap.mmap(m.fds[0], len(text), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as view:
        t.eq(bytes(view), text, "content")
    os.close(m.fds[0])


@test
def large_messages(t):
    """Messages beyond libwayland's old 4096 bytes pass in both directions, up to the format's 64 KiB."""
    fake, _, client, peer = t.connected()
    wm = client.bind("xdg_wm_base", 1)
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    xdg = client.create(wm, "get_xdg_surface", surface)
    toplevel = client.create(xdg, "get_toplevel")
    source = client.create(client.bind("wl_data_device_manager", 3), "create_data_source")
    client.roundtrip()
    for size in (4000, 4096, 5000, 20000, 65000, 65535 - 8 - 4 - 4):
        text = "x" * (size & ~3)
        client.send(source, "offer", text)
        client.roundtrip()
        t.eq(peer.find("wl_data_source", "offer")[-1].args[0], text, f"a type of {size} bytes")
    for size in (4000, 4096, 5000, 20000, 65000):
        states = struct.pack("=I", 4) * (size // 4)
        peer.event(toplevel, "configure", 1, 2, states)
        m = client.wait_for(lambda: next((m for m in client.events if m.name == "configure" and m.object == toplevel and
                                          len(m.args[2]) == len(states)), None), f"configure of {size} bytes")
        t.eq(m.args[2], states, "the array")


@test
def strings_and_arrays_pass_exactly(t):
    """Null strings, empty strings, UTF-8 and every padding."""
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    manager = client.bind("wl_data_device_manager", 3)
    source = client.create(manager, "create_data_source")
    texts = ["", "a", "ab", "abc", "abcd", "grüße", "日本語", "🌊" * 100]
    for text in texts:
        client.send(source, "offer", text)
    client.roundtrip()
    t.eq([m.args[0] for m in peer.find("wl_data_source", "offer")], texts, "offers")
    peer.event(source, "target", None)
    for text in texts:
        peer.event(source, "target", text)
    client.wait_for(lambda: client.count("wl_data_source", "target") == 9, "targets")
    t.eq([m.args[0] for m in client.events if m.name == "target"], [None] + texts, "targets")


@test
def slow_client_gets_everything(t):
    """A client that does not read for a while finds all events in order when it does."""
    fake, stack, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    pointer = client.create(seat, "get_pointer")
    client.roundtrip()
    writer = threading.Thread(target=lambda: [peer.send(pointer, "motion", i, 0, 0) for i in range(20000)])
    writer.start()
    t.wait(lambda: not writer.is_alive() or stack.stuck(peer.socket), "there is no more room for motions, or all are sent")
    client.wait_for(lambda: client.count("wl_pointer", "motion") == 20000, "20000 motions", timeout=40)
    writer.join()
    t.eq([m.args[0] for m in client.events if m.name == "motion"], list(range(20000)), "order")


@test
def slow_compositor_gets_everything(t):
    """A compositor that does not read for a while gets all requests in order; the client blocks in between."""
    fake, stack, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    client.roundtrip()
    batch = b"".join(client.encode(surface, "damage", i, 0, 1, 1)[0] for i in range(100))
    fake.lock.acquire()
    sent = 0
    client.socket.setblocking(False)
    pending = b""
    while sent < 100000 and not stack.stuck(client.socket):
        if not pending:
            pending = batch
            sent += 100
        try:
            pending = pending[client.socket.send(pending):]
        except BlockingIOError:
            pass
    fake.lock.release()
    client.socket.setblocking(True)
    client.send_raw(pending)
    client.roundtrip(timeout=40)
    t.eq(len(peer.find("wl_surface", "damage")), sent, "requests")


if __name__ == "__main__":
    main()
