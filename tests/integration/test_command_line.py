#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The command lines that people script against: options, --check, running a command, systemd's protocols."""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys

from harness import Skip, main, test
from harness.client import Client
from harness.proc import alive
from harness.stack import Notify
from harness.tap import descendants

GUEST, HOST = os.environ.get("WAYVSOCK_GUEST", ""), os.environ.get("WAYVSOCK_HOST", "")
GPU = os.environ.get("WAYVSOCK_GPU", "")
DAEMONS = ((GUEST, "wayvsock-guest"), (HOST, "wayvsock-host"))
VSOCK = os.environ.get("WAYVSOCK_VSOCK", "")
X11 = os.path.join(os.path.dirname(GUEST), "wayvsock-x11")
PROGRAMS = (*DAEMONS, *([(os.environ["WAYVSOCK"], "wayvsock")] if os.environ.get("WAYVSOCK") else []), *([(GPU, "wayvsock-gpu")] if GPU else []), *([(VSOCK, "wayvsock-vsock")] if VSOCK else []),
            *([(X11, "wayvsock-x11")] if os.path.exists(X11) else []))
MAN = os.environ.get("WAYVSOCK_MAN", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../man"))

COMPLETIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../completions")


# -- command lines

def call(*argv, env=None):
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, env=env)


