#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--check tells the truth: each set-up of a table, good and broken, is checked, and started with the same options. Where
--check says that applications would work, a window appears; where it does not, none does, and both say what to do."""

import ctypes
import os
import socket
import subprocess
import sys

from harness import main, test
from harness.client import Client
from harness.stack import TOKEN
from harness.tap import Failure
from harness.tools import ACTIVATE

GUEST, HOST = os.environ.get("WAYVSOCK_GUEST", ""), os.environ.get("WAYVSOCK_HOST", "")
# A program that listens, and is none of ours.
LISTENER = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX if sys.argv[1][0] == "/" else socket.AF_VSOCK)
s.bind(sys.argv[1] if sys.argv[1][0] == "/" else (0xffffffff, int(sys.argv[1])))
s.listen()
print("listening", flush=True)
while True:
    s.accept()[0].close()
"""
# An application that ends with 0 if it could show a window.
WINDOW = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from harness.client import Client
from test_set_ups import shows_window
sys.exit(0 if shows_window(os.environ["WAYLAND_DISPLAY"]) else 1)
"""


def shows_window(display):
    """Whether a window can be made there."""
    try:
        with Client(display, timeout=8) as client:
            client.get_registry()
            client.roundtrip()
            offered = {interface for interface, _ in client.globals.values()}
            return {"wl_compositor", "wl_shm", "xdg_wm_base"} <= offered
    except (OSError, EOFError, Failure):
        return False


class SetUp:
    """One row: what is there, and the two command lines. {names} in them are of the test's folder."""

    def __init__(self, t, name):
        self.t = t
        self.dir = t.mkdir(name)
        self.name = name
        self.fake = t.fake(name=f"{name}/fake")
        self.runtime = t.mkdir(f"{name}/run")
        self.host_env, self.guest_env = {}, {}
        self.wrapper = []
        self.daemons = []

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def file(self, name, text="", mode=0o600):
        return self.t.write(f"{self.name}/{name}", text, mode)

    def token(self, name="token", text=TOKEN):
        return ["--token", self.file(name, text + "\n")]

    def stale(self, name):
        """The socket of a daemon that was killed."""
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.path(name))

    def occupy(self, address):
        """Something else listens there."""
        proc = self.t.spawn([sys.executable, "-c", LISTENER, str(address)])
        self.t.wait(lambda: "listening" in proc.log(), "it listens")

    def env(self, **more):
        return self.t.env(**{"XDG_RUNTIME_DIR": self.runtime, **more})

    def host(self, *arguments):
        return [HOST, *arguments, "--compositor", self.fake.socket]

    def guest(self, *arguments):
        return [GUEST, "--gpu", "off", *arguments]

    def check(self, argv, env, wrapper=()):
        return subprocess.run([*wrapper, *argv[:1], "--check", *argv[1:]], capture_output=True, text=True, timeout=60, env=env,
                              stdin=subprocess.DEVNULL)

    def start(self, argv, env, ready, wrapper=()):
        """Starts a daemon. Returns it if it got ready, or what it said before it ended."""
        proc = self.t.spawn([*wrapper, *argv], env)
        proc.any_status = True
        self.t.wait(lambda: ready(proc.log()) or not proc.alive, f"{argv[0]} is ready or ends")
        if not proc.alive:
            proc.expected_exit = True
        return proc

    def start_host(self, argv, wrapper=()):
        proc = self.start(argv, self.env(**self.host_env), lambda log: "listening on" in log or "serving" in log or wrapper,
                          wrapper)
        return proc

    def start_guest(self, argv, wrapper=()):
        return self.start(argv, self.env(**self.guest_env), lambda log: "serving " in log, wrapper)


# -- the host's side: what is to be there, the command line, and what --check says where it would not work

HOST_ROWS = {}
GUEST_ROWS = {}


def host_row(says=(), held=False):
    """A row of the host's table.  says: parts of what --check tells, all of them; none: applications would work.  held: by a
    daemon that runs, which is no fault."""
    def register(f):
        HOST_ROWS[f.__name__] = (f, says, held)
        return f
    return register


def guest_row(says=(), start_says=(), held=False):
    """The same for the guest.  start_says: what the daemon writes when it is started."""
    def register(f):
        GUEST_ROWS[f.__name__] = (f, says, start_says, held)
        return f
    return register


@host_row()
def unix_and_a_vm(s):
    return s.host("--listen", f"unix:{s.path('h')}", "--vm", "work"), f"unix:{s.path('h')}", []


