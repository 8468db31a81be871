#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Starting, stopping and dying: of the daemons, their clients and the compositor; many clients."""

import os
import signal
import socket
import subprocess

from harness import Failure, main, test
from harness.client import Client, Pool
from harness.trace import Trace

GUEST = os.environ.get("WAYVSOCK_GUEST", "")
TICK = 2        # seconds between heartbeats, in protocol/frames.h


def gets_disconnected(client):
    """Reads until the end, with or without an error before it."""
    client.wait_closed(40)


# -- many clients

@test(timeout=240)
def a_thousand_clients_in_a_row(t):
    """Each binds, makes a pool and a buffer, and goes; afterwards the daemons hold no more than before."""
    fake = t.fake()
    stack = t.stack(fake)

    def one(i):
        with Client(stack.display) as c:
            shm = c.bind("wl_shm", 1)
            surface = c.create(c.bind("wl_compositor", 4), "create_surface")
            pool = Pool(c, shm, 16384)
            c.send(surface, "attach", pool.buffer(0, 64, 64, 256), 0, 0)
            c.send(surface, "damage", 0, 0, 64, 64)
            c.send(surface, "commit")
            if i % 3:
                c.roundtrip()
            pool.close()
    for i in range(100):
        one(i)
    if t.direct:
        return
    t.wait(lambda: not fake.open_peers(), "all connections at the compositor end")
    stack.settle()
    before = [p.rss_kib() for p in (stack.host, stack.guest)]
    for i in range(1000):
        one(i)
    t.wait(lambda: not fake.open_peers(), "all connections at the compositor end")
    stack.check_fds()
    after = [p.rss_kib() for p in (stack.host, stack.guest)]
    if not os.environ.get("WAYVSOCK_SANITIZED"):
        t.ok(all(a - b <= 256 for a, b in zip(after, before)), f"private memory: {before} → {after} KiB")
    t.eq([p.mirror_blocks() for p in (stack.host, stack.guest)], [[], []], "memfds that are left")


@test(timeout=120)
def two_hundred_clients_at_once(t):
    fake = t.fake()
    stack = t.stack(fake)
    clients = [stack.client() for _ in range(200)]
    for c in clients:
        c.shm = c.bind("wl_shm", 1)
        c.surface = c.create(c.bind("wl_compositor", 4), "create_surface")
        c.pool = Pool(c, c.shm, 65536)
        c.pool.map[:] = os.urandom(65536)
        c.shown = c.pool.buffer(0, 128, 128, 512)
        c.send(c.surface, "attach", c.shown, 0, 0)
        c.send(c.surface, "damage", 0, 0, 128, 128)
        c.send(c.surface, "commit")
    for c in clients:
        c.roundtrip()
    t.eq(len([p for p in fake.open_peers() if p.find("wl_surface", "commit")]), 200, "clients at the compositor")
    mine = sorted(bytes(c.pool.map) for c in clients)
    seen = sorted(p.content(next(iter(p.buffers))) for p in fake.open_peers() if p.buffers)
    t.ok(mine == seen, "every client's picture arrived")
    for c in clients[::2]:
        c.close()
    for c in clients[1::2]:
        c.roundtrip()
        c.close()
    t.wait(lambda: not [p for p in fake.open_peers() if p.buffers], "all are gone at the compositor")


@test(direct=False, waits=True)
def idle_is_idle(t):
    """With clients that do nothing the daemons wake up for their heartbeat, and for nothing else."""
    fake = t.fake()
    stack = t.stack(fake)
    clients = [stack.client() for _ in range(50)]
    for c in clients:
        c.roundtrip()

    trace = Trace(t, stack.host, stack.guest)
    t.wait(lambda: len(trace.between_pings(stack.guest)) >= 2, "three heartbeats", 60)
    trace.stop()
    expiries = [trace.expiries(p) for p in (stack.host, stack.guest)]
    wakes = [trace.wakes(p) for p in (stack.host, stack.guest)]
    # Either has its timer; the guest hears a PONG for each PING, the host the PING.
    t.ok(wakes[0] <= sum(expiries) + 2 and wakes[1] <= 2 * expiries[1] + 2,
         f"host and guest: {wakes} wake-ups with {expiries} expiries of their timers")
    for proc in (stack.host, stack.guest):
        alarms = trace.alarms(proc)
        t.ok(all(b - a >= TICK for a, b in zip(alarms, alarms[1:])), f"{proc.name}'s timer was set to {alarms}")


# -- deaths

@test(direct=False)
def guest_daemon_is_killed(t):
    """Clients are cut off, the host drops all that was theirs, a new guest daemon replaces the stale socket."""
    fake = t.fake()
    stack = t.stack(fake)
    client = stack.client()
    client.roundtrip()
    for _ in range(3):
        stack.guest.kill()
        gets_disconnected(client)
        t.wait(lambda: not [p for p in fake.open_peers() if len(p.registries) and p.log[-1].name == "sync"],
               "the client's connection at the compositor ends")
        t.ok(os.path.exists(stack.display), "the socket is left behind")
        stack.start_guest()
        stack.wait_link()
        client = stack.client()
        client.roundtrip()
    t.ok(stack.host.alive, "the host daemon lives")


