#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""D-Bus: programs in the guest on the host's session bus, by GDBus, libdbus and sd-bus, and with xdg-dbus-proxy as the policy; and a
program of the host's on the guest's bus."""

import json
import os
import re
import socket
import subprocess

from harness import Skip, main, test
from harness.proc import listens
from harness.services import Services

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/dbus.md")
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "harness/dbus_peer.py")


def peer(*args, **more):
    return subprocess.run(["/usr/bin/python3", PEER, *args], capture_output=True, text=True, timeout=90, **more)


def need(t):
    t.need("dbus-daemon")
    if subprocess.run(["/usr/bin/python3", "-c", "import gi"], capture_output=True).returncode:
        raise Skip("GLib's bindings for python3 are not installed")


class Bus:
    """A session bus with somebody who can be called on it."""

    def __init__(self, t, name="bus"):
        self.t = t
        self.socket = t.path(name)
        self.address = f"unix:path={self.socket}"
        t.spawn(["dbus-daemon", "--session", "--nofork", f"--address={self.address}"])
        t.wait(lambda: listens(self.socket), "the bus has its socket")
        self.peer = t.spawn(["/usr/bin/python3", "-u", PEER, "serve", self.address], name="peer")
        t.wait(lambda: self.peer.log().count("owns ") == 2, "somebody can be called")


def call(t, address, what, *args):
    """What a caller saw."""
    done = peer(what, address, *args)
    t.eq(done.returncode, 0, f"{what}: {done.stderr}")
    return json.loads(done.stdout)


def rig(t, more="", **options):
    need(t)
    bus = Bus(t)
    services = Services(t, {"bus": f"path = {bus.socket}\nprotocol = dbus\n{more}"}, **options)
    return bus, services, f"unix:path={services.socket('bus')}"


def all_calls(t, address):
    file = t.write("a-file", "of a file")
    t.eq(call(t, address, "echo", "300000"), True, "300,000 bytes and back")
    t.eq(call(t, address, "pipes"), ["read this", "a secret", "given"], "pipes: read, written (as a portal does), given")
    t.eq(call(t, address, "files", file), ["of a file", "in memory"], "a file and a memory")
    t.eq(call(t, address, "sockets"), ["ONE", "TWO"], "a socket that is answered on")
    t.eq(call(t, address, "ticks", "20", "20"), [20, True], "20 signals and then a descriptor, 20 times")


@test(timeout=240, direct=False)
def calls(t):
    """With descriptors, both ways."""
    bus, _, address = rig(t)
    all_calls(t, bus.address)
    all_calls(t, address)


@test(timeout=240, direct=False)
def guests_bus(t):
    """A program of the host's calls one on the guest's bus, who is told no user and looks itself."""
    need(t)
    bus, listen = Bus(t), t.path("host-listens")
    t.stack(t.fake(), guest_args=["--serve", f"bus={bus.socket}"], config=f"""[vm test]
listen = @ADDRESS@
forward = bus

[forward bus]
direction = to-guest
listen = {listen}
protocol = dbus
""")
    t.wait(lambda: listens(listen), "the host listens")
    all_calls(t, f"unix:path={listen}")
    other = str(os.getuid() + 12345).encode().hex().encode()
    t.eq(say(f"unix:path={listen}", b"AUTH EXTERNAL " + other + b"\r\n"), ["OK"], "another user's name is not passed on")


@test(timeout=120, direct=False)
def notification(t):
    t.need("notify-send", "gdbus")
    bus, _, address = rig(t)
    t.eq(t.run(["notify-send", "hello", "from the guest"], t.env(DBUS_SESSION_BUS_ADDRESS=address)).popen.returncode, 0, "notify-send")
    t.wait(lambda: '["notify-send", "hello", "from the guest"]' in bus.peer.log(), "it appears on the host's bus")


@test(timeout=120, direct=False)
def other_libraries(t):
    """libdbus and sd-bus, which says all of its authentication at once."""
    t.need("dbus-send", "busctl")
    _, _, address = rig(t)
    for argv in (["dbus-send", f"--bus={address}", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ListNames"],
                 ["busctl", f"--address={address}", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames"]):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        t.eq(done.returncode, 0, f"{argv[0]}: {done.stderr}")
        t.has("org.example.Peer", done.stdout, argv[0])


def say(address, *lines):
    """What a bus says to these lines, each in turn."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(address.removeprefix("unix:path="))
        s.sendall(b"\0")
        heard = []
        for line in lines:
            s.sendall(line)
            data = b""
            while not data.endswith(b"\r\n"):
                more = s.recv(1000)
                if not more:
                    return [*heard, "ended"]
                data += more
            heard.append(data.split(b" ")[0].strip().decode())
        return heard


