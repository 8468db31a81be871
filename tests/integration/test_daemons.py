#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Several guest daemons of one VM at a time, of one user or of many: each has windows of its own, and none ends another's.

WAYVSOCK_CHURN says how often daemons come and go in the longest of these tests; 1000 takes a minute or more."""

import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time

from harness import main, test
from harness.client import Client, Pool
from harness.daemons import INSTANCE, Raw, another, leave
from harness.link import Link, pong, welcome
from harness.proc import wait_until

GUEST = os.environ.get("WAYVSOCK_GUEST", "")
CHURN = int(os.environ.get("WAYVSOCK_CHURN", "25"))
SIZE = 64


def start_as(daemon):
    """Where the daemon is another user's, that user may say READY."""
    mask = os.umask(0)
    try:
        daemon.start_guest()
    finally:
        os.umask(mask)
    daemon.wait_link()


class Window:
    """An application that draws, and looks at what it gets, until stop()."""

    def __init__(self, display):
        self.client = Client(display)
        self.surface = self.client.create(self.client.bind("wl_compositor", 4), "create_surface")
        self.pool = Pool(self.client, self.client.bind("wl_shm", 1), SIZE * SIZE * 4)
        self.buffer = self.pool.buffer(0, SIZE, SIZE, SIZE * 4)
        self.frames, self.error, self.going = 0, None, True
        self.thread = threading.Thread(target=self._draw, daemon=True)
        self.thread.start()

    def _draw(self):
        try:
            while self.going:
                self.pool.map[0:4] = self.frames.to_bytes(4, "little")
                self.client.send(self.surface, "attach", self.buffer, 0, 0)
                self.client.send(self.surface, "damage", 0, 0, SIZE, SIZE)
                self.client.send(self.surface, "commit")
                self.client.roundtrip()
                self.frames += 1
                time.sleep(0.01)
        except BaseException as e:      # told by check()
            self.error = e

    def check(self, t, whose):
        before = self.frames
        t.wait(lambda: self.frames > before + 1 or self.error, f"the next frame of {whose}")
        t.ok(self.error is None, f"the window of {whose}: {self.error!r}")

    def stop(self):
        self.going = False
        self.thread.join()
        self.client.close()


def alive(t, link, what):
    """It answers a heartbeat."""
    link.send(struct.pack("<IHHQ", 8, 4, 0, 7))
    t.eq(link.wait("PONG")[:8], struct.pack("<Q", 7), what)


@test(direct=False)
def two_daemons_have_windows_each(t):
    """Whichever goes, however: the other's window does not notice."""
    stack = t.stack(t.fake())
    first = Window(stack.display)
    more = another(t, stack, "b")
    second = Window(more.display)
    first.check(t, "the first daemon")
    second.check(t, "the second")
    t.ok(stack.host.log().count("connected (its host name") == 2, "both are connected")
    for end in (signal.SIGTERM, signal.SIGKILL):
        more.guest.expected_exit = more.guest.any_status = True
        os.kill(more.guest.pid, end)
        more.guest.wait()
        second.thread.join(20)
        t.ok(second.error, "its window goes with it")
        first.check(t, "the first daemon")
        if os.path.exists(more.display):
            os.unlink(more.display)
        more.start_guest()
        more.wait_link()
        second = Window(more.display)
        second.check(t, "the second, again")
    first.check(t, "the first daemon")
    t.lacks("connected anew", stack.host.log(), "the host's log")
    t.lacks("the host is gone", stack.guest.log(), "the first daemon's log")
    first.stop()
    second.stop()
    leave(more)


@test(direct=False)
def the_logs_tell_them_apart(t):
    """Both sides call a daemon the same where there are several."""
    stack = t.stack(t.fake())
    more = another(t, stack, "b")
    names = [log.split("and this daemon ")[1].split()[0] for log in (stack.guest.log(), more.guest.log())]
    t.ok(names[0] != names[1], f"{names} are two")
    with more.client() as client:
        client.roundtrip()
    for name in names:
        t.ok(name in stack.host.log() or name == names[0], f"the host's log names {name}")
    t.has(f'vm test daemon {names[1]} client', stack.host.log(), "a line about the second's client")
    leave(stack)
    t.wait(lambda: f"vm test daemon {names[0]}: gone" in stack.host.log(), "the first is named, too, by then")