@host_row()
def unix_and_no_vm(s):
    return s.host("--listen", f"unix:{s.path('h')}"), f"unix:{s.path('h')}", []


@host_row()
def unix_and_a_token(s):
    token = s.token()
    return s.host("--listen", f"unix:{s.path('h')}", *token), f"unix:{s.path('h')}", token


@host_row()
def hybrid_and_a_token(s):
    token = s.token()
    return s.host("--listen", f"vsock-mux:{s.path('v')}:1100", *token), f"unix:{s.path('v_1100')}", token


@host_row(["FAIL  vm vm: a hybrid socket tells nothing about who connects", "--token"])
def hybrid_without_token(s):
    return s.host("--listen", f"vsock-mux:{s.path('v')}:1100"), f"hybrid:{s.path('v_1100')}", []


@host_row()
def hybrid_without_proof_on_purpose(s):
    return s.host("--listen", f"vsock-mux:{s.path('v')}:1100", "--no-auth"), f"hybrid:{s.path('v_1100')}", ["--no-auth"]


@host_row(["FAIL  an address to listen on", "--listen vsock:1100 --check"])
def no_listener(s):
    return s.host("--vm", "work:42"), None, []


@host_row(["FAIL  an address to listen on", "FAIL  a VM is named: add --vm NAME:CID", "ok    the compositor answers"])
def nothing_at_all(s):
    return s.host(), None, []


@host_row(["FAIL  a VM is named: add --vm NAME:CID", "FAIL  vsock", "no-display"])
def all_that_is_wrong_at_once(s):
    return [HOST, "--listen", "vsock:1197", "--compositor", s.path("no-display")], None, []


@host_row(["FAIL  vsock", "/dev/vhost-vsock"])
def no_vhost(s):
    return s.host("--listen", "vsock:1198", "--vm", "work:42"), None, []


@host_row(["FAIL  vm work: it has neither a CID", "--vm work:CID"])
def nobody_can_be_it(s):
    return s.host("--listen", "vsock:1199", "--vm", "work"), None, []


@host_row(["FAIL  vm a: no vsock: address", "--listen vsock:1100"])
def a_cid_and_no_vsock_listener(s):
    conf = s.file("host.conf", f"[vm a]\ncid = 42\n[vm b]\nlisten = unix:{s.path('h')}\n")
    return s.host("--config", conf), None, []


@host_row(["FAIL", "nothing tells which of the 2 VMs comes in by", "ok    vm b: the compositor answers"])
def two_vms_of_one_socket(s):
    return s.host("--listen", f"unix:{s.path('h')}", "--vm", "a:42", "--vm", "b:43"), None, []


@host_row(["FAIL  the compositor", "no-display"])
def no_compositor(s):
    return [HOST, "--listen", f"unix:{s.path('h')}", "--compositor", s.path("no-display")], f"unix:{s.path('h')}", []


@host_row(["FAIL  the compositor", "XDG_RUNTIME_DIR"])
def a_compositor_by_name_and_no_runtime_dir(s):
    s.host_env["XDG_RUNTIME_DIR"] = None
    return [HOST, "--listen", f"unix:{s.path('h')}", "--compositor", "wayland-7"], f"unix:{s.path('h')}", []


@host_row(["FAIL  xdg_wm_base"])
def a_compositor_without_windows(s):
    name = next(name for name, (interface, _) in s.fake.globals.items() if interface == "xdg_wm_base")
    s.fake.remove_global(name)
    return s.host("--listen", f"unix:{s.path('h')}"), f"unix:{s.path('h')}", []


@host_row(["FAIL  wl_shm"])
def policy_denies_what_all_need(s):
    conf = s.file("host.conf", f"[vm a]\nlisten = unix:{s.path('h')}\ndeny = wl_shm\n")
    return s.host("--config", conf), f"unix:{s.path('h')}", []


@host_row(["FAIL  listening on", "is no socket"])
def a_file_is_there(s):
    s.file("h", "precious")
    return s.host("--listen", f"unix:{s.path('h')}"), None, []


@host_row(["FAIL  listening on", "No such file"])
def no_folder_for_the_socket(s):
    return s.host("--listen", f"unix:{s.path('no', 'h')}"), None, []


@host_row(["FAIL  listening on", "python", "choose another address"])
def something_else_listens(s):
    s.occupy(s.path("h"))
    return s.host("--listen", f"unix:{s.path('h')}"), None, []