@test(direct=False, timeout=120)
def compositor_that_accepts_nothing(t):
    """It hangs: who finds no place in its queue is told so, the daemon has time for the others, and all goes on with it."""
    compositor = t.weston()
    stack = t.stack(compositor)
    before = stack.client()
    before.roundtrip()
    compositor.proc.popen.send_signal(signal.SIGSTOP)
    try:
        waiting = []
        for _ in range(200):
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].connect(stack.display)
            waiting[-1].setblocking(False)

        def told():
            for s in waiting:
                try:
                    if b"no compositor" in s.recv(4096):
                        return True
                except BlockingIOError:
                    pass
            return False
        t.wait(told, "one of them is told that there is no compositor for it", 60)
        for s in waiting:
            s.close()
    finally:
        compositor.proc.popen.send_signal(signal.SIGCONT)
    before.roundtrip()
    t.wait(stack.usable, "a new client gets through")


@test(direct=False)
def host_daemon_is_killed(t):
    """Clients are cut off cleanly, the guest daemon lives on and serves again when the host daemon is back."""
    fake = t.fake()
    stack = t.stack(fake)
    for _ in range(3):
        clients = [stack.client() for _ in range(5)]
        for c in clients:
            c.roundtrip()
        stack.host.kill()
        for c in clients:
            gets_disconnected(c)
        t.ok(stack.guest.alive, "the guest daemon lives")
        stack.start_host()
        stack.wait_link()
    stack.check_fds()


@test
def client_is_killed(t):
    """Its window goes at once; others stay."""
    t.need("foot")
    sway = t.sway()
    stack = t.stack(sway)
    victims = [stack.spawn("foot", "--app-id", f"victim{i}", "-e", "sleep", "1000") for i in range(3)]
    stack.spawn("foot", "--app-id", "stays", "-e", "sleep", "1000")
    for i in range(3):
        sway.window(app_id=f"victim{i}")
    sway.window(app_id="stays")
    for v in victims:
        v.kill()
    sway.wait_windows(1)
    t.eq(sway.windows()[0]["app_id"], "stays", "the window that is left")
    for proc in t.procs:
        if proc.name == "foot" and proc.alive:
            proc.kill()
    sway.no_windows()


@test
def compositor_is_killed(t):
    """Clients are cut off; when the compositor is back at its place, new clients work."""
    weston = t.weston()
    stack = t.stack(weston)
    client = stack.client()
    client.roundtrip()
    weston.proc.kill()
    gets_disconnected(client)
    if t.direct:
        return
    # While it is away a client is refused, not left hanging.
    with Client(stack.display) as c:
        try:
            c.send(1, "sync", c.new_id("wl_callback"))
        except OSError:
            pass
        gets_disconnected(c)
    t.wait(lambda: not descendants_of(weston), "weston's helpers are gone")
    again = t.weston()
    t.eq(again.socket, weston.socket, "the same place")
    stack.wait_link()
    t.ok(stack.host.alive and stack.guest.alive, "the daemons live")


def descendants_of(weston):
    from harness.tap import descendants
    return weston.proc.alive and descendants(weston.proc.pid)


@test(direct=False, timeout=120)
def killed_over_and_over(t):
    """Whatever dies in the middle of traffic, the pair serves again, and the survivor has no descriptor more."""
    fake = t.fake()
    stack = t.stack(fake)
    for round_ in range(6):
        clients = [stack.client() for _ in range(10)]
        for c in clients:
            surface = c.create(c.bind("wl_compositor", 4), "create_surface")
            pool = Pool(c, c.bind("wl_shm", 1), 1 << 20)
            buffer = pool.buffer(0, 512, 512, 2048)
            for _ in range(5):
                c.send(surface, "attach", buffer, 0, 0)
                c.send(surface, "damage", 0, 0, 512, 512)
                c.send(surface, "commit")
            pool.close()
        victim = (stack.guest, stack.host)[round_ % 2]
        victim.kill()
        for c in clients:
            c.close()
        if round_ % 2:
            stack.start_host()
        else:
            stack.start_guest()
        stack.wait_link()
    stack.check_fds()


# -- order, reconnection, silence

@test(direct=False, waits=True)
def guest_before_host(t):
    """The guest daemon is ready without a host; a client comes through as soon as the host is there."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    stack.start_guest()
    with Client(stack.display) as c:
        try:
            c.send(1, "sync", c.new_id("wl_callback"))
            c.wait_closed(30)
        except (OSError, EOFError):
            pass
    stack.start_host()
    stack.wait_link()
    stack.settle()


@test(direct=False)
def host_before_guest(t):
    fake = t.fake()
    stack = t.stack(fake, start=False)
    stack.start_host()
    stack.start_guest()
    stack.wait_link()
    stack.settle()


@test(direct=False, timeout=120, waits=True)
def silent_host_is_dropped(t):
    """A host daemon that hangs: the guest's clients are disconnected, and come through when it is back."""
    fake = t.fake()
    stack = t.stack(fake)
    client = stack.client()
    client.roundtrip()
    stack.host.signal(signal.SIGSTOP)
    gets_disconnected(client)
    stack.host.signal(signal.SIGCONT)
    stack.wait_link()