@test(direct=False)
def a_command_beside_the_service(t):
    """wayvsock-guest -- COMMAND in a VM that has a daemon: both of the README's ways at a time."""
    stack = t.stack(t.fake())
    window = Window(stack.display)
    probe = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import os; from harness.client import Client; " \
            "c = Client(os.path.join(os.environ.get('XDG_RUNTIME_DIR', ''), os.environ['WAYLAND_DISPLAY'])); c.roundtrip(); print('shown')"
    for _ in range(3):
        r = t.run([GUEST, "--connect", stack.guest_address, "--display", t.path("own"), "--", "python3", "-c", probe])
        t.eq(r.popen.returncode, 0, "the command's status")
        t.has("shown", r.log(), "the command's words")
    window.check(t, "the service")
    window.stop()


@test(direct=False)
def the_same_instance_takes_its_place(t):
    """A link may be lost without the host's knowing: who comes back by its instance ends its own old session, nobody else's."""
    stack = t.stack(t.fake())
    window = Window(stack.display)
    old, other = Raw(stack, b"a" * 16).welcomed(), Raw(stack, b"a" * 15 + b"b").welcomed()
    t.ok(old.features & INSTANCE, "the host knows instances")
    client, others = old.client(stack), other.client(stack)
    new = Raw(stack, b"a" * 16).welcomed()
    old.link.wait_end()
    client.wait_end()
    alive(t, new.link, "the new connection lives")
    alive(t, other.link, "another instance lives")
    t.ok(old.key != new.key, "the session key is another")
    t.eq(old.client(stack).error()[1], "a client's connection without the session's key", "the old key")
    t.eq(stack.host.log().count("gone: its guest daemon connected anew"), 1, "how many were replaced")
    window.check(t, "the real daemon")
    window.stop()
    for link in (others, new.link, other.link):
        link.socket.close()


@test(direct=False)
def daemons_of_former_versions(t):
    """They show no instance: one replaces the other, as ever, and none that has one."""
    stack = t.stack(t.fake())
    window = Window(stack.display)
    old = Raw(stack).welcomed()
    new = Raw(stack).welcomed()
    old.link.wait_end()
    alive(t, new.link, "the new connection lives")
    window.check(t, "the real daemon")
    window.stop()
    new.link.socket.close()


@test(direct=False)
def a_host_of_a_former_version(t):
    """It takes a HELLO with an instance for a malformed one; the daemon comes again without, at once."""
    path = t.path("old-host")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    listener.settimeout(20)
    guest = t.spawn([GUEST, "--connect", f"unix:{path}", "--display", t.path("wl")])
    for turn in range(2):
        link = Link(sock=listener.accept()[0])
        greeting = link.wait("HELLO")
        features = struct.unpack_from("<I", greeting, 8)[0]
        t.eq(bool(features & INSTANCE), turn == 0, f"HELLO {turn} has an instance")
        if turn == 0:
            link.socket.close()
    link.send(welcome(b"k" * 32))
    kind, payload = link.frame()
    t.eq(kind, "PING", "what it is told first: of a DISPLAY it knows nothing")
    link.send(pong(struct.unpack("<Q", payload)[0]))
    t.wait(lambda: "connected to the host" in guest.log(), "the daemon is connected")
    t.lacks("trying again", guest.log(), "the daemon's log")
    link.socket.close()
    listener.close()


def limited(t, **options):
    return t.stack(t.fake(), config="[vm test]\nlisten = @ADDRESS@\nmax-daemons = 2\nsecurity-context = no\n", **options)


@test(direct=False)
def no_more_than_max_daemons(t):
    """One too many is refused in words, and gets a place when another has gone."""
    stack = limited(t)
    window = Window(stack.display)
    second = another(t, stack, "b")
    third = another(t, stack, "c", start=False)
    third.start_guest(wait=False)
    t.wait(lambda: "daemon limit: 2 daemons of this VM are connected already (max-daemons)" in third.guest.log(),
           "the third is told why")
    r = subprocess.run([GUEST, "--connect", stack.guest_address, "--display", t.path("other"), "--check"], env=t.env(),
                       capture_output=True, text=True, check=False)
    t.eq(r.returncode, 0, f"--check:\n{r.stdout}")
    t.has("no place for another daemon", r.stdout, "what --check found")
    t.ok(second.usable(), "the second serves")
    leave(second)
    third.wait_link()
    window.check(t, "the first daemon")
    window.stop()
    leave(third)


@test(direct=False, waits=True, timeout=120)
def the_silent_one_goes_first(t):
    """At the limit, a daemon that is not heard of makes room, and no other."""
    stack = limited(t)
    window = Window(stack.display)
    silent = Raw(stack, b"s" * 16).welcomed()
    t.wait(lambda: "is silent" in stack.host.log(), "it has been silent", timeout=60)
    Raw(stack, b"t" * 16, trial=True).link.wait_end()      # a trial takes nobody's place
    t.lacks("needs its place", stack.host.log(), "the host's log")
    second = another(t, stack, "b")
    silent.link.wait_end()
    t.has("it was silent, and another daemon needs its place (max-daemons)", stack.host.log(), "the host's log")
    t.ok(second.usable(), "the new one serves")
    window.check(t, "the first daemon")
    window.stop()
    leave(second)