@host_row(["FAIL  listening on", "vsock:1196", "choose another address"])
def something_else_listens_on_vsock(s):
    s.occupy(1196)
    return s.host("--listen", "vsock:1196", "--vm", "work:42"), None, []


@host_row(held=True)
def our_own_daemon_listens(s):
    argv = s.host("--listen", f"unix:{s.path('h')}")
    s.daemons.append(s.start_host(argv))
    return argv, f"unix:{s.path('h')}", []


@host_row()
def a_socket_is_left_over(s):
    s.stale("h")
    return s.host("--listen", f"unix:{s.path('h')}"), f"unix:{s.path('h')}", []


@host_row(["FAIL  vm vm: the token", "No such file", "openssl rand"])
def no_token_file(s):
    return s.host("--listen", f"unix:{s.path('h')}", "--token", s.path("none")), None, []


@host_row(["FAIL  vm vm: the token", "chmod 600"])
def a_token_for_everybody(s):
    return s.host("--listen", f"unix:{s.path('h')}", "--token", s.file("token", TOKEN, 0o644)), None, []


@host_row(["FAIL  vm vm: the token", "must have"])
def a_short_token(s):
    return s.host("--listen", f"unix:{s.path('h')}", *s.token(text="short")), None, []


@host_row()
def a_socket_of_systemds(s):
    s.wrapper = [sys.executable, "-c", ACTIVATE, s.path("h")]
    return s.host("--vm", "work"), f"unix:{s.path('h')}", []


@host_row(["FAIL  an address to listen on"])
def sockets_of_another_process(s):
    s.host_env.update(LISTEN_FDS="1", LISTEN_PID="1")
    return s.host("--vm", "work"), None, []


# -- the guest's side

def served(s, *host_options):
    """A host's daemon that shows windows."""
    s.daemons.append(s.start_host(s.host("--listen", f"unix:{s.path('h')}", *host_options)))
    return ["--connect", f"unix:{s.path('h')}"]


@guest_row()
def all_in_place(s):
    return s.guest(*served(s), "--display", s.path("wl")), s.path("wl")


@guest_row()
def a_display_by_name(s):
    return s.guest(*served(s), "--display", "wayland-3"), os.path.join(s.runtime, "wayland-3")


@guest_row(["FAIL  the display", "XDG_RUNTIME_DIR"], ["XDG_RUNTIME_DIR"])
def a_display_by_name_and_no_runtime_dir(s):
    s.guest_env["XDG_RUNTIME_DIR"] = None
    return s.guest(*served(s)), None


@guest_row()
def a_command_and_no_runtime_dir(s):
    s.guest_env["XDG_RUNTIME_DIR"] = None
    return s.guest(*served(s), "--", sys.executable, "-c", WINDOW), None


@guest_row(["FAIL  the display"], ["cannot make a folder"])
def a_command_and_a_runtime_dir_that_is_not_there(s):
    s.guest_env["XDG_RUNTIME_DIR"] = s.path("nowhere")
    return s.guest(*served(s), "--", sys.executable, "-c", WINDOW), None


@guest_row(["FAIL  the command", "no-such-program"], ["no-such-program"])
def a_command_that_is_not_there(s):
    return s.guest(*served(s), "--", "no-such-program"), None


@guest_row(["FAIL  the display", "is no socket"], ["is no socket"])
def a_file_is_the_display(s):
    return s.guest(*served(s), "--display", s.file("wl", "precious")), None


@guest_row(["FAIL  the display", "python", "choose another"], ["in use"])
def something_else_is_the_display(s):
    s.occupy(s.path("wl"))
    return s.guest(*served(s), "--display", s.path("wl")), None


@guest_row(held=True)
def our_own_daemon_has_the_display(s):
    argv = s.guest(*served(s), "--display", s.path("wl"))
    s.daemons.append(s.start_guest(argv))
    return argv, s.path("wl")


@guest_row()
def a_display_is_left_over(s):
    s.stale("wl")
    return s.guest(*served(s), "--display", s.path("wl")), s.path("wl")


@guest_row(["FAIL  the display", "No such file"], ["No such file"])
def no_folder_for_the_display(s):
    return s.guest(*served(s), "--display", s.path("no", "wl")), None


@guest_row()
def a_display_of_systemds(s):
    s.wrapper = [sys.executable, "-c", ACTIVATE, s.path("wl")]
    return s.guest(*served(s)), s.path("wl")


