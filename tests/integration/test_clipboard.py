#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Clipboard, primary selection and the pipes beneath them: with real tools on sway, and end by end with a raw client and a
fake compositor, which shows what each end of a pipe sees."""

import fcntl
import hashlib
import os
import pty
import select
import socket
import subprocess
import tty

from harness import Failure, main, test
from harness.tools import copy, plug_keyboard
from harness.transfers import DIRECTIONS, MIB, Rig, feed, read_all


# -- real tools on sway

def wl_paste(env, *args):
    """Runs it to its end. One that does not end is a failure that tells what it waits for."""
    try:
        return subprocess.run(["wl-paste", "-n", *args], env={**env, "WAYLAND_DEBUG": "1"}, capture_output=True,
                              timeout=60 * float(os.environ.get("WAYVSOCK_TIMEOUT_SCALE", "1")))
    except subprocess.TimeoutExpired as e:
        raise Failure(f"wl-paste gets nowhere after {len(e.stdout or b'')} bytes; at last:\n"
                      f"{(e.stderr or b'').decode(errors='replace')[-4000:]}") from None


def paste(t, env, *args):
    """What wl-paste prints; b"" if there is nothing yet."""
    return wl_paste(env, *args).stdout


def nothing_to_paste(env, *args):
    """What wl-paste prints where there is nothing for it."""
    done = wl_paste(env, *args)
    return done.stdout if done.returncode else b"something, or else it would have failed"


def both_ways(t, size, *args):
    t.need("wl-copy", "wl-paste", "wtype")
    sway = t.sway()
    plug_keyboard(t, sway)
    stack = t.stack(sway)
    for n, (source, sink) in enumerate(((stack.env, sway.env), (sway.env, stack.env), (stack.env, stack.env))):
        data = os.urandom(size)
        path = t.path(f"data{n}")
        with open(path, "wb") as f:
            f.write(data)
        copy(t, source(), path, *args)
        want = hashlib.sha256(data).hexdigest()

        def arrived():
            got = paste(t, sink(), *args)
            return hashlib.sha256(got).hexdigest() == want
        what = ["guest to host", "host to guest", "guest to guest"][n]
        t.wait(arrived, f"{what}: {size} bytes with the right digest", timeout=40)
        for _ in range(2):
            t.ok(arrived(), f"{what}: again")


@test(timeout=240)
def copy_and_paste_64_mib(t):
    """wl-copy and wl-paste, 64 MiB of noise, from guest to host, back, and within the guest."""
    both_ways(t, 64 * MIB)


@test(timeout=120)
def copy_and_paste_primary(t):
    """The same through the primary selection."""
    both_ways(t, 3 * MIB + 17, "--primary")


@test(timeout=120)
def small_and_empty_selections(t):
    t.need("wl-copy", "wl-paste", "wtype")
    sway = t.sway()
    plug_keyboard(t, sway)
    stack = t.stack(sway)
    for text in ("x", "grüße\n", "a" * 4096):
        for source, sink in ((stack.env, sway.env), (sway.env, stack.env)):
            t.spawn(["wl-copy", "-f", text], {**source(), "WAYLAND_DEBUG": "1"})    # shown by a failure
            t.wait(lambda: paste(t, sink()).decode() == text, f"{text[:10]!r} pasted")


def policy(setting, to_vm, from_vm):
    def run(t):
        t.need("wl-copy", "wl-paste", "wtype")
        sway = t.sway()
        plug_keyboard(t, sway)
        stack = t.stack(sway, config=f"[vm test]\nlisten = @ADDRESS@\nclipboard = {setting}\n")
        for args in ((), ("--primary",)):
            t.spawn(["wl-copy", "-f", *args, "of the host"], sway.env())
            t.wait(lambda: paste(t, sway.env(), *args) == b"of the host", "the host's own clipboard")
            if to_vm:
                t.wait(lambda: paste(t, stack.env(), *args) == b"of the host", "the guest reads the host's clipboard")
            else:
                t.eq(nothing_to_paste(stack.env(), *args), b"", "what the guest reads")
            guests = t.spawn(["wl-copy", "-f", *args, "of the guest"], stack.env())
            if from_vm:
                t.wait(lambda: paste(t, sway.env(), *args) == b"of the guest", "the host reads the guest's clipboard")
            else:
                guests.wait()       # it is told that it does not own the clipboard
                t.eq(paste(t, sway.env(), *args), b"of the host", "what the host reads")
        stack.usable()
    run.__name__ = f"policy_{setting.replace('-', '_')}"
    run.__doc__ = f"clipboard = {setting}"
    test(run, direct=False, timeout=120)


policy("both", True, True)
policy("to-vm", True, False)
policy("from-vm", False, True)
policy("off", False, False)


# -- both ends of a pipe

@test
def data_and_eof(t):
    """All bytes, then the end of file, for sizes around every buffer."""
    rig = Rig(t)
    for direction in DIRECTIONS:
        for size in (0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 1000003):
            w, r = rig.pair(direction)
            data = os.urandom(size)
            feed(w, data)
            t.ok(read_all(r) == data, f"{direction}: {size} bytes")


@test(timeout=120)
def data_over_a_hybrid_socket(t):
    """The same where only bytes can pass between the daemons."""
    rig = Rig(t, transport="mux")
    for direction in DIRECTIONS:
        w, r = rig.pair(direction)
        data = os.urandom(20 * MIB)
        feed(w, data)
        t.ok(read_all(r) == data, f"{direction}: 20 MiB")


@test
def reader_closes_early(t):
    """The writer gets EPIPE, as with a pipe, and the connection goes on."""
    rig = Rig(t)
    for direction in DIRECTIONS:
        for before in (0, 1, 200000):
            w, r = rig.pair(direction)
            got = 0
            writer = feed(w, bytes(64 * MIB))
            while got < before:
                got += len(os.read(r, before - got))
            os.close(r)
            writer.join(20)
            t.ok(not writer.is_alive(), f"{direction}, closed after {before} bytes: the writer was told")
            rig.client.roundtrip()


@test
def reader_closes_before_anything_is_written(t):
    """An idle writer learns of it by poll, as with a pipe."""
    rig = Rig(t)
    for direction in DIRECTIONS:
        w, r = rig.pair(direction)
        os.close(r)
        poll = select.poll()
        poll.register(w, 0)
        t.ok(poll.poll(20000), f"{direction}: POLLERR at the writer")
        os.close(w)


@test
def slow_reader_does_not_stall(t):
    """Nobody reads a transfer: events, requests and other transfers go on; later all of it arrives, and little is held."""
    rig = Rig(t)
    for direction in DIRECTIONS:
        w, r = rig.pair(direction)
        data = os.urandom(32 * MIB)
        before = [p.rss_kib() for p in (rig.stack.host, rig.stack.guest)] if not t.direct else []
        feed(w, data)
        for i in range(300):
            rig.client.roundtrip()
        w2, r2 = rig.pair(direction)
        small = os.urandom(100000)
        feed(w2, small)
        t.ok(read_all(r2) == small, f"{direction}: another transfer beside it")
        if before:
            after = [p.rss_kib() for p in (rig.stack.host, rig.stack.guest)]
            t.ok(all(a - b < 8192 for a, b in zip(after, before)) or asan(),
                 f"{direction}: the daemons hold {before} → {after} KiB")
        t.ok(read_all(r) == data, f"{direction}: all of it in the end")


def asan():
    return bool(os.environ.get("WAYVSOCK_SANITIZED"))


@test
def slow_writer(t):
    """A byte now and then is passed on at once: nothing waits for more."""
    rig = Rig(t)
    for direction in DIRECTIONS:
        w, r = rig.pair(direction)
        for i in range(50):
            os.write(w, bytes([i]))
            if not select.select([r], [], [], 20)[0]:
                raise Failure(f"{direction}: byte {i} never came")
            t.eq(os.read(r, 100), bytes([i]), "the byte")
        os.close(w)
        t.eq(os.read(r, 100), b"", "end of file")
        os.close(r)


@test(timeout=120)
def a_hundred_at_once(t):
    """100 transfers each way, started together and read in another order."""
    rig = Rig(t)
    for direction in DIRECTIONS:
        pairs = [rig.pair(direction) for _ in range(100)]
        datas = [os.urandom(100000 + i) for i in range(100)]
        writers = [feed(w, d) for (w, _), d in zip(pairs, datas)]
        for i in sorted(range(100), key=lambda i: i * 37 % 100):
            t.ok(read_all(pairs[i][1]) == datas[i], f"{direction}: transfer {i}")
        for w in writers:
            w.join(10)


@test
def regular_file_as_sink(t):
    """Some clients hand a file in: what the source writes is in it, from its position on."""
    rig = Rig(t)
    path = t.path("sink")
    for append in (False, True):
        with open(path, "wb") as f:
            f.write(b"head")
        fd = os.open(path, os.O_WRONLY | (os.O_APPEND if append else 0))
        if not append:
            os.lseek(fd, 4, os.SEEK_SET)
        there, m = rig.receive_into(fd)
        rig.close_logged(m)
        data = os.urandom(300000)
        feed(there, data)
        t.wait(lambda: open(path, "rb").read() == b"head" + data, f"the file's content (append: {append})")
    rig.client.roundtrip()


@test
def socket_as_sink(t):
    """Others hand a stream socket in."""
    rig = Rig(t)
    ours, theirs = socket.socketpair()
    there, m = rig.receive_into(theirs.detach())
    rig.close_logged(m)
    data = os.urandom(3 * MIB)
    feed(there, data)
    t.ok(read_all(ours.detach()) == data, "the data, and its end")


@test
def nonblocking_pipe_stays_nonblocking(t):
    """The client's end of its pipe keeps its flags: nobody sets or clears O_NONBLOCK on the shared description."""
    rig = Rig(t)
    for flags in (0, os.O_NONBLOCK):
        r, w = os.pipe2(flags)
        keep = os.dup(w)
        there, m = rig.receive_into(w)
        rig.close_logged(m)
        feed(there, b"x" * 100)
        t.wait(lambda: select.select([r], [], [], 0.1)[0], "data")
        t.eq(fcntl.fcntl(keep, fcntl.F_GETFL) & os.O_NONBLOCK, flags, "O_NONBLOCK of the write end")
        os.close(keep)
        os.close(r)


