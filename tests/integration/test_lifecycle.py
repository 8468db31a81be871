#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Starting, stopping and dying: of the daemons, their clients and the compositor; many clients; the command lines."""

import os
import re
import signal
import socket
import subprocess
import time

from harness import Failure, Skip, main, test
from harness.client import Client, Pool
from harness.stack import Notify

GUEST, HOST = os.environ.get("WAYVSOCK_GUEST", ""), os.environ.get("WAYVSOCK_HOST", "")
MAN = os.environ.get("WAYVSOCK_MAN", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../man"))


def gets_disconnected(client):
    """Reads until the end, with or without an error before it."""
    client.wait_closed(40)


# -- command lines

def call(*argv, env=None):
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, env=env)


@test(direct=False)
def help_and_version(t):
    for binary, name in ((GUEST, "wayvsock-guest"), (HOST, "wayvsock-host")):
        r = call(binary, "--help")
        t.eq((r.returncode, r.stderr), (0, ""), f"{name} --help")
        t.has(name, r.stdout, "its text")
        t.has("--no-auth", r.stdout, "its text")
        r = call(binary, "--version")
        t.eq((r.returncode, r.stderr), (0, ""), f"{name} --version")
        t.ok(re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", r.stdout), f"version: {r.stdout!r}")


@test(direct=False)
def man_pages_agree_with_help(t):
    """The same options, with the same arguments, in --help and in the page."""
    for binary, name in ((GUEST, "wayvsock-guest"), (HOST, "wayvsock-host")):
        path = os.path.join(MAN, f"{name}.1.scd")
        if not os.path.exists(path):
            raise Skip(f"{path} is not there")
        with open(path) as f:
            page = f.read()
        options = page[page.index("# OPTIONS"):]
        options = options[:options.index("\n# ", 5)]
        documented = {(m.group(1), m.group(2) or "") for m in
                      re.finditer(r"^\*(--[a-z-]+)\*(?: _([A-Z\\*:_\[\]-]+)_?.*)?$", options, re.M)}
        documented = {(o, a.replace("\\", "").split("*")[0].rstrip("_[")) for o, a in documented}
        shown = {(m.group(1), (m.group(2) or "").split("[")[0]) for m in
                 re.finditer(r"^\s+(--[a-z-]+)(?:[ =]([A-Z][A-Z\[\]:|-]*))?", call(binary, "--help").stdout, re.M)}
        t.eq(documented, shown, f"{name}: options of the page and of --help")


@test(direct=False)
def bad_command_lines(t):
    """Exit status 1 or 2, nothing on stdout, and a message that says what would be right."""
    for argv, part in (
            ([GUEST, "--connect"], "--connect"), ([GUEST, "--connect", "vsock:2"], "vsock:2:"),
            ([GUEST, "--connect", "tcp:1:2"], "vsock:CID:PORT"), ([GUEST, "--connect", "vsock:2:99999999999"], "number from 1"),
            ([GUEST, "--connect", "unix:"], "unix:PATH"), ([GUEST, "--connect", "vsock-mux:/x"], "vsock-mux:"),
            ([GUEST, "--made-up"], "--made-up"), ([GUEST, "--connect", "unix:/x", "surplus"], "surplus"),
            ([HOST, "--made-up"], "--made-up"), ([HOST, "--listen", "vsock:x"], "vsock:"),
            ([HOST, "--listen", "unix:/x", "--config", "/does/not/exist"], "/does/not/exist"),
            ([HOST, "--listen", "unix:/x", "--peer-timeout", "soon"], "soon"),
            ([HOST, "--listen", "unix:/x", "--log-level", "loud"], "loud"),
            ([HOST, "--listen", "unix:/x", "--vm", "a b"], "a b")):
        r = call(*argv, env=t.env())
        shown = " ".join([os.path.basename(argv[0]), *argv[1:]])
        t.ok(r.returncode in (1, 2), f"{shown}: status {r.returncode}")
        t.eq(r.stdout, "", f"{shown}: stdout")
        t.has(part, r.stderr, f"{shown}: stderr")


@test(direct=False)
def check_says_what_is_missing(t):
    """--check: 0 where programs would work, 1 and what to do about it otherwise."""
    fake = t.fake()
    stack = t.stack(fake)
    env = t.env()
    r = call(GUEST, "--connect", stack.guest_address, "--display", t.path("other"), "--check", env=env)
    t.eq(r.returncode, 0, f"the guest's --check with all in place:\n{r.stdout}{r.stderr}")
    t.ok(len(r.stdout.splitlines()) >= 2, "line by line")
    t.ok(not os.path.exists(t.path("other")), "--check leaves no socket")
    r = call(GUEST, "--connect", f"unix:{t.path('nothing')}", "--display", t.path("other"), "--check", env=env)
    t.eq(r.returncode, 1, f"without a host:\n{r.stdout}{r.stderr}")
    t.has("nothing", r.stdout + r.stderr, "what is missing")
    r = call(HOST, "--listen", f"unix:{t.path('h2')}", "--vm", "x", "--compositor", fake.socket, "--check", env=env)
    t.eq(r.returncode, 0, f"the host's --check with all in place:\n{r.stdout}{r.stderr}")
    t.ok(not os.path.exists(t.path("h2")), "--check leaves no socket")
    r = call(HOST, "--listen", f"unix:{t.path('h2')}", "--vm", "x", "--compositor", t.path("no-display"), "--check", env=env)
    t.eq(r.returncode, 1, f"without a compositor:\n{r.stdout}{r.stderr}")
    t.has("no-display", r.stdout + r.stderr, "what is missing")
    fake.remove_global(1)
    r = call(HOST, "--listen", f"unix:{t.path('h2')}", "--vm", "x", "--compositor", fake.socket, "--check", env=env)
    t.has("wl_compositor", r.stdout + r.stderr, "a compositor without wl_compositor is told")
    # The pair in use goes on.
    t.ok(stack.usable(), "the daemons serve")


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


@test(direct=False)
def idle_is_idle(t):
    """With clients that do nothing the daemons wake up for their heartbeat, and for nothing else."""
    fake = t.fake()
    stack = t.stack(fake)
    clients = [stack.client() for _ in range(50)]
    for c in clients:
        c.roundtrip()

    def switches():
        return [p._status("voluntary_ctxt_switches") for p in (stack.host, stack.guest)]
    time.sleep(0.5)
    before = switches()
    time.sleep(4)
    used = [a - b for a, b in zip(switches(), before)]
    t.ok(all(u <= 40 for u in used), f"wake-ups in four seconds: {used}")


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

@test(direct=False)
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
    time.sleep(0.3)
    stack.start_guest()
    stack.wait_link()
    stack.settle()


@test(direct=False, timeout=120)
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


@test(direct=False, timeout=120)
def short_silence_is_survived(t):
    """Each side stops for three seconds: the session goes on, nothing is lost."""
    fake = t.fake()
    stack = t.stack(fake)
    client = stack.client()
    surface = client.create(client.bind("wl_compositor", 4), "create_surface")
    client.roundtrip()
    peer = fake.newest()
    sent = 0
    for proc in (stack.host, stack.guest):
        proc.signal(signal.SIGSTOP)
        for _ in range(20):
            client.send(surface, "damage", 1, 1, 1, 1)
            sent += 1
        time.sleep(3)
        proc.signal(signal.SIGCONT)
        client.roundtrip()
    t.eq(len(peer.find("wl_surface", "damage")), sent, "requests")


@test(direct=False, timeout=120)
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


@test(direct=False)
def second_guest_daemon_takes_over(t):
    """A new control connection of the same VM ends the old one's sessions at once."""
    fake = t.fake()
    stack = t.stack(fake)
    client = stack.client()
    client.roundtrip()
    second = t.stack(fake, start=False, tag="b")
    second.guest_address = stack.guest_address
    second.host = stack.host
    second.start_guest()
    second.wait_link()
    gets_disconnected(client)
    t.ok(second.usable(), "the second daemon serves")


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


# -- running a command

@test(direct=False)
def command_and_its_exit_status(t):
    """wayvsock-guest -- CMD: the command's status is ours, a signal is 128 + its number, WAYLAND_DISPLAY is set."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    stack.start_host()

    def run(*command):
        return subprocess.run(stack.guest_argv(command), capture_output=True, text=True, timeout=60, env=t.env(),
                              stdin=subprocess.DEVNULL)
    for status in (0, 1, 7, 255):
        t.eq(run("sh", "-c", f"exit {status}").returncode, status, f"exit {status}")
    t.eq(run("sh", "-c", "kill -TERM $$").returncode, 128 + 15, "killed by SIGTERM")
    r = run("sh", "-c", "echo \"$WAYLAND_DISPLAY|$WAYLAND_SOCKET|$NOTIFY_SOCKET|$LISTEN_FDS\"; ls /proc/self/fd | wc -l")
    lines = r.stdout.splitlines()
    t.ok(lines[0].split("|")[0].endswith(stack.display) or stack.display.endswith(lines[0].split("|")[0]),
         f"WAYLAND_DISPLAY: {lines[0]}")
    t.eq(lines[0].split("|")[1:], ["", "", ""], "what is not passed on")
    t.ok(int(lines[1]) <= 4, f"descriptors of the command: {lines[1]}")
    r = run("/does/not/exist")
    t.ok(r.returncode in (126, 127), f"a command that is not there: {r.returncode}")
    t.has("/does/not/exist", r.stderr, "what it says")
    r = run("sh", "-c", "cat; echo done")
    t.eq((r.returncode, r.stdout), (0, "done\n"), "standard input and output are the command's")


@test(direct=False)
def command_that_is_a_client(t):
    t.need("wayland-info")
    fake = t.fake()
    stack = t.stack(fake, start=False)
    stack.start_host()
    r = subprocess.run(stack.guest_argv(["wayland-info"]), capture_output=True, text=True, timeout=60, env=t.env())
    t.eq(r.returncode, 0, f"status: {r.stderr}")
    t.has("wl_compositor", r.stdout, "its output")
    t.ok(not os.path.exists(stack.display), "the display goes with the command")


@test(direct=False)
def signals_reach_the_command(t):
    """SIGTERM to the daemon ends the command, too."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    stack.start_host()
    pidfile = t.path("pid")
    guest = stack.start_guest(command=["sh", "-c", f"echo $$ > {pidfile}; exec sleep 1000"])
    guest.any_status = True
    t.wait(lambda: os.path.exists(pidfile) and open(pidfile).read().strip(), "the command runs")
    pid = int(open(pidfile).read())
    guest.signal(signal.SIGTERM)
    guest.wait()

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True
    t.wait(gone, "the command has ended")


# -- systemd's protocols

def activated(t, name, argv, sock, env):
    """Starts a daemon as systemd does with an activated socket: descriptor 3, LISTEN_FDS and LISTEN_PID."""
    notify = Notify(t.path(f"notify-{name}"))
    env = t.env(NOTIFY_SOCKET=notify.path, LISTEN_FDS=1, LISTEN_FDNAMES="x", **env)
    script = f'LISTEN_PID=$$; export LISTEN_PID; exec "$@" 3<&{sock.fileno()}'
    proc = t.spawn(["sh", "-c", script, "sh", *argv], env, name=name, pass_fds=[sock.fileno()])
    proc.is_daemon = True
    proc.notify = notify
    return proc


def listening(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(64)
    return s


@test(direct=False)
def socket_activation(t):
    """Both daemons with sockets that systemd made: clients that connected before the start are served."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    link, display = listening(stack.link_path), listening(stack.display)
    early = Client(stack.display)
    t.closers.append(early.close)
    early.send(1, "sync", early.new_id("wl_callback"))
    stack.host = activated(t, "wayvsock-host", [HOST, "--vm", "test", "--compositor", fake.socket, "--log-level", "debug"],
                           link, {})
    stack.wait_ready(stack.host)
    stack.guest = activated(t, "wayvsock-guest",
                            [GUEST, "--connect", stack.guest_address, "--log-level", "debug"], display, {})
    stack.wait_ready(stack.guest)
    early.wait_for(lambda: early.done, "the client that came first is answered")
    stack.wait_link()
    early.close()
    t.eq(stack.guest.stop(), 0, "status")
    t.eq(stack.host.stop(), 0, "status")
    t.ok(os.path.exists(stack.display) and os.path.exists(stack.link_path), "systemd's sockets stay")


@test(direct=False)
def wayland_display_of_the_host(t):
    """Without --compositor the environment tells: WAYLAND_DISPLAY as a name or a path."""
    fake = t.fake()
    for n, value in enumerate(({"WAYLAND_DISPLAY": fake.socket},
                               {"WAYLAND_DISPLAY": "w", "XDG_RUNTIME_DIR": os.path.dirname(fake.socket)})):
        stack = t.stack(fake, start=False, tag=str(n), host_env=value)
        argv = stack.host_argv()
        at = argv.index("--compositor")
        del argv[at:at + 2]
        stack.host_argv = lambda: argv
        stack.start_host()
        stack.start_guest()
        stack.wait_link()


@test(direct=False)
def wayland_socket_of_the_host(t):
    """WAYLAND_SOCKET is one connection that is there already: one client may have it."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    s = socket.socket(socket.AF_UNIX)
    s.connect(fake.socket)
    argv = stack.host_argv()
    at = argv.index("--compositor")
    del argv[at:at + 2]
    notify = Notify(t.path("notify"))
    stack.host = t.spawn(argv, t.env(WAYLAND_SOCKET=s.fileno(), NOTIFY_SOCKET=notify.path), name="wayvsock-host",
                         pass_fds=[s.fileno()])
    s.close()
    stack.host.is_daemon = True
    stack.host.notify = notify
    stack.wait_ready(stack.host)
    stack.start_guest()
    c = Client(stack.display)
    t.closers.append(c.close)
    t.wait(lambda: stack.host.alive, "the host runs")
    try:
        c.roundtrip()
    except (EOFError, OSError):
        c = stack.client()
        c.roundtrip()
    c.bind("wl_compositor", 4)
    c.roundtrip()
    t.eq(len(fake.peers), 1, "connections that the compositor saw")


@test(direct=False)
def notifies_systemd(t):
    """READY=1 when the sockets exist, STOPPING=1 at the end."""
    fake = t.fake()
    stack = t.stack(fake)
    for proc in (stack.guest, stack.host):
        t.ok("READY=1" in proc.notify.poll(), f"{proc.name}: READY=1")
        t.eq(proc.stop(), 0, "exit status")
        t.ok("STOPPING=1" in proc.notify.poll(), f"{proc.name}: STOPPING=1")


@test(direct=False)
def log_prefixes_under_systemd(t):
    """With JOURNAL_STREAM set to stderr, lines begin with their level as sd-daemon(3) has it."""
    fake = t.fake()
    stack = t.stack(fake)
    r, w = os.pipe()
    st = os.fstat(w)
    argv = [GUEST, "--connect", f"unix:{t.path('nobody')}", "--display", t.path("d2"), "--log-level", "debug"]
    proc = subprocess.Popen(argv, env=t.env(JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}"), stderr=w,
                            stdout=subprocess.DEVNULL)
    os.close(w)
    time.sleep(1)
    proc.terminate()
    t.eq(proc.wait(20), 0, "exit status")
    lines = os.read(r, 65536).decode().splitlines()
    t.ok(lines and all(re.match(r"<[0-7]>", line) for line in lines), f"lines: {lines[:5]}")
    t.ok(not any(line.startswith("<") for line in stack.guest.log().splitlines()), "none otherwise")


if __name__ == "__main__":
    main()
