#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The command for people, and the control sockets that it asks."""

import json
import os
import re
import socket
import stat
import subprocess

from harness import Failure, main, test
from harness.client import ProtocolError


def command(t, *words, status=0, env=None):
    """What the command prints: on stderr, if it is to fail."""
    r = subprocess.run([os.environ["WAYVSOCK"], *words], env=t.env(**(env or {})), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    if r.returncode != status:
        raise Failure(f"wayvsock {' '.join(words)}: status {r.returncode}, {r.stderr.strip()!r}")
    return r.stderr if status else r.stdout


def status(t, *words):
    return json.loads(command(t, "status", "--json", *words))


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
    t.eq(len(one["daemons"]), 1, "daemons")
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
    t.has("no application has that number", command(t, "end", f"test/{ids[1]}", status=1), "one that is gone")
    t.has("no VM has that name", command(t, "end", "other", status=1), "another VM")
    t.eq(json.loads(command(t, "end", "test", "--json")), {"ended": 2}, "all of them")
    ended(one)
    ended(three)
    t.ok(s.usable(), "they may come back")


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
    t.ok(not os.path.exists(path(t)), "the socket goes with its daemon")
    t.has("no daemon answers here", command(t, "status", status=1), "without a daemon")


main()