@test
def client_dies_with_transfers_open(t):
    """Both daemons close what belonged to it: the other ends see it."""
    rig = Rig(t)
    w1, r1 = rig.to_guest()
    w2, r2 = rig.to_host()
    writer = feed(w1, bytes(8 * MIB))
    rig.client.close()
    os.close(r1)
    os.close(w2)
    writer.join(20)
    t.ok(not writer.is_alive(), "the compositor's writer was told")
    t.eq(read_all(r2), b"", "the compositor's reader sees the end")
    rig.peer.wait_gone()


@test
def data_survives_the_source_client(t):
    """What a client wrote before it closed everything still arrives."""
    rig = Rig(t)
    w, r = rig.to_host()
    data = os.urandom(60000)
    os.write(w, data)
    os.close(w)
    t.ok(read_all(r) == data, "the data")


@test
def drag_and_drop(t):
    """A drag from the guest that ends in the guest: the compositor hands one pipe through, twice across the link."""
    rig = Rig(t)
    client, peer = rig.client, rig.peer
    surface = client.create(client.bind("wl_compositor", 4), "create_surface")
    source = client.create(rig.manager, "create_data_source")
    client.send(source, "offer", "text/uri-list")
    client.send(source, "set_actions", 1)
    client.send(rig.device, "start_drag", source, surface, 0, 5)
    client.roundtrip()
    t.eq(peer.find("wl_data_device", "start_drag")[0].args, [source, surface, 0, 5], "start_drag at the compositor")
    offer = peer.new_server_id("wl_data_offer", 3)
    peer.event(rig.device, "data_offer", offer)
    peer.event(offer, "offer", "text/uri-list")
    peer.event(rig.device, "enter", 6, surface, 10, 20, offer)
    peer.event(rig.device, "motion", 7, 11, 21)
    peer.event(rig.device, "drop")
    client.wait_event("wl_data_device", "drop")
    r, w = os.pipe()
    client.send(offer, "accept", 6, "text/uri-list")
    client.send(offer, "receive", "text/uri-list", w)
    os.close(w)
    m = peer.wait("wl_data_offer", "receive")
    peer.event(source, "send", "text/uri-list", m.fds[0])
    rig.close_logged(m)
    sent = client.wait_event("wl_data_source", "send")
    data = os.urandom(2 * MIB)
    feed(sent.args[1], data)
    t.ok(read_all(r) == data, "the data")
    client.send(offer, "finish")
    client.send(offer, "destroy")
    client.roundtrip()