@guest_row(["FAIL  the host's daemon", "No such file", "wayvsock-host --listen unix:"], ["wayvsock-host --listen unix:"])
def no_host(s):
    return s.guest("--connect", f"unix:{s.path('h')}", "--display", s.path("wl")), s.path("wl")


@guest_row(["FAIL  the host's daemon", "refused", "wayvsock-host --listen unix:"], ["wayvsock-host --listen unix:"])
def the_host_was_killed(s):
    s.stale("h")
    return s.guest("--connect", f"unix:{s.path('h')}", "--display", s.path("wl")), s.path("wl")


@guest_row(["FAIL  the host's daemon", "wayvsock-host --listen unix:"], ["wayvsock-host --listen unix:"])
def the_host_is_something_else(s):
    s.occupy(s.path("h"))
    return s.guest("--connect", f"unix:{s.path('h')}", "--display", s.path("wl")), s.path("wl")


@guest_row(["FAIL  the host's daemon", "wayvsock-host --listen vsock:1100 --vm"], ["wayvsock-host --listen vsock:1100 --vm"])
def no_vsock_device(s):
    return s.guest("--connect", "vsock:2:1100", "--display", s.path("wl"), *s.token()), s.path("wl")


@guest_row(["FAIL  the host's daemon", "wrong token", "the same content"], ["wrong token", "the same content"])
def a_wrong_token(s):
    served(s, *s.token("right"))
    return s.guest("--connect", f"unix:{s.path('h')}", "--display", s.path("wl"), *s.token("wrong", "x" * 40)), s.path("wl")


@guest_row(["FAIL  the host's daemon", "--token"], ["the VM's token is missing: start wayvsock-guest with --token"])
def a_missing_token(s):
    served(s, *s.token("right"))
    return s.guest("--connect", f"unix:{s.path('h')}", "--display", s.path("wl")), s.path("wl")


@guest_row(["cannot read the token file", "openssl rand"], ["cannot read the token file", "openssl rand"])
def no_token_file_in_the_guest(s):
    return s.guest(*served(s), "--display", s.path("wl"), "--token", s.path("none")), s.path("wl")


@guest_row(["FAIL  the host's compositor answers"], [])
def a_host_without_compositor(s):
    argv = [HOST, "--listen", f"unix:{s.path('h')}", "--compositor", s.path("no-display")]
    s.daemons.append(s.start_host(argv))
    return s.guest("--connect", f"unix:{s.path('h')}", "--display", s.path("wl")), s.path("wl")


@guest_row(["FAIL  xdg_wm_base"], [])
def a_host_that_denies_windows(s):
    conf = s.file("host.conf", f"[vm a]\nlisten = unix:{s.path('h')}\ndeny = xdg_wm_base\n")
    s.daemons.append(s.start_host(s.host("--config", conf)))
    return s.guest("--connect", f"unix:{s.path('h')}", "--display", s.path("wl")), s.path("wl")


# -- the two tests

def told(r):
    return f"\nstatus {r.returncode}\n{r.stdout}{r.stderr}"


def judge(t, name, r, says, would):
    """What --check said, and that the text, the lines and the status agree."""
    t.eq(r.returncode == 0, would, f"{name}: --check says that applications would work{told(r)}")
    t.ok(r.returncode in (0, 1, 2), f"{name}: its status{told(r)}")
    if r.returncode != 2 and r.stdout:
        t.has("Applications would work." if would else "Applications would not work.", r.stdout, f"{name}: its last line")
        t.eq("FAIL" in r.stdout, not would, f"{name}: a line with FAIL{told(r)}")
    for part in says:
        t.has(part, r.stdout + r.stderr, f"{name}: --check")


def cause_once(t, name, log):
    """A cause is told once: no two lines of warnings are the same or tell the same."""
    lines = [line.partition(": ")[2] for line in log.splitlines() if "wayvsock" in line]
    doubled = {line for line in lines if line and lines.count(line) > 1}
    t.eq(doubled, set(), f"{name}: lines that are told twice")