@test(direct=False)
def limits_are_the_vms(t):
    """max-clients counts the clients of all daemons."""
    stack = t.stack(t.fake(), config="[vm test]\nlisten = @ADDRESS@\nmax-clients = 4\nsecurity-context = no\n", settle=False)
    more = another(t, stack, "b")
    t.wait(lambda: stack.host.log().count("ended: sent") == stack.host.log().count('": connected'), "earlier clients are gone")
    clients = []
    for daemon in (stack, more, stack, more):
        clients.append(daemon.client())
        clients[-1].roundtrip()
    for display in (stack.display, more.display):
        error = Client(display).expect_error()
        t.has("client limit: 4 clients are connected already (max-clients)", error.text, "the fifth client")
    for client in clients:
        client.roundtrip()


def tokens(n):
    return [f"the token of user {i} of this VM" for i in range(n)]


def many_users(t, n):
    """A host that lets n users in, by a token each, over a socket that tells nothing about who connects."""
    files = "".join(f"token = {t.write(f'user{i}.token', text + chr(10))}\n" for i, text in enumerate(tokens(n)))
    return t.stack(t.fake(), transport="mux", token=tokens(n)[0],
                   config=f"[vm test]\nlisten = @ADDRESS@\nsecurity-context = no\n{files}", settle=False)


@test(direct=False)
def a_token_for_each_user(t):
    """Each has a display of its own; who has none of the tokens stays outside."""
    stack = many_users(t, 3)
    more = [another(t, stack, f"u{i}", token=text) for i, text in enumerate(tokens(3)[1:])]
    windows = [Window(s.display) for s in (stack, *more)]
    stranger = another(t, stack, "x", token="the token of nobody in this VM", start=False)
    stranger.start_guest(wait=False)
    t.wait(lambda: "wrong token" in stranger.guest.log(), "the stranger is refused")
    for i, window in enumerate(windows):
        window.check(t, f"user {i}")
        window.stop()


@test(direct=False, timeout=max(120, CHURN * 4))
def daemons_come_and_go(t):
    """Five daemons of three users come and go, each with a window that draws; nothing of one touches another."""
    r = random.Random(1)
    stack = many_users(t, 3)
    daemons = [another(t, stack, f"d{i}", token=tokens(3)[i % 3], user=1000 + i % 3 if os.getuid() == 0 else None, start=False)
               for i in range(5)]
    if os.getuid() == 0:
        for path in (t.path(), stack.dir):
            os.chmod(path, 0o711)
        os.chmod(f"{stack.dir}/v", 0o666)
    windows, settled = [None] * 5, None
    for i, daemon in enumerate(daemons):
        start_as(daemon)
        windows[i] = Window(daemon.display)
    steady = Window(stack.display)
    for turn in range(CHURN):
        i = r.randrange(5)
        others = [(w.frames, w) for k, w in enumerate(windows) if k != i] + [(steady.frames, steady)]
        guest = daemons[i].guest
        guest.expected_exit = guest.any_status = True
        os.kill(guest.pid, r.choice([signal.SIGTERM, signal.SIGKILL]))
        guest.wait()
        windows[i].thread.join(20)
        windows[i].client.close()
        os.close(windows[i].pool.fd)
        guest.notify.socket.close()
        if os.path.exists(daemons[i].display):
            os.unlink(daemons[i].display)
        start_as(daemons[i])
        windows[i] = Window(daemons[i].display)
        for before, window in others:
            wait_until(lambda w=window, n=before: w.frames > n or w.error, f"turn {turn}: the next frame of another")
            t.ok(window.error is None, f"turn {turn}: the window of another: {window.error!r}")
        if turn == 4:
            settled = len(stack.host.fds())
    for window in (*windows, steady):
        window.check(t, "a daemon at the end")
    t.wait(lambda: settled is None or len(stack.host.fds()) <= settled + 2, "the host's descriptors are as many as at the beginning")
    log = stack.host.log()
    t.lacks("connected anew", log, "the host's log")
    if CHURN <= 25:                         # more lines than that are left out of the log
        t.eq(log.count("connected (its host name"), CHURN + 6, "how often a daemon came")
    for window in (*windows, steady):
        window.stop()


if __name__ == "__main__":
    main()
