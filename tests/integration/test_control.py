#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The command for people, and the control sockets that it asks."""

import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import termios
import threading

from harness import Failure, main, test
from harness.client import Client, ProtocolError
from harness.daemons import Raw, another, leave
from harness.link import frame
from harness.schema import Schema
from harness.services import Services

SCHEMA = Schema()


def command(t, *words, status=0, env=None):
    """What the command prints: on stderr, if it is to fail."""
    r = subprocess.run([os.environ["WAYVSOCK"], *words], env=t.env(**(env or {})), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    if r.returncode != status:
        raise Failure(f"wayvsock {' '.join(words)}: status {r.returncode}, {r.stderr.strip()!r}")
    return r.stderr if status else r.stdout


def status(t, *words):
    """As the schema has it, each time."""
    said = json.loads(command(t, "status", "--json", *words))
    SCHEMA.check(said)
    return said


def vm(t, name="test"):
    return next(vm for vm in status(t)["vms"] if vm["name"] == name)


def path(t, name="host.sock"):
    return t.path("run", "wayvsock", name)


def ask(t, request, name="host.sock"):
    """What a daemon answers, line by line."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path(t, name))
        s.sendall(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
        answer = b""
        while part := s.recv(65536):
            answer += part
    return [json.loads(line) for line in answer.splitlines()]


def toplevel(client, title=None, app_id=None):
    """A window of that name; its objects."""
    base = client.bind("xdg_wm_base", 1)
    surface = client.create(client.bind("wl_compositor", 4), "create_surface")
    xdg = client.create(base, "get_xdg_surface", surface)
    window = client.create(xdg, "get_toplevel")
    if title is not None:
        client.send(window, "set_title", title)
    if app_id is not None:
        client.send(window, "set_app_id", app_id)
    client.roundtrip()
    return window, xdg, surface


@test(direct=False)
def who_is_there(t):
    s = t.stack(t.fake())
    one = vm(t)
    t.eq((one["state"], one["clients"], one["services"]), ("running", [], []), "before anybody came")
    t.eq([d["display"] for d in one["daemons"]], [s.display], "its daemons' displays")
    client = s.client()
    window, xdg, surface = toplevel(client, "a \x1b[31mred\u202e title", "org.example.App")
    seen, = vm(t)["clients"]
    t.ok(seen["name"].startswith("python3"), f"its name: {seen['name']}")
    t.eq(seen["windows"], [{"title": "a  [31mred title", "app_id": "org.example.App"}], "its windows")
    t.ok(seen["memory"] > 0 and seen["fds"] >= 2 and seen["bytes"]["wayland"] > 0, f"what it takes: {seen}")
    t.eq(seen["pixels"], "link", "the way of its pixels")
    for object_ in (window, xdg, surface):
        client.send(object_, "destroy")
    client.roundtrip()
    t.eq(vm(t)["clients"][0]["windows"], [], "when the window is gone")
    text = command(t, "status")
    t.ok(re.search(rf"^test: running, \S+, 1 application,", text, re.M), text)
    t.ok(re.search(rf"^ +{seen['id']}  python3", text, re.M), text)
    client.close()
    t.wait(lambda: not vm(t)["clients"], "the application is gone from the list")
    s.stop_guest()
    t.wait(lambda: vm(t)["state"] == "absent", "the VM is gone")
    t.has("test: absent", command(t, "status"), "for people")


@test(direct=False)
def several_daemons(t):
    """Each says which display is its own, if it does; what a hostile one says is cut and cleaned, or ends it."""
    s = t.stack(t.fake())
    second, quiet = another(t, s, "2"), Raw(s, b"q" * 16).welcomed()
    def displays():
        return [d["display"] for d in vm(t)["daemons"]]
    t.eq(displays(), [s.display, second.display, None], "of three daemons")
    text = command(t, "status")
    t.ok(re.search(rf"^test: running, \S+ {s.display}, \S+ {second.display}, test, 0 applications", text, re.M), text)
    long = "/" + "x" * 107
    quiet.link.send(frame("DISPLAY", struct.pack("<HH", len(long), 0) + long.encode()))
    t.wait(lambda: displays()[2] == long, "the longest path")
    for bad in (b"/\x1b[2J", b"/" * 109, b"\xff", b""):
        lying = Raw(s, b"l" * 16).welcomed()
        lying.link.send(frame("DISPLAY", struct.pack("<HH", len(bad), 0) + bad))
        lying.link.wait_end()
    t.wait(lambda: displays() == [s.display, second.display, long], "the others stay")
    quiet.link.socket.close()
    leave(second)


@test(direct=False)
def what_services_carry(t):
    """Connections and bytes of each service, on both sides, with what is in descriptors; those that are over are counted in."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(t.path("service"))
    server.listen()
    section = f"path = {t.path('service')}"
    services = Services(t, {"used": section, "idle": section})
    def seen():
        said = status(t)
        return [[(e["name"], e["connections"], e["bytes"]["to_host"], e["bytes"]["to_guest"]) for e in side["services"]]
                for side in (said["vms"][0], said["guest"][0])]
    def counted(connections, to_host, to_guest):
        side = [("used", connections, to_host, to_guest), ("idle", 0, 0, 0)]
        t.wait(lambda: seen() == [side, side], f"both sides count {side}")
    counted(0, 0, 0)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(services.socket("used"))
        served = server.accept()[0]
        client.sendall(b"x" * 1000)
        served.sendall(b"y" * 3000)
        counted(1, 1000, 3000)
        reading, writing = os.pipe()
        socket.send_fds(client, [b"z"], [reading])
        os.write(writing, b"p" * 5000)
        counted(1, 6001, 3000)
        os.close(reading)
        os.close(writing)
        served.close()
    counted(0, 6001, 3000)
    text = command(t, "status")
    t.eq(len(re.findall(r"^  SERVICE +OPEN +TO HOST +TO GUEST\n  used +0 +5\.9 KiB +2\.9 KiB\n  idle +0 +0 +0$", text, re.M)), 2, text)
    looking = subprocess.Popen([os.environ["WAYVSOCK"], "top", "--json"], env=t.env(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    t.closers.append(looking.kill)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(services.socket("used"))
        served = server.accept()[0]
        rates = [0, 0, 0, 0]
        while rates[0] == 0 or rates[2] == 0:       # of both sides, between two looks
            client.sendall(b"x" * 1000)
            served.recv(1000)
            if select.select([looking.stdout], [], [], 0.05)[0]:
                said = json.loads(looking.stdout.readline())
                SCHEMA.check(said)
                rates = [e["rate"] for side in (said["vms"][0], said["guest"][0]) for e in side["services"]]
        t.eq((rates[1], rates[3]), (0, 0), "of one that is idle")
        served.close()
    server.close()


def ended(client):
    """What the application hears."""
    try:
        for _ in range(3):
            client.roundtrip()
    except ProtocolError as e:
        client.close()
        return str(e)
    except (EOFError, OSError) as e:
        raise Failure(f"the application was told nothing: {e!r}") from e
    raise Failure("the application was not disconnected")


@test(direct=False)
def ending(t):
    s = t.stack(t.fake())
    one, two, three = s.client(), s.client(), s.client()
    ids = sorted(c["id"] for c in vm(t)["clients"])
    t.eq(len(ids), 3, "applications")
    t.has("1 application ended", command(t, "end", f"test/{ids[1]}"), "what people read")
    t.has("ended on the host", ended(two), "what the application hears")
    one.roundtrip()
    three.roundtrip()
    t.wait(lambda: len(vm(t)["clients"]) == 2, "the host knows that it has gone")
    t.has("no application has that number", command(t, "end", f"test/{ids[1]}", status=1), "one that is gone")
    t.has("no VM has that name", command(t, "end", "other", status=1), "another VM")
    said = json.loads(command(t, "end", "test", "--json"))
    SCHEMA.check(said, "ended")
    t.eq(said, {"ended": 2}, "all of them")
    ended(one)
    ended(three)
    t.ok(s.usable(), "they may come back")


@test(direct=False)
def what_was_refused(t):
    s = t.stack(t.fake(), config="[vm test]\nlisten = @ADDRESS@\nmax-clients = 1\n")
    client = s.client()
    t.eq(vm(t)["refused"], [], "nothing yet")
    for _ in range(3):
        with Client(s.display) as other:
            ended(other)
    client.send(4000, "set_title", "\x1b[31m", interface="xdg_toplevel")
    ended(client)
    t.wait(lambda: len(vm(t)["refused"]) > 1, "both refusals")
    first, second = vm(t)["refused"]
    t.eq((first["rule"], first["times"]), ("max-clients", 3), "the limit")
    t.has("1 clients are connected already", first["text"], "its text")
    t.eq((second["rule"], second["times"]), ("wayland", 1), "the bad message")
    t.ok(re.match(r"client \d+ ", second["who"]), f"whose it was: {second}")
    text = command(t, "status")
    t.ok(re.search(r"^    [0-9:]{8}  max-clients 3 times: client limit: 1 clients", text, re.M), text)
    s.host.vm("test").signal(signal.SIGKILL)
    t.wait(lambda: vm(t)["state"] == "running" and vm(t)["daemons"], "the VM's daemon is there again")
    t.eq([e["rule"] for e in vm(t)["refused"]][:2], ["max-clients", "wayland"], "the next process of the VM knows it, too")


@test(direct=False)
def what_was_refused_at_the_gate(t):
    s = t.stack(t.fake(), token="a token that is wrong, but long enough", host_token="a token that is right, and long enough",
                start=False)
    s.start_host()
    s.start_guest()
    t.wait(lambda: vm(t)["refused"], "the refusal")
    t.eq([(e["rule"], e["text"]) for e in vm(t)["refused"]], [("refused", "wrong token")], "what it is")
    t.eq(vm(t)["state"], "absent", "the VM")
    t.has("wrong token", command(t, "status"), "for people")


@test(direct=False)
def in_the_guest(t):
    """Each daemon of a user tells of its own."""
    s = t.stack(t.fake())
    client = s.client()
    toplevel(client, "a title", "app")
    guest, = status(t)["guest"]
    t.eq((guest["display"], guest["state"], guest["vm"]), (s.display, "connected", "test"), "the daemon")
    one, = guest["clients"]
    t.eq(one["windows"], [{"title": "a title", "app_id": "app"}], "its windows")
    t.eq((one["waiting"], one["pixels"]), (False, "link"), "its state")
    t.ok(one["name"].startswith("python3") and one["memory"] > 0 and one["bytes"]["wayland"] > 0, f"it: {one}")
    text = command(t, "status", "--display", os.path.basename(s.display))
    t.has(f"{s.display}: connected to {s.guest_address}, which calls this VM test", text, "for people")
    t.ok(re.search(rf"^ +{one['id']}  python3.*  a title$", text, re.M), text)
    second = t.stack(s.compositor, start=False, tag="2")
    second.guest_address = f"unix:{t.path('nobody')}"
    second.start_guest()
    waiting = Client(second.display)
    waiting.create(1, "sync")
    def both():
        return sorted((g["display"], g["state"], [c["waiting"] for c in g["clients"]]) for g in status(t)["guest"])
    t.wait(lambda: both() == sorted([(s.display, "connected", [False]), (second.display, "waiting", [True])]), "both daemons")
    t.eq([g["display"] for g in status(t, "--display", second.display)["guest"]], [second.display], "one of them")
    t.has("no daemon answers", command(t, "status", "--display", "wayland-77", status=1), "one that is not there")
    for request in ({"command": "status", "vm": "test"}, {"command": "end", "vm": "test"}):
        t.eq([list(a) for a in ask(t, request, "guest.sock")], [["error"]], "what it has nothing of")
    waiting.close()
    second.guest.expected_exit = True
    second.guest.signal(signal.SIGKILL)
    t.wait(lambda: not second.guest.alive, "it is gone")
    def sockets():
        return [n for n in os.listdir(os.path.dirname(path(t))) if n.startswith("guest") and n.endswith(".sock")]
    t.eq(len(sockets()), 2, "sockets")
    third = t.stack(s.compositor, start=False, tag="3")
    third.guest_address = s.guest_address
    third.start_guest()
    t.eq(len(sockets()), 2, "sockets when what was left behind is removed")
    third.stop_guest()
    s.stop_guest()
    t.eq(sockets(), [], "those that go with their daemons")


@test(direct=False)
def top(t):
    """In a terminal: it shows what is there, goes on when the daemon is another one, and leaves the terminal as it was."""
    s = t.stack(t.fake())
    client = s.client()
    toplevel(client, "a title")
    for leave in (b"q", b"\x03", signal.SIGTERM):
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        looking = subprocess.Popen([os.environ["WAYVSOCK"], "top"], env=t.env(TERM="xterm"), stdin=slave, stdout=slave)
        t.closers.append(looking.kill)
        seen = b""
        def shows(*parts):
            nonlocal seen
            while select.select([master], [], [], 0.05)[0]:
                seen += os.read(master, 65536)
            return all(part in seen for part in parts)
        t.wait(lambda: shows(b"\x1b[?1049h", b"a title"), "the application")
        if leave == b"q":
            seen = b""
            t.wait(lambda: shows(b"a title"), "it again")
            s.stop_host()
            t.wait(lambda: shows(b"waits for"), "that the host is gone")
            s.start_host()
            s.wait_link()
            client = s.client()
            toplevel(client, "a title")
            seen = b""
            t.wait(lambda: shows(b"test: running", b"a title"), "the host's view again")
        looking.send_signal(leave) if isinstance(leave, int) else os.write(master, leave)
        t.eq(looking.wait(20), 0, "its status")
        t.wait(lambda: shows(b"\x1b[?1049l"), "the screen from before")
        t.eq(termios.tcgetattr(slave), before, "the terminal's settings")
        lines = max(seen.split(b"\x1b[H"), key=len)
        t.ok(lines.count(b"\n") < 24, f"it fits: {lines}")
        os.close(master)
        os.close(slave)
    t.has("top is for a terminal", command(t, "top", status=1), "elsewhere")


class Trace:
    """Somebody who looks on."""

    def __init__(self, t, client=None, **more):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path(t))
        request = {"command": "trace", "vm": "test", **({"client": client} if client else {}), **more}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        self.bytes = b""
        ask(t, {"command": "status", "vm": "test"})     # which comes to the VM's process behind it

    def lines(self):
        """Those that have come."""
        while select.select([self.socket], [], [], 0)[0] and (part := self.socket.recv(1 << 20)):
            self.bytes += part
        *lines, self.bytes = self.bytes.split(b"\n")
        return [self.line(line) for line in lines]

    def line(self, text):
        line = json.loads(text)
        SCHEMA.check(line, "lost" if "lost" in line else "trace")
        return line

    def until(self, *last):
        """The lines up to the message of that interface and name, or to the end."""
        lines = []
        while not lines or (lines[-1].get("interface"), lines[-1].get("message")) != last:
            while b"\n" not in self.bytes:
                part = self.socket.recv(65536)
                if not part:
                    return lines
                self.bytes += part
            line, self.bytes = self.bytes.split(b"\n", 1)
            lines.append(self.line(line))
        return lines

    def close(self):
        self.socket.close()


@test(direct=False)
def tracing(t):
    s = t.stack(t.fake())
    one, two = s.client(), s.client()
    ids = {c["name"]: c["id"] for c in vm(t)["clients"]}
    numbers = sorted(c["id"] for c in vm(t)["clients"])
    all_, second, contents = Trace(t), Trace(t, numbers[1]), Trace(t, numbers[0], contents=True)
    toplevel(one, "secret", "app")
    two.create(two.bind("wl_compositor", 4), "create_surface")
    two.roundtrip()
    lines = all_.until("wl_compositor", "create_surface")
    while lines[-1]["client"] != numbers[1]:
        lines += all_.until("wl_compositor", "create_surface")
    seen = [(m["direction"], m["interface"], m["message"]) for m in lines if m["client"] == numbers[0]]
    for expected in (("request", "wl_registry", "bind"), ("request", "xdg_wm_base", "get_xdg_surface"),
                     ("request", "xdg_toplevel", "set_title"), ("event", "wl_callback", "done"),
                     ("event", "wl_display", "delete_id")):
        t.ok(expected in seen, f"{expected} is among {seen}")
    t.lacks("secret", json.dumps(lines), "without contents")
    t.ok(not any("args" in m for m in lines), "no arguments")
    title = contents.until("xdg_toplevel", "set_title")
    t.eq(title[-1]["args"], ["secret"], "with contents")
    t.eq({m["client"] for m in title}, {numbers[0]}, "one application's alone")
    bind = next(m for m in title if m["message"] == "bind")
    t.eq(bind["args"][1]["interface"], "xdg_wm_base", f"what was bound: {bind}")
    t.eq({m["client"] for m in second.until("wl_compositor", "create_surface")}, {numbers[1]}, "the other's alone")
    third = s.client()
    third.roundtrip()
    new = all_.until("wl_callback", "done")
    while max(m["client"] for m in new) <= numbers[1]:
        new += all_.until("wl_callback", "done")
    two.close()
    t.eq([m for m in second.until("nobody", "says this") if m["client"] != numbers[1]], [], "until it has left")
    for trace in (all_, second, contents):
        trace.close()
    third.roundtrip()
    t.has("no application has that number", command(t, "trace", f"test/{numbers[1]}", status=1), "one that is gone")


@test(direct=False)
def tracing_for_people(t):
    s = t.stack(t.fake())
    client = s.client()
    number = vm(t)["clients"][0]["id"]
    looking = subprocess.Popen([os.environ["WAYVSOCK"], "trace", f"test/{number}", "--contents"], env=t.env(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    t.closers.append(looking.kill)
    def seen():
        client.roundtrip()
        return select.select([looking.stdout], [], [], 0.1)[0]
    t.wait(seen, "the first line")
    toplevel(client, "a \x1b[31mtitle")
    client.close()
    text = looking.communicate(timeout=20)[0]
    t.eq(looking.returncode, 0, "its status when the application has left")
    t.ok(re.search(rf'^[0-9:.]+  {number} python3\S* -> xdg_toplevel#\d+\.set_title\("a  \[31mtitle"\)$', text, re.M), text)
    t.ok(re.search(rf"^[0-9:.]+  {number} python3\S* <- wl_callback#\d+\.done\(\d+\)$", text, re.M), text)


@test(direct=False)
def a_reader_that_is_slow(t):
    """Messages are left out, and counted; the application goes on."""
    s = t.stack(t.fake())
    client = s.client()
    slow = Trace(t)
    syncs = 0
    for _ in range(200):
        for _ in range(49):
            client.create(1, "sync")
        client.roundtrip()
        syncs += 50
    told = lost = 0
    while told + lost < 3 * syncs:       # each is a request and two events
        if not select.select([slow.socket], [], [], 0.1)[0]:
            client.roundtrip()           # how many were left out, the next line tells
            syncs += 1
        for line in slow.lines():
            told += "message" in line
            lost += line.get("lost", 0)
    t.eq(told + lost, 3 * syncs, "messages that were told or counted")
    t.ok(lost > 0 and told > 2000, f"{told} told, {lost} lost")


class Neighbours:
    """Two VMs of one host, with a daemon each."""

    def __init__(self, t):
        fake, two = t.fake(), f"unix:{t.path('two')}"
        self.one = t.stack(fake, start=False, config=f"[vm one]\nlisten = @ADDRESS@\n[vm two]\nlisten = {two}\n")
        self.two = t.stack(fake, start=False, tag="2")
        self.two.guest_address = two
        self.host = self.two.host = self.one.start_host()
        for stack in (self.one, self.two):
            stack.start_guest()
            stack.wait_link()


@test(direct=False)
def a_vm_that_hangs(t):
    """It is busy, and nobody else has to wait for it."""
    vms = Neighbours(t)
    one, two = vms.one.client(), vms.two.client()
    toplevel(two, "of two")
    process = vms.host.vm("one")
    process.signal(signal.SIGSTOP)
    try:
        t.eq(vm(t, "one"), {"name": "one", "state": "busy", "refused": []}, "the one that hangs")
        t.eq([w["title"] for c in vm(t, "two")["clients"] for w in c["windows"]], ["of two"], "the other")
        text = command(t, "status")
        t.ok(re.search(r"^one: busy$", text, re.M) and re.search(r"^two: running, ", text, re.M), text)
        many = []
        for _ in range(40):         # who asks about it waits, but for those who are too many
            asking = socket.socket(socket.AF_UNIX)
            asking.connect(path(t))
            asking.sendall(b'{"command":"status","vm":"one"}\n')
            many.append(asking)
        t.wait(lambda: len(select.select(many, [], [], 0)[0]) >= 24, "all but sixteen are told at once")
        told = select.select(many, [], [], 0)[0]
        t.eq({s.recv(4096) for s in told}, {b'{"error":"the VM is busy"}\n'}, "what they are told")
        t.eq(vm(t, "two")["state"], "running", "the other")
    finally:
        process.signal(signal.SIGCONT)
    heard = []
    for asking in many:
        if asking not in told:
            asking.settimeout(20)
            heard.append(json.loads(asking.makefile().readline()))
        asking.close()
    # Three places may still be of those above who did not wait.
    t.ok(len([a for a in heard if a.get("name") == "one"]) >= 13, f"those hear of it who waited: {heard}")
    t.eq([a for a in heard if "name" not in a and a != {"error": "the VM is busy"}], [], "nothing else is heard")
    t.wait(lambda: vm(t, "one")["state"] == "running", "it goes on")
    one.roundtrip()


@test(direct=False)
def daemons_that_hang(t):
    """In a guest: each is named as busy, and the others tell of themselves."""
    s = t.stack(t.fake())
    hanging = [another(t, s, tag) for tag in "234"]
    for one in hanging:
        one.guest.signal(signal.SIGSTOP)
    try:
        guests = status(t)["guest"]
        t.eq([g["display"] for g in guests if g["state"] == "connected"], [s.display], "the one that answers")
        busy = sorted(g["socket"] for g in guests if g["state"] == "busy")
        t.eq(busy, sorted(path(t, f"guest-{one.guest.pid}.sock") for one in hanging), "those that hang")
        text = command(t, "status")
        t.eq(sorted(re.findall(r"^(\S+): busy$", text, re.M)), busy, "for people")
        t.eq([g["display"] for g in status(t, "--display", s.display)["guest"]], [s.display], "one of them by its display")
        t.eq(len(status(t, "--display", hanging[0].display)["guest"]), 3, "a display that may be of any that hangs")
    finally:
        for one in hanging:
            one.guest.signal(signal.SIGCONT)
    t.wait(lambda: {g["state"] for g in status(t)["guest"]} == {"connected"}, "all go on")
    for one in hanging:
        leave(one)


@test(direct=False)
def all_daemons_are_asked_at_a_time(t):
    """Each of three answers only when all have been asked; who asks one after the other would have none's answer."""
    os.makedirs(os.path.dirname(path(t)), mode=0o700)
    asked = threading.Barrier(3)
    def serve(server):
        with server.accept()[0] as connection:
            connection.makefile().readline()
            asked.wait(30)
            connection.sendall(b'{"clients":[],"display":"/run/%d","state":"waiting"}\n' % server.fileno())
    for i in range(3):
        server = socket.socket(socket.AF_UNIX)
        server.bind(path(t, f"guest-{i + 1}.sock"))
        server.listen()
        t.closers.append(server.close)
        threading.Thread(target=serve, args=(server,), daemon=True).start()
    guests = json.loads(command(t, "status", "--json"))["guest"]
    t.eq([g["state"] for g in guests], ["waiting"] * 3, "what all of them answer")


@test(direct=False)
def a_daemon_whose_queue_is_full(t):
    """Nobody more can connect to it: it is busy, and the others are asked meanwhile."""
    s = t.stack(t.fake())
    full = another(t, s, "2")
    full.guest.signal(signal.SIGSTOP)
    waiting = []
    try:
        while True:
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            waiting.append(one)
            try:
                one.connect(path(t, f"guest-{full.guest.pid}.sock"))
            except BlockingIOError:
                break
        t.eq(sorted(g["state"] for g in status(t)["guest"]), ["busy", "connected"], "both")
    finally:
        full.guest.signal(signal.SIGCONT)
        for one in waiting:
            one.close()
    t.wait(lambda: {g["state"] for g in status(t)["guest"]} == {"connected"}, "it goes on")
    leave(full)


@test(direct=False)
def a_vm_that_floods(t):
    """It is asked in between, and so is the other."""
    vms = Neighbours(t)
    going, passed = True, 0
    def flood():
        nonlocal passed
        client = vms.one.client()
        while going:
            for _ in range(500):
                client.create(1, "sync")
            client.roundtrip()
            passed += 500
        client.close()
    floods = [threading.Thread(target=flood) for _ in range(4)]
    for thread in floods:
        thread.start()
    two = vms.two.client()
    toplevel(two, "of two")
    for _ in range(5):
        before = passed
        t.eq(vm(t, "one")["state"], "running", "the VM that floods")
        t.eq([w["title"] for c in vm(t, "two")["clients"] for w in c["windows"]], ["of two"], "the other")
        t.wait(lambda: passed > before, "it goes on")
    going = False
    for thread in floods:
        thread.join()


@test(direct=False)
def fifty_that_come_and_go(t):
    """At each moment, status and trace say what the applications do."""
    s = t.stack(t.fake())
    random_ = random.Random(50)
    there, told, titles = {}, {}, 0     # client → title; id → titles that were traced
    looking = Trace(t, contents=True)
    def look():
        for line in looking.lines():
            if line.get("message") == "set_title":
                told.setdefault(line["client"], []).append(line["args"][0])
    expected = {}                       # id → titles that were set
    for step in range(120):
        if len(there) < 50 and (step < 60 or random_.random() < 0.5):
            client = s.client()
            title = f"title {titles}"
            client.window = toplevel(client, title, "app")[0]
        else:
            client = random_.choice(list(there))
            if random_.random() < 0.5:
                client.close()
                del there[client]
                continue
            title = f"title {titles}"
            client.send(client.window, "set_title", title)
            client.roundtrip()
        there[client] = title
        titles += 1
        if step % 10 == 9:
            def agrees():
                return sorted(w["title"] for c in vm(t)["clients"] for w in c["windows"]) == sorted(there.values())
            t.wait(agrees, f"status agrees in step {step}")
            for c in vm(t)["clients"]:
                expected[c["id"]] = [w["title"] for w in c["windows"]]
            look()
    t.ok(len(there) > 20, "many are there")
    t.wait(lambda: look() or sum(len(v) for v in told.values()) == titles, "each title was traced")
    every = sorted((title for each in told.values() for title in each), key=lambda title: int(title.split()[1]))
    t.eq(every, [f"title {n}" for n in range(titles)], "each once")
    for number, (title,) in expected.items():
        t.has(title, told[number], f"of application {number}")
    t.eq(json.loads(command(t, "end", "test", "--json"))["ended"], len(there), "those that are ended")


@test(direct=False)
def answers_that_lie(t):
    """A VM's process may have been taken over: what it says is about that VM, whatever it says, and no terminal obeys it."""
    lies = [{"name": "two", "state": "running", "clients": [{"id": "\x1b[2J", "name": 5, "windows": "x"}], "daemons": 7},
            {"clients": [{"windows": [{"title": "\x1b]0;mine\x07", "app_id": []}, 3], "bytes": [], "since": "\x1b[2J"}],
             "refused": [{"rule": "\x1b[2J", "who": "\x9b2J", "text": "\n\n\x1b[2J", "when": "2026-11-30T99:99:99Z"}, 1, "x"]},
            {"refused": "none", "services": [1, {"name": "\x1b[2J"}], "daemons": [{"host_name": "\x1b[2J"}, None]},
            {"state": "\x1b[2J", "memory": -1, "clients": {}}, {"error": ["busy"]}, {"error": "\x1b[2J"}]
    server = socket.socket(socket.AF_UNIX)
    server.bind(t.path("liar"))
    server.listen()
    lie = None
    def serve():
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            with connection:
                request = json.loads(connection.makefile().readline())
                vms = {"version": "1", "when": "2026-11-30T00:00:00.000Z",
                       "vms": [{"name": n, "state": s, "refused": []} for n, s in (("one", "running"), ("two", "absent"))]}
                connection.sendall(json.dumps(lie if "vm" in request else vms).encode() + b"\n")
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    for lie in lies:
        said = json.loads(command(t, "status", "--json", "--socket", t.path("liar")))
        t.eq([one["name"] for one in said["vms"]], ["one", "two"], f"whom {lie} is about")
        text = command(t, "status", "--socket", t.path("liar"))
        t.ok(re.search("^one: ", text, re.M) and re.search("^two: absent$", text, re.M), text)
        t.ok(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), f"what reaches the terminal: {text!r}")
    lie = {"error": "\x1b[2J"}
    for words in (("end", "one"), ("trace", "one")):
        t.lacks("\x1b", command(t, *words, "--socket", t.path("liar"), status=1), f"an error of {words[0]}")
    lie = {"when": "T\x1b[2J", "client": "\x1b[2J", "name": "\x1b[2J", "direction": "\x1b[2J", "interface": "\x1b[2J", "id": [],
           "message": "\x1b[2J", "args": ["\x1b[2J", {"interface": "\x1b[2J"}, [1], 1e300, True]}
    text = command(t, "trace", "one", "--socket", t.path("liar"))
    t.ok(text and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), f"what reaches the terminal: {text!r}")
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(20)


@test(direct=False)
def the_socket(t):
    s = t.stack(t.fake())
    t.eq(stat.S_IMODE(os.stat(path(t)).st_mode), 0o600, "the socket's mode")
    t.eq(stat.S_IMODE(os.stat(os.path.dirname(path(t))).st_mode), 0o700, "the folder's")
    for request in (b"\n", b"{}\n", b"status\n", b"[]\n", b'{"command":"status"\n', b'{"command":"statuses"}\n',
                    b'{"command":"status","vms":1}\n', b'{"command":"status","command":"status"}\n', b"\xff\n",
                    b'{"command":"status","vm":""}\n', b'{"command":"status","vm":"other"}\n',
                    b'{"command":"status","vm":"' + b"x" * 5000 + b'"}\n', b"x" * 5000,
                    b'{"command":"end"}\n', b'{"command":"end","vm":"test","client":-1}\n',
                    b'{"command":"end","vm":"test","client":1.5}\n', b"[" * 4000 + b"\n"):
        answers = ask(t, request)
        t.eq([list(a) for a in answers], [["error"]], f"what {request[:40]} gets")
    with socket.socket(socket.AF_UNIX) as slow:      # a word at a time, beside others
        slow.connect(path(t))
        for byte in b'{"command": "status", "vm": "test"}\n':
            slow.send(bytes([byte]))
            if byte == ord(":"):
                t.eq(vm(t)["state"], "running", "what others hear")
        t.eq(json.loads(slow.recv(65536))["name"], "test", "what it hears")
    t.ok(s.usable(), "applications get through")
    s.stop_host()
    s.stop_guest()
    t.ok(not os.path.exists(path(t)), "the socket goes with its daemon")
    t.has("no daemon answers here", command(t, "status", status=1), "without a daemon")


main()