class Hybrid:
    """What a VMM does for connections of its guest: whose connection it is does not come through."""

    def __init__(self, t, path):
        self.path = f"{path}.in"
        self.script = ("import os,socket,sys,threading\n"
                       "s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[2]); s.listen()\nprint('listening',flush=True)\n"
                       "def go(a,b):\n"
                       "    try:\n"
                       "        while (d:=a.recv(65536)): b.sendall(d)\n"
                       "    except OSError: pass\n"
                       "    for x in (a,b):\n"
                       "        try: x.shutdown(socket.SHUT_RDWR)\n"
                       "        except OSError: pass\n"
                       "while True:\n"
                       "    c=s.accept()[0]; d=socket.socket(socket.AF_UNIX)\n"
                       "    try: d.connect(sys.argv[1])\n"
                       "    except OSError: c.close(); continue\n"
                       "    for p in ((c,d),(d,c)): threading.Thread(target=go,args=p,daemon=True).start()\n")
        proc = t.spawn([sys.executable, "-c", self.script, path, self.path])
        t.wait(lambda: "listening" in proc.log(), "the hybrid socket")


def window_through(t, s, argv, address, guest_options):
    """Starts the host with these options, and a guest for it. Whether a window appears."""
    if s.daemons:
        host = s.daemons[0]
    else:
        host = s.start_host(argv, s.wrapper)
    if address is None:
        return host, False
    if address.startswith("hybrid:"):
        address = f"unix:{Hybrid(t, address.removeprefix('hybrid:')).path}"
    if not host.alive:
        return host, False
    display = s.path("probe")
    guest = s.start([GUEST, "--gpu", "off", "--connect", address, "--display", display, *guest_options], s.env(),
                    lambda log: "serving " in log)
    seen = guest.alive and shows_window(display)
    guest.stop()
    return host, seen


def each(t, rows, look):
    """Every row has its turn, also after one that failed."""
    wrong = []
    for name, row in rows.items():
        try:
            look(t, name, *row)
        except Failure as e:
            wrong.append(str(e))
    t.ok(not wrong, f"{len(wrong)} of {len(rows)} set-ups:\n\n" + "\n\n".join(wrong))


def host_set_up(t, name, row, says, held):
    s = SetUp(t, f"h-{name}"[:40])
    argv, address, guest_options = row(s)
    r = s.check(argv, s.env(**s.host_env), s.wrapper)
    for stale in ("h",) if s.wrapper else ():
        os.unlink(s.path(stale))
    judge(t, name, r, says, not says)
    if held:
        t.has("a running wayvsock-host has it", r.stdout, f"{name}: who has it")
    host, seen = window_through(t, s, argv, address, guest_options)
    t.eq(seen, not says, f"{name}: a window appears\n{r.stdout}\n{host.log()}")
    host.stop()


def guest_set_up(t, name, row, says, start_says, held):
    s = SetUp(t, f"g-{name}"[:40])
    argv, display = row(s)
    r = s.check(argv, s.env(**s.guest_env), s.wrapper)
    if s.wrapper:
        os.unlink(display)
    judge(t, name, r, says, not says)
    if held:
        t.has("a running wayvsock-guest has it", r.stdout, f"{name}: who has it")
        t.ok(shows_window(display), f"{name}: the running daemon shows a window")
    elif "--" in argv:
        proc = t.spawn(argv, s.env(**s.guest_env))
        status = proc.wait(60)
        t.eq(status == 0, not says, f"{name}: the command shows a window\n{proc.log()}")
        check_start(t, name, proc, start_says)
    else:
        proc = s.start_guest(argv, s.wrapper)
        seen = proc.alive and display is not None and shows_window(display)
        t.eq(seen, not says, f"{name}: a window appears\n{r.stdout}\n{proc.log()}")
        check_start(t, name, proc, start_says)
        proc.stop()
    for daemon in s.daemons:
        daemon.stop()


def check_start(t, name, proc, start_says):
    for part in start_says:
        t.ok(any(part in line for line in proc.log().splitlines()), f"{name}: it says {part!r}:\n{proc.log()}")
    if start_says:      # the cure stands in the line that tells the cause
        line = next(line for line in proc.log().splitlines() if start_says[0] in line)
        for part in start_says:
            t.has(part, line, f"{name}: cause and cure in one line")
    cause_once(t, name, proc.log())


@test(direct=False, timeout=240)
def hosts(t):
    """The host's table."""
    each(t, HOST_ROWS, host_set_up)


@test(direct=False, timeout=240)
def guests(t):
    """The guest's table."""
    each(t, GUEST_ROWS, guest_set_up)


@test(direct=False)
def the_table_is_large(t):
    t.ok(len(HOST_ROWS) + len(GUEST_ROWS) >= 25, "25 set-ups at least")


if __name__ == "__main__":
    main()