@test(direct=False)
def help_and_version(t):
    for binary, name in PROGRAMS:
        r = call(binary, "--help")
        t.eq((r.returncode, r.stderr), (0, ""), f"{name} --help")
        t.has(name, r.stdout, "its text")
        if (binary, name) in DAEMONS:
            t.has("--no-auth", r.stdout, "its text")
        r = call(binary, "--version")
        t.eq((r.returncode, r.stderr), (0, ""), f"{name} --version")
        t.ok(re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", r.stdout), f"version: {r.stdout!r}")


@test(direct=False)
def man_pages_agree_with_help(t):
    """The same options, with the same arguments, in --help and in the page."""
    for binary, name in PROGRAMS:
        path = os.path.join(MAN, f"{name}.1.scd")
        if not os.path.exists(path):
            raise Skip(f"{path} is not there")
        with open(path) as f:
            page = f.read()
        options = page[page.index("# OPTIONS"):]
        options = options[:options.index("\n# ", 5)]
        documented = {(m.group(1), m.group(2) or "") for m in
                      re.finditer(r"^\*(--[a-z0-9-]+)\*(?: _([A-Z\\*:_\[\]-]+)_?.*)?$", options, re.M)}
        documented = {(o, a.replace("\\", "").split("*")[0].rstrip("_[")) for o, a in documented}
        shown = {(m.group(1), (m.group(2) or "").split("[")[0]) for m in
                 re.finditer(r"^\s+(--[a-z0-9-]+)(?:[ =]([A-Z][A-Z\[\]:|-]*))?", call(binary, "--help").stdout, re.M)}
        t.eq(documented, shown, f"{name}: options of the page and of --help")


def completions(shell, program):
    with open(os.path.join(COMPLETIONS, "options.def")) as table:
        return subprocess.run([sys.executable, os.path.join(COMPLETIONS, "generate.py"), shell, program], stdin=table,
                              capture_output=True, text=True, check=True).stdout


def options_of_help(binary):
    return set(re.findall(r"^\s+(--[a-z0-9-]+)", call(binary, "--help").stdout, re.M))


@test(direct=False)
def completions_agree_with_help(t):
    """Each shell offers each option, and no other."""
    for binary, name in PROGRAMS:
        shown = options_of_help(binary)
        for shell, option in (("bash", r"(--[a-z0-9-]+[a-z0-9])"), ("zsh", r"^    '\*(--[a-z0-9-]+)\["), ("fish", r" -l ([a-z0-9-]+)")):
            offered = {o if o.startswith("--") else f"--{o}" for o in re.findall(option, completions(shell, name), re.M)}
            t.eq(offered, shown, f"{name}: what {shell} offers")


@test(direct=False)
def completions_work(t):
    """What bash and fish offer for the beginning of a word; zsh takes the file."""
    guest = t.write("bash-guest", completions("bash", "wayvsock-guest"))

    def bash(*words):
        script = f'source {guest}; COMP_WORDS=(wayvsock-guest "$@"); COMP_CWORD=$#\n' \
                 '_wayvsock_guest wayvsock-guest "${@: -1}" "${@: -2:1}"; printf "%s\\n" "${COMPREPLY[@]}"'
        r = call("bash", "-c", script, "bash", *words, env=t.env())
        t.eq((r.returncode, r.stderr), (0, ""), f"bash: {words}")
        return r.stdout.split()
    t.eq(bash("--lo"), ["--log-level"], "bash: an option")
    t.eq(bash("--log-level", "d"), ["debug"], "bash: a value")
    t.eq(bash("--no-auth", "--gpu", "o"), ["off"], "bash: a value of the second option")
    t.eq(bash("--token", t.dir + "/bash-g"), [guest], "bash: a file")
    if shutil.which("fish"):
        fish = t.write("guest.fish", completions("fish", "wayvsock-guest"))

        def offers(line):
            r = call("fish", "--no-config", "-c", f"source {fish}; complete -C '{line}'", env=t.env())
            t.eq((r.returncode, r.stderr), (0, ""), f"fish: {line}")
            return [row.split("\t")[0] for row in r.stdout.splitlines()]
        t.eq(offers("wayvsock-guest --lo"), ["--log-level"], "fish: an option")
        t.eq(offers("wayvsock-guest --log-level d"), ["debug"], "fish: a value")
    if shutil.which("zsh"):
        for _, name in PROGRAMS:
            r = call("zsh", "-n", t.write(f"_{name}", completions("zsh", name)))
            t.eq((r.returncode, r.stderr), (0, ""), f"zsh: {name}")


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
def check_leaves_windows_alone(t):
    """--check in a VM whose daemon is connected looks at all, as another daemon beside it, and the applications stay."""
    stack = t.stack(t.fake())
    client = stack.client()
    client.roundtrip()
    r = call(GUEST, "--connect", stack.guest_address, "--display", t.path("other"), "--check", env=t.env())
    t.eq(r.returncode, 0, f"the guest's --check:\n{r.stdout}{r.stderr}")
    t.has("ok    wl_shm", r.stdout, "what it found")
    client.roundtrip()
    t.lacks("connected anew", stack.host.log(), "the host's log")


@test(direct=False)
def check_says_what_is_missing(t):
    """--check: 0 where programs would work, 1 and what to do about it otherwise."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    stack.start_host()
    env = t.env()
    r = call(GUEST, "--connect", stack.guest_address, "--display", t.path("other"), "--check", env=env)
    t.eq(r.returncode, 0, f"the guest's --check with all in place:\n{r.stdout}{r.stderr}")
    t.has("ok    wl_shm", r.stdout, "what it found")
    stack.start_guest()
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


def read(path):
    with open(path) as f:
        return f.read()


# -- the vsock device

@test(direct=False)
def checks_about_vsock(t):
    """--check of the device: its sockets, and who takes connections where."""
    if not VSOCK:
        raise Skip("no wayvsock-vsock")
    here, hybrid, port = t.path("vhost"), t.path("hybrid"), t.path("port")
    argv = (VSOCK, "--check", "--guest-cid", "3", "--socket-path", here, "--uds-path", hybrid, "--listen-port", f"1100={port}")
    r = call(*argv)
    t.eq(r.returncode, 0, f"all in place:\n{r.stdout}{r.stderr}")
    t.has(f"ok    waiting for the hypervisor at {here}", r.stdout, "its socket")
    t.has(f"ok    connections to the guest at {hybrid}", r.stdout, "the hybrid socket")
    t.has(f"note  port 1100 of the host is {port}, where nobody", r.stdout, "a port where nobody listens")
    t.eq([os.path.exists(path) for path in (here, hybrid)], [False, False], "what it leaves")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(port)
        listener.listen(1)
        t.has(f"ok    port 1100 of the host is {port}", call(*argv).stdout, "a port where somebody listens")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{hybrid}_77")
        t.has(f"note  port 77 of the host is {hybrid}_77, where nobody", call(*argv).stdout, "a port of the hybrid socket")
    host, other = t.path("host"), t.path("other")
    argv = (VSOCK, "--check", "--host", host, "--allow-vm", f"22={other}:23", "--guest-cid")
    r = call(*argv, "3")
    t.has(f"note  port 1100 of the host is wayvsock-host at {host}, where nobody", r.stdout, "no wayvsock-host")
    t.has(f"note  port 22 of the host is port 23 of the VM at {other}, where nobody", r.stdout, "no other VM")
    t.eq(r.returncode, 0, f"they may come:\n{r.stdout}{r.stderr}")
    daemon = t.spawn([HOST, "--listen", f"vsock-device:{host}", "--vm", "test:3", "--compositor", t.path("none")], t.env(), name="wayvsock-host")
    t.wait(lambda: os.path.exists(host) or not daemon.alive, "wayvsock-host listens")
    r = call(*argv, "3")
    t.has(f"ok    port 1100 of the host is wayvsock-host at {host}", r.stdout, "wayvsock-host")
    r = call(*argv, "4")
    t.has(f"FAIL  port 1100 of the host is wayvsock-host at {host}: it turns this VM away", r.stdout, "another CID")
    t.eq(r.returncode, 1, f"another CID:\n{r.stdout}{r.stderr}")
    r = call(VSOCK, "--check", "--uds-path", t.path("no-folder/hybrid"))
    t.eq(r.returncode, 1, f"nowhere to listen:\n{r.stdout}{r.stderr}")
    t.has("FAIL  connections to the guest at", r.stdout, "the hybrid socket")


# -- the GPU

def gpu(t, env, *argv):
    """A wayvsock-gpu that exports by default, and its socket."""
    if os.path.exists(t.path("vhost")):
        os.unlink(t.path("vhost"))
    proc = t.spawn([GPU, "--socket-path", t.path("vhost"), *argv], env, name="wayvsock-gpu")
    path = os.path.join(env["XDG_RUNTIME_DIR"], "wayvsock-gpu", f"{proc.pid}.sock")
    t.wait(lambda: os.path.exists(t.path("vhost")) or not proc.alive, "the device waits for its hypervisor")
    t.ok(os.path.exists(path), path)
    return proc, path


@test(direct=False)
def export_sockets_that_were_left_behind(t):
    """A killed device leaves its socket; the next one removes it. One that ends removes its own."""
    if not GPU:
        raise Skip("no wayvsock-gpu")
    env = t.env(XDG_RUNTIME_DIR=t.mkdir("run", 0o700))
    folder = os.path.join(env["XDG_RUNTIME_DIR"], "wayvsock-gpu")
    killed, stale = gpu(t, env)
    killed.kill()
    t.ok(os.path.exists(stale), "what a killed process leaves")
    for signo in (signal.SIGTERM, signal.SIGINT):
        proc, path = gpu(t, env)
        t.eq(sorted(os.listdir(folder)), sorted(os.path.basename(p) for p in (path, path + ".lock")), "files in the folder")
        proc.signal(signo)
        t.eq(proc.wait(), 0, "status")
        t.eq(os.listdir(folder), [], "files that are left")
    # Without the process that made the folder, and with one that is not a folder.
    os.rmdir(folder)
    with open(folder, "w"):
        pass
    r = call(GPU, "--socket-path", t.path("vhost"), env=env)
    t.eq(r.returncode, 1, "status")
    t.has(folder, r.stderr, "its message")
    t.has("--export PATH", r.stderr, "its message")
    # As libvirt starts it, which would not tell why the VM does not start: a GPU without export.
    ours, its = socket.socketpair()
    proc = t.spawn([GPU, "--fd", str(its.fileno())], env, name="wayvsock-gpu", pass_fds=[its.fileno()])
    its.close()
    t.wait(lambda: "no buffers are exported" in proc.log() or not proc.alive, "it says so")
    t.ok(proc.alive, "the device serves")
    ours.close()
    t.eq(proc.wait(), 0, "status")


@test(direct=False)
def checks_about_the_gpu(t):
    """--check of the device and of the host: sockets, udmabuf, render node."""
    if not GPU:
        raise Skip("no wayvsock-gpu")
    fake = t.fake()
    env = t.env(XDG_RUNTIME_DIR=t.mkdir("run", 0o700))
    folder = os.path.join(env["XDG_RUNTIME_DIR"], "wayvsock-gpu")
    r = call(GPU, "--check", env=env)
    t.eq(r.returncode, 0, f"all in place:\n{r.stdout}{r.stderr}")
    t.has(f"ok    exporting at {folder}/", r.stdout, "the export socket")
    t.has("--gpu auto", r.stdout, "how wayvsock-host finds it")
    t.eq(os.listdir(folder), [], "what it leaves there")
    if os.path.exists("/dev/udmabuf"):
        t.has("udmabuf", r.stdout, "udmabuf")
    else:
        t.has("note  no /dev/udmabuf: buffers are copied on the host", r.stdout, "udmabuf")
    r = call(GPU, "--check", "--render-node", t.path("no-gpu"), env=env)
    t.eq(r.returncode, 1, f"without its render node:\n{r.stdout}{r.stderr}")
    t.has(f"FAIL  the render node {t.path('no-gpu')}", r.stdout, "the render node")
    r = call(GPU, "--check", "--export", t.path("no-folder/export"), env=env)
    t.eq(r.returncode, 1, f"nowhere to export:\n{r.stdout}{r.stderr}")
    t.has("FAIL  exporting at", r.stdout, "the export socket")

    def host(*argv):
        r = call(HOST, "--listen", f"unix:{t.path('h2')}", "--vm", "x", "--compositor", fake.socket, "--check", *argv, env=env)
        t.eq(r.returncode, 0, f"the host's --check, a GPU is optional:\n{r.stdout}{r.stderr}")
        return r.stdout
    t.has("no GPU device is named", host(), "without --gpu")
    t.has("0 GPU devices", host("--gpu", "auto"), "with nobody there")
    proc, path = gpu(t, env)
    for value in ("auto", folder, path):
        told = host("--gpu", value)
        t.has(f"ok    vm x: the GPU device at {path}", told, f"--gpu {value}")
        t.has("its guest's driver is not there (yet)", told, f"--gpu {value}")
    proc.kill()
    t.has("0 GPU devices", host("--gpu", "auto"), "after it was killed")
    t.has("pixels go over the link", host("--gpu", path), "after it was killed")


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
def a_command_that_knows_no_wayland(t):
    """Of a program that fails without having come to the display, it says where X11 stands; of no other."""
    fake = t.fake()
    stack = t.stack(fake, start=False)
    stack.start_host()

    def hint(*command, **env):
        r = subprocess.run(stack.guest_argv(command), capture_output=True, text=True, timeout=60, env=t.env(**env),
                           stdin=subprocess.DEVNULL)
        return "X11 in wayvsock-guest(1)" in r.stderr
    t.ok(hint("sh", "-c", "exit 1"), "it failed")
    t.ok(not hint("sh", "-c", "exit 0"), "it did not fail")
    t.ok(not hint("sh", "-c", "exit 1", DISPLAY=":7"), "there is an X server")
    t.ok(not hint("/does/not/exist"), "it was not found")
    client = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['WAYLAND_DISPLAY'])\n" \
             "s.send(bytes((1, 0, 0, 0, 0, 0, 12, 0, 2, 0, 0, 0))); s.recv(1); raise SystemExit(1)"
    t.ok(not hint(sys.executable, "-c", client), "it came to the display")


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
    t.wait(lambda: not alive(pid), "the command has ended")


def traced(t, call_, signo, when):
    """The beginning of a command line, and its environment: that signal arrives when a process makes that system call, so
    often. What strace tells is in the file "calls"."""
    t.need("strace")
    probe = call("strace", "-o", "/dev/null", "true")
    if probe.returncode:
        raise Skip(f"strace does not work here: {probe.stderr.strip()[-200:]}")
    # Leaks cannot be looked for under a tracer.
    env = t.env(ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    return ["strace", "-f", "-o", t.path("calls"), "-e", f"trace={call_}", "-e",
            f"inject={call_}:signal={signo.name}:when={when}"], env


@test(direct=False)
def signal_before_the_command_runs(t):
    """The command's process ends, too, if it is not yet the command."""
    # It stops between two folders in which it looks for the command.
    strace, env = traced(t, "execve", signal.SIGSTOP, 2)
    env["PATH"] = f"{t.path('none')}:{t.path('neither')}:{env['PATH']}"
    proc = t.spawn([*strace, GUEST, "--connect", f"unix:{t.path('nobody')}", "--display", t.path("display"), "--",
                    "touch", t.path("ran")], env, name="wayvsock-guest")

    def told(what):
        return os.path.exists(t.path("calls")) and re.search(rf"^(\d+) +{what}", read(t.path("calls")), re.M)
    child = int(t.wait(lambda: told("--- stopped by SIGSTOP"), "the command's process stops")[1])
    daemon = (set(descendants(proc.pid)) - {child}).pop()
    os.kill(daemon, signal.SIGTERM)
    t.wait(lambda: told(rf"\+\+\+ exited with {128 + signal.SIGTERM} "), "the daemon ends")
    os.kill(child, signal.SIGCONT)
    t.eq(proc.wait(), 128 + signal.SIGTERM, "status")
    t.ok(not os.path.exists(t.path("ran")), "the command does not run")


@test(direct=False)
def signals_during_the_start(t):
    """A signal that comes with the first socket ends each program as later ones do: orderly, and nothing is left."""
    folder = t.mkdir("sockets")
    path = os.path.join(folder, "x")
    commands = [[GUEST, "--connect", f"unix:{t.path('nobody')}", "--display", path],
                [HOST, "--listen", f"unix:{path}", "--vm", "x", "--compositor", t.path("none")]]
    if GPU:
        commands.append([GPU, "--socket-path", path, "--export", os.path.join(folder, "export")])
    for argv in commands:
        name = os.path.basename(argv[0])
        for signo in (signal.SIGTERM, signal.SIGINT):
            strace, env = traced(t, "bind", signo, 1)
            proc = t.run([*strace, *argv], env, name=name)
            t.has(f"--- {signo.name}", read(t.path("calls")), f"{name}: its system calls")
            t.eq(proc.popen.returncode, 0, f"{name}: status after {signo.name}")
            t.eq([f for f in os.listdir(folder) if not f.endswith(".lock")], [], f"{name}: what is left after {signo.name}")


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
def socket_activation_and_listeners(t):
    """The host's daemon also listens where its configuration says, beside a socket that systemd made and it names, too."""
    fake = t.fake()
    made, own = t.path("made"), t.path("own")
    config = t.write("host.conf", f"[vm one]\nlisten = unix:{made}\n[vm two]\nlisten = unix:{own}\n")
    host = activated(t, "wayvsock-host", [HOST, "--config", config, "--compositor", fake.socket], listening(made), {})
    t.wait(lambda: host.notify.ready() or not host.alive, "the host is ready")
    for path, name in ((made, "one"), (own, "two")):
        guest = t.spawn([GUEST, "--connect", f"unix:{path}", "--display", t.path(f"display-{name}")], name="wayvsock-guest")
        guest.is_daemon = True
        t.wait(lambda: f'which calls this VM "{name}"' in guest.log(), f"the VM at {path}")
    t.eq(host.stop(), 0, "status")
    t.eq([os.path.exists(path) for path in (made, own)], [True, False], "systemd's socket stays, the daemon's goes")


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
    text = b""
    while b"trying again" not in text:
        t.ok(select.select([r], [], [], 20)[0], f"it warns of the host that is not there: {text}")
        text += os.read(r, 65536)
    proc.terminate()
    t.eq(proc.wait(20), 0, "exit status")
    while part := os.read(r, 65536):
        text += part
    lines = text.decode().splitlines()
    t.ok(lines and all(re.match(r"<[0-7]>", line) for line in lines), f"lines: {lines[:5]}")
    t.ok(not any(line.startswith("<") for line in stack.guest.log().splitlines()), "none otherwise")


if __name__ == "__main__":
    main()