@test(direct=False, timeout=120, waits=True)
def short_silence_is_survived(t):
    """Each side stops, for more than a heartbeat: the session goes on, nothing is lost."""
    fake = t.fake()
    stack = t.stack(fake)
    client = stack.client()
    surface = client.create(client.bind("wl_compositor", 4), "create_surface")
    client.roundtrip()
    peer = fake.newest()
    sent = 0
    trace = Trace(t, stack.guest)
    for proc in (stack.host, stack.guest):
        proc.signal(signal.SIGSTOP)
        for _ in range(20):
            client.send(surface, "damage", 1, 1, 1, 1)
            sent += 1
        if proc is stack.host:
            asked = trace.pings(stack.guest)
            t.wait(lambda: trace.pings(stack.guest) >= asked + 2, "two heartbeats of the guest's daemon")
            trace.stop()
        else:
            t.wait(lambda: "is silent" in stack.host.log(), "the host's daemon misses the guest's")
        proc.signal(signal.SIGCONT)
        client.roundtrip()
    t.eq(len(peer.find("wl_surface", "damage")), sent, "requests")


@test(direct=False, timeout=120, waits=True)
def silent_vm_is_dropped_after_the_timeout(t):
    """The host keeps a silent VM until --peer-timeout, says so at once, then drops it; the VM may come again."""
    fake = t.fake()
    stack = t.stack(fake, host_args=["--peer-timeout", "5"])
    client = stack.client()
    client.roundtrip()
    stack.guest.signal(signal.SIGSTOP)
    t.wait(lambda: not [p for p in fake.open_peers() if p.registries or p.find("wl_display", "sync")],
           "the compositor's connections of the VM end", 60)
    t.ok("silent" in stack.host.log() or "no answer" in stack.host.log() or "heard" in stack.host.log(),
         "the host logs a silent VM")
    stack.guest.signal(signal.SIGCONT)
    gets_disconnected(client)
    stack.wait_link()


# -- the display socket

@test(direct=False)
def live_display_is_refused(t):
    """A second daemon on a live display ends with an error; the first does not even notice."""
    fake = t.fake()
    stack = t.stack(fake)
    client = stack.client()
    second = subprocess.run(stack.guest_argv(), capture_output=True, text=True, timeout=30, env=t.env())
    t.ok(second.returncode == 1, f"status {second.returncode}")
    t.has(stack.display, second.stderr, "the message names the display")
    client.roundtrip()
    t.ok(stack.usable(), "the first serves")


@test(direct=False)
def something_else_in_the_displays_place(t):
    """A regular file is never replaced."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    with open(stack.display, "w") as f:
        f.write("precious")
    r = subprocess.run(stack.guest_argv(), capture_output=True, text=True, timeout=30, env=t.env())
    t.ok(r.returncode == 1, f"status {r.returncode}")
    t.eq(open(stack.display).read(), "precious", "the file")


@test(direct=False)
def stale_sockets_are_replaced(t):
    """Those of both daemons; and they are gone after a regular stop."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    for path in (stack.display, stack.link_path):
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.close()
    stack.start_host()
    stack.start_guest()
    stack.wait_link()
    t.eq(os.stat(stack.link_path).st_mode & 0o077, 0, "others may not use the host's socket")
    t.eq(os.stat(stack.display).st_mode & 0o077, 0, "nor the display")
    t.eq(stack.stop_guest(), 0, "the guest's exit status on SIGTERM")
    t.eq(stack.stop_host(), 0, "the host's")
    t.ok(not os.path.exists(stack.display), "the display is removed")
    t.ok(not os.path.exists(stack.link_path), "the host's socket is removed")


@test(direct=False)
def live_listener_is_refused(t):
    fake = t.fake()
    stack = t.stack(fake)
    r = subprocess.run(stack.host_argv(), capture_output=True, text=True, timeout=30, env=t.env())
    t.ok(r.returncode == 1, f"status {r.returncode}")
    t.ok(stack.usable(), "the first serves")


@test(direct=False)
def display_by_name(t):
    """--display wayland-7 is in XDG_RUNTIME_DIR; without --display it is wayland-0."""
    fake = t.fake()
    stack = t.stack(fake)
    for args, name in ((["--display", "wayland-7"], "wayland-7"), ([], "wayland-0")):
        run = t.mkdir(f"run-{name}")
        proc = t.spawn([GUEST, "--connect", stack.guest_address, *args], t.env(XDG_RUNTIME_DIR=run), name="guest")
        proc.is_daemon = True
        t.wait(lambda: os.path.exists(os.path.join(run, name)), "the socket")
        t.ok(proc.alive, "it runs")

        def works():
            try:
                with Client(os.path.join(run, name), timeout=5) as c:
                    c.roundtrip()
                    return True
            except (OSError, EOFError, Failure):
                return False
        t.wait(works, "a client gets through")
        t.eq(proc.stop(), 0, "exit status")
    t.wait(stack.usable, "the first daemon serves again")


if __name__ == "__main__":
    main()