@test
def null_device_as_sink(t):
    """`receive` into /dev/null: the source is read to its end, and the client goes on."""
    rig = Rig(t)
    for mode in (os.O_WRONLY, os.O_RDWR):
        there, m = rig.receive_into(os.open("/dev/null", mode))
        rig.close_logged(m)
        writer = feed(there, bytes(3 * MIB))
        writer.join(60)
        t.ok(not writer.is_alive(), "all of it was taken")
        rig.client.roundtrip()


@test
def null_device_as_the_compositors_sink(t):
    """The same for what the compositor hands out: that of another client, perhaps."""
    rig = Rig(t)
    with open("/dev/null", "wb") as null:
        rig.peer.event(rig.source, "send", "text/plain", null.fileno())
    m = rig.client.wait_event("wl_data_source", "send")
    writer = feed(m.args[1], bytes(3 * MIB))
    writer.join(60)
    t.ok(not writer.is_alive(), "all of it was taken")
    rig.client.roundtrip()


@test
def terminal_as_sink(t):
    """`receive` into a terminal: what the source writes is on it, and the terminal stays as it was."""
    rig = Rig(t)
    master, slave = pty.openpty()
    tty.setraw(slave)
    data = os.urandom(60000)
    flags = fcntl.fcntl(slave, fcntl.F_GETFL)
    there, m = rig.receive_into(os.dup(slave))
    rig.close_logged(m)
    feed(there, data)
    seen = b""
    while len(seen) < len(data) and select.select([master], [], [], 20)[0]:
        seen += os.read(master, MIB)
    t.ok(seen == data, f"{len(seen)} bytes on the terminal")
    t.eq(fcntl.fcntl(slave, fcntl.F_GETFL), flags, "its flags")
    rig.client.roundtrip()


@test(direct=False)
def sinks_that_nobody_can_write_to(t):
    """Who writes hears it at the other end of the pipe; neither client ends."""
    rig = Rig(t)
    other = rig.stack.client()
    epoll = select.epoll()
    for what, fd in (("an epoll", os.dup(epoll.fileno())), ("a path", os.open("/dev/null", os.O_PATH)),
                     ("a directory", os.open("/", os.O_RDONLY)), ("an eventfd", os.eventfd(0)),
                     ("a datagram socket", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()),
                     ("a pipe's reading end", os.pipe()[0])):
        there, m = rig.receive_into(fd)
        rig.close_logged(m)
        writer = feed(there, bytes(MIB))
        writer.join(60)
        t.ok(not writer.is_alive(), f"{what}: the writer is not left waiting")
        rig.client.roundtrip()
        other.roundtrip()

if __name__ == "__main__":
    main()