@test(timeout=120, direct=False)
def users(t):
    """Whoever the guest's program is, to the bus it is the host's user; no other authentication passes."""
    bus, _, address = rig(t)
    other = str(os.getuid() + 12345).encode().hex().encode()
    t.eq(say(bus.address, b"AUTH EXTERNAL " + other + b"\r\n"), ["REJECTED"], "without us another user is refused")
    t.eq(say(address, b"AUTH EXTERNAL " + other + b"\r\n"), ["OK"], "at once")
    t.eq(say(address, b"AUTH EXTERNAL\r\n", b"DATA " + other + b"\r\n"), ["DATA", "OK"], "in two")
    t.eq(say(address, b"AUTH DBUS_COOKIE_SHA1 30\r\n", b"AUTH EXTERNAL " + other + b"\r\n"), ["REJECTED", "OK"], "after another way")
    t.eq(say(address, b"AUTH ANONYMOUS\r\n"), ["REJECTED"], "anonymous")


@test(timeout=120, direct=False)
def hostile_bytes(t):
    _, services, address = rig(t)
    hello = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n"
    for data, text in ((b"AUTH", "a client that does not begin with a zero"), (b"\0" + b"A" * 80, "a line that is too long"),
                       (b"\0AUTH\0", "a line with bytes that are no text"), (hello + b"x", "what begins as no message does"),
                       (hello + b"l\1\0\1" + b"\xff" * 12, "a message that is longer than D-Bus lets it be"),
                       (hello + b"l\1\0\7" + bytes(12), "a message of a type or version that there is not")):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(services.socket("bus"))
            s.sendall(data)
            while True:
                try:
                    if not s.recv(4096):
                        break
                except ConnectionResetError:
                    break
        t.wait(lambda want=text: want in services.host.log(), f"the log says: {text}")
    t.eq(call(t, address, "echo", "10"), True, "another connection goes on")


@test(timeout=120, direct=False)
def filtered(t):
    """The preset "notify": a program that decides what may be said, xdg-dbus-proxy, for each connection."""
    t.need("xdg-dbus-proxy", "notify-send", "gdbus")
    need(t)
    runtime = t.mkdir("host-runtime")
    bus = Bus(t, os.path.join(runtime, "bus"))
    services = Services(t, {"notify": ""}, host_env={"XDG_RUNTIME_DIR": runtime})
    address = f"unix:path={services.socket('notify')}"
    for i in range(2):
        t.eq(t.run(["notify-send", "hello", f"from the guest {i}"], t.env(DBUS_SESSION_BUS_ADDRESS=address)).popen.returncode, 0, "notify-send")
        t.wait(lambda i=i: f'["notify-send", "hello", "from the guest {i}"]' in bus.peer.log(), "it appears on the host's bus")
    done = peer("echo", address, "10")
    t.ok(done.returncode != 0, "other names cannot be called")
    t.has("ServiceUnknown", done.stderr, "to the guest there is no such name")
    t.wait(lambda: not [name for name in os.listdir(runtime) if name.startswith("wayvsock-exec-")], "the filters have ended")


@test(timeout=120, direct=False)
def notify_send(t):
    """The page's line for one notification and its script for all of them, in a guest that has a session bus of its own."""
    t.need("xdg-dbus-proxy", "notify-send", "gdbus")
    need(t)
    with open(PAGE) as f:
        page = f.read()
    runtime = t.mkdir("host-runtime")
    bus = Bus(t, os.path.join(runtime, "bus"))
    guest = t.mkdir("guest-runtime")
    own = t.spawn(["dbus-daemon", "--session", "--nofork", f"--address=unix:path={guest}/bus"])
    env = {"XDG_RUNTIME_DIR": guest, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={guest}/bus", "PATH": f"{t.mkdir('bin')}:{os.environ['PATH']}"}
    t.stack(t.fake(), config="[vm test]\nlisten = @ADDRESS@\nforward = notify\n", host_env={"XDG_RUNTIME_DIR": runtime},
            guest_args=["--forward", "notify"], guest_env=env)
    t.wait(lambda: listens(f"{guest}/bus") and listens(f"{guest}/wayvsock/notify"), "both buses of the guest")

    def type(line, text):
        t.eq(t.run(["sh", "-c", line], t.env(**env)).popen.returncode, 0, line)
        t.wait(lambda: f'"{text}"' in bus.peer.log(), f"it appears on the host's bus: {text}")
    type(re.search(r"^guest\$ (DBUS_.*)$", page, re.M)[1], "from the VM")
    t.write("bin/notify-send", re.search(r"^```\n(#!/bin/sh\n.*?)^```$", page, re.M | re.S)[1], 0o755)
    type("notify-send hello 'by the script'", "by the script")
    t.ok(own.alive, "the guest's own bus")


@test(timeout=240, direct=False)
def filtered_calls(t):
    """What a filter lets pass, it lets pass with its descriptors: a portal's pipe is written to, and files are given back."""
    t.need("xdg-dbus-proxy")
    need(t)
    bus = Bus(t)
    services = Services(t, {"bus": f"exec = xdg-dbus-proxy {bus.address} %s --filter --call=org.example.Peer=*@/*\nprotocol = dbus"})
    address = f"unix:path={services.socket('bus')}"
    t.eq(call(t, address, "pipes"), ["read this", "a secret", "given"], "pipes: read, written (as a portal does), given")
    t.eq(call(t, address, "files", t.write("a-file", "of a file")), ["of a file", "in memory"], "a file and a memory")
    t.eq(call(t, address, "sockets"), ["ONE", "TWO"], "a socket that is answered on")


if __name__ == "__main__":
    main()
