#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Services that are a command ("exec ="): the host's daemon starts one for each connection, and ends it."""

import json
import os
import signal
import socket

from harness import main, test
from harness.proc import ended, wait_until
from harness.services import Services

# What a program finds when it starts, as JSON; then it says back what it hears, on descriptor 3.
LOOK = """
import json, os, signal, socket, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
s = socket.socket(fileno=3)
s.sendall(json.dumps({
    "args": sys.argv[1:],
    "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)),
    "ignored": int(status["SigIgn"], 16) & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1), "blocked": int(status["SigBlk"], 16),
    "leader": os.getpgid(0) == os.getpid(), "pid": os.getpid(),
    "vm": os.environ["WAYVSOCK_VM"], "service": os.environ["WAYVSOCK_SERVICE"],
    "more": sorted({"LISTEN_FDS", "NOTIFY_SOCKET", "WAYLAND_SOCKET"} & set(os.environ)),
}).encode() + b"\\n")
while data := s.recv(65536):
    s.sendall(data)
"""

# One that makes its socket, late, and leaves a process of its own in its group.
MAKES = """
import os, socket, subprocess, sys, time
child = subprocess.Popen(["sleep", "1000"])
time.sleep(0.2)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
peer, _ = s.accept()
peer.sendall(f"{sys.argv[1]} {os.getpid()} {child.pid}\\n".encode())
while data := peer.recv(65536):
    peer.sendall(data)
time.sleep(1000)
"""


def connect(services, name):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(services.socket(name))
    return s


def line(s):
    data = b""
    while not data.endswith(b"\n"):
        more = s.recv(65536)
        if not more:
            return data
        data += more
    return data


def rig(t, **commands):
    return Services(t, {name: f"exec = {text}" for name, text in commands.items()})


@test(direct=False)
def has_the_connection(t):
    """As descriptor 3, and nothing of the daemon's; its words are the configuration's, whatever is in them."""
    script = t.write("look.py", LOOK)
    services = rig(t, look=f"/usr/bin/python3 {script} 'two words' \"it's\" %v %% ; $(id) *")
    with connect(services, "look") as s, connect(services, "look") as other:
        found = json.loads(line(s))
        t.eq(found["args"], ["two words", "it's", "test", "%", ";", "$(id)", "*"], "its words")
        t.eq([fd for fd in found["fds"] if fd > 3], [], "other descriptors")
        t.ok(3 in found["fds"], "the connection is descriptor 3")
        t.eq((found["ignored"], found["blocked"]), (0, 0), "signals that are ignored or blocked")
        t.ok(found["leader"], "a process group of its own")
        t.eq((found["vm"], found["service"], found["more"]), ("test", "look", []), "its environment")
        t.ok(json.loads(line(other))["pid"] != found["pid"], "another connection has another program")
        s.sendall(b"x" * 100000 + b"\n")
        t.eq(len(line(s)), 100001, "bytes come back")
        pid = found["pid"]
    wait_until(lambda: ended(pid), "it ends with its connection")


@test(direct=False)
def makes_a_socket(t):
    """Where it is told to (%s), in a private folder; what it left running is ended with it."""
    script = t.write("makes.py", MAKES)
    services = rig(t, makes=f"/usr/bin/python3 {script} %s")
    with connect(services, "makes") as s:
        path, pid, child = line(s).split()
        pid, child = int(pid), int(child)
        folder = os.path.dirname(path)
        t.eq(os.stat(folder).st_mode & 0o777, 0o700, "the folder's mode")
        s.sendall(b"back\n")
        t.eq(line(s), b"back\n", "bytes come back")
        t.ok(not ended(child), "it has a process of its own")
    wait_until(lambda: ended(pid) and ended(child) and not os.path.exists(folder), "it ends, all of it, and its folder is gone")


@test(direct=False)
def cannot_be_reached(t):
    """Each way not to start is a line in the host's log; the guest learns nothing of it."""
    services = rig(t, nothing="/nowhere/program", left="sh -c 'exit 7' %s")
    for name, text in (("nothing", "/nowhere/program is no program that is there"),
                       ("left", "sh ended with status 7 before its socket (%s) was there")):
        with connect(services, name) as s:
            t.eq(s.recv(100), b"", "the connection ends")
        t.wait(lambda text=text, name=name: f"the service {name} cannot be reached: {text}" in services.host.log(), f"the log says: {text}")
        t.lacks(text, services.guest.log(), "the guest's log")


@test(direct=False)
def as_many_as_connections(t):
    script = t.write("look.py", LOOK)
    services = Services(t, {"look": f"exec = /usr/bin/python3 {script}\nmax-connections = 3"})
    there = [connect(services, "look") for _ in range(3)]
    pids = [json.loads(line(s))["pid"] for s in there]
    with connect(services, "look") as s:
        t.eq(s.recv(100), b"", "one more ends")
    t.has("service limit: look has 3 connections already (max-connections)", services.host.log(), "the host's log")
    there.pop().close()
    wait_until(lambda: ended(pids[2]), "one ends")

    def one_more():
        with connect(services, "look") as s:
            return s.recv(1) == b"{"
    wait_until(one_more, "there is room for another")
    for s in there:
        s.close()


@test(direct=False)
def passed_sockets_keep_it(t):
    """A socket that came on its connection is served by it still, when that has ended."""
    script = t.write("passes.py", """
import os, socket, time
s = socket.socket(fileno=3)
ours, theirs = socket.socketpair()
socket.send_fds(s, [b"%d\\n" % os.getpid()], [theirs.fileno()])
theirs.close()
s.close()
while data := ours.recv(100):
    ours.sendall(data)
time.sleep(1000)
""")
    services = rig(t, passes=f"/usr/bin/python3 {script}")
    with connect(services, "passes") as s:
        data, fds, _, _ = socket.recv_fds(s, 100, 1)
        pid = int(data)
        t.eq(s.recv(1), b"", "the connection's end")
    with socket.socket(fileno=fds[0]) as passed:
        for i in range(3):
            passed.sendall(b"still %d" % i)
            t.eq(passed.recv(100), b"still %d" % i, "what it says")
    wait_until(lambda: ended(pid), "it ends with the last of its connections")


@test(direct=False)
def the_vm_s_process_goes(t):
    """Whichever way that ends, and the daemon's own end: no program outlives it."""
    script = t.write("makes.py", MAKES)
    services = rig(t, makes=f"/usr/bin/python3 {script} %s")
    for killed in (True, False):
        with connect(services, "makes") as s:
            path, *pids = line(s).split()
            if killed:
                os.kill(services.host.vm().pid, signal.SIGKILL)
            else:
                services.stack.stop_host()
            t.eq(s.recv(1), b"", "the connection's end")
            wait_until(lambda pids=pids, path=path: all(ended(int(pid)) for pid in pids) and not os.path.exists(os.path.dirname(path)),
                       "the program ends, and its folder is gone")


if __name__ == "__main__":
    main()
