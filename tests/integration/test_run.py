#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock run: the host starts programs in the VM, through the command and both daemons."""

import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import threading

from harness import Failure, main, test
from harness.proc import alive
from harness.transfers import Rig, feed, read_all

REFUSED = 125       # by wayvsock itself
RUN_SIGNAL, RUN_STARTED, RUN_EXITED = 4, 6, 8       # of protocol/run.h


def stack_of(t, allow=True, **options):
    stack = t.stack(t.fake(), start=False, guest_args=["--allow-run"] if allow else [], **options)
    return stack.start_before_clients()


def argv(*words, vm="test"):
    return [os.environ["WAYVSOCK"], "run", vm, "--", *words]


def start(t, *words, vm="test", env=None, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    p = subprocess.Popen(argv(*words, vm=vm), env=t.env(**(env or {})), **options)
    t.closers.append(lambda: p.poll() is None and p.kill())
    return p


def run(t, *words, status=0, said="", **options):
    """What the program writes; its errors are to be what was @said."""
    given = options.pop("input", None)
    if given is not None:
        options["stdin"] = subprocess.PIPE
    p = start(t, *words, **options)
    out, err = p.communicate(given, timeout=60)
    if p.returncode != status:
        raise Failure(f"{words}: status {p.returncode}, {err!r}")
    if said:
        t.has(said, err.decode(), "what is said")
    else:
        t.eq(err, b"", "errors")
    return out


@test(direct=False)
def status_and_output(t):
    stack = stack_of(t)
    run(t, "sh", "-c", "exit 7", status=7)
    run(t, "true")
    t.eq(run(t, "echo", "two  words", "", "-x"), b"two  words  -x\n", "arguments arrive as they are")
    run(t, "sh", "-c", "echo out; echo wrong >&2; exit 3", status=3, said="wrong")
    run(t, "sh", "-c", "kill -KILL $$", status=128 + signal.SIGKILL)
    run(t, "/no/such/program", status=127, said="cannot run /no/such/program: No such file or directory")
    run(t, "/etc/passwd", status=126, said="Permission denied")
    t.wait(lambda: "started for the host, as process" in stack.guest.log(), "the guest's log tells")
    t.has("sh -c exit 7", stack.guest.log(), "what was started")
    p = start(t, "echo", "a\x1b[31m\nb", "\udcff", "x" * 9000)
    p.communicate(timeout=60)
    line = next(line for line in stack.host.log().splitlines() if f"run: process {p.pid} of user {os.geteuid()} wants a program" in line)
    t.has(": echo a [31m b \ufffd xxx", line, "who wants what, in the host's log")
    t.ok(len(line) < 200, "which has an end")


@test(direct=False)
def input_passes(t):
    stack_of(t)
    t.eq(run(t, "cat", input=b"hello"), b"hello", "what is read comes back")
    big = bytes(range(256)) * 16384
    t.ok(run(t, "cat", input=big) == big, "4 MiB both ways at once")
    t.eq(run(t, "sh", "-c", "read line; echo got $line", input=b"one\ntwo\n"), b"got one\n", "a reader that leaves early")
    t.eq(run(t, "wc", "-c"), b"0\n", "no input at all")


@test(direct=False)
def the_environment(t):
    stack = stack_of(t)
    out = run(t, "env", env={"XDG_ACTIVATION_TOKEN": "token-1", "SECRET": "x"}).decode()
    variables = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    t.eq(variables["WAYLAND_DISPLAY"], stack.display, "the display")
    t.eq(variables["XDG_ACTIVATION_TOKEN"], "token-1", "the window's token")
    t.ok("NOTIFY_SOCKET" not in variables and "WAYLAND_SOCKET" not in variables, "nothing of the daemon's own")
    t.ok("SECRET" not in variables, "nothing else of the host's")
    code = "import os, sys; print(sorted(int(f) for f in os.listdir('/proc/self/fd'))[:4], os.getcwd())"
    t.eq(run(t, sys.executable, "-c", code, env={"HOME": "/"}).decode().split(" ", 3)[:3], ["[0,", "1,", "2,"], "descriptors")
    limits = run(t, "sh", "-c", "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status").decode().split()
    own = subprocess.run(["sh", "-c", "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status"], capture_output=True, text=True).stdout.split()
    t.eq(limits, own, "the program is not limited")


@test(direct=False)
def signals_pass(t):
    stack_of(t)
    script = "trap 'echo term; exit 4' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.1; done"
    p = start(t, "sh", "-c", script)
    t.eq(p.stdout.readline(), b"ready\n", "it runs")
    p.send_signal(signal.SIGUSR1)
    t.eq(p.stdout.readline(), b"usr1\n", "it hears of the first")
    p.send_signal(signal.SIGTERM)
    t.eq(p.communicate(timeout=30)[0], b"term\n", "and of the second")
    t.eq(p.returncode, 4, "status")
    # A shell that is interrupted just before it starts something waits for that all the same: what says ready is the latter.
    p = start(t, "sh", "-c", "perl -e '$| = 1; print qq(ready\\n); sleep 1000'; echo never")
    p.stdout.readline()
    p.send_signal(signal.SIGINT)
    t.eq(p.communicate(timeout=30), (b"", b""), "what it says")
    t.eq(p.returncode, 128 + signal.SIGINT, "all of it is interrupted, as at a terminal")


@test(direct=False)
def a_signal_before_it_is_said_to_be_started(t):
    """A program's output and what is said of it come on different descriptors, in any order: one that has written is there,
    and gets what is sent to it."""
    t.mkdir("run/wayvsock")
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(t.path("run", "wayvsock", "host.sock"))
        host.listen(1)
        p = start(t, "program")
        connection = host.accept()[0]
    connection.settimeout(30)
    fds = []
    while len(fds) < 3:
        part, came, *_ = socket.recv_fds(connection, 65536, 3)
        t.ok(part, "the request")
        fds += came
    os.write(fds[1], b"ready\n")
    t.eq(p.stdout.readline(), b"ready\n", "it runs")
    p.send_signal(signal.SIGUSR1)
    t.eq(connection.recv(100), struct.pack("<IHHII", 8, RUN_SIGNAL, 0, signal.SIGUSR1, 0), "the signal")
    connection.sendall(struct.pack("<IHHQ", 8, RUN_STARTED, 0, 0) + struct.pack("<IHHII", 8, RUN_EXITED, 0, 3, 0))
    for fd in fds:
        os.close(fd)
    t.eq(p.wait(30), 3, "its status")
    connection.close()


@test(direct=False)
def who_leaves(t):
    """The program is hung up when who started it is gone; and a writer hears when nobody reads."""
    stack = stack_of(t)
    p = start(t, "sh", "-c", "echo $$; exec sleep 1000")
    pid = int(p.stdout.readline())
    t.ok(alive(pid), "it runs")
    p.kill()
    t.wait(lambda: not alive(pid), "it is hung up")
    r, w = os.pipe()
    p = start(t, "yes", stdout=w)
    os.close(w)
    os.read(r, 10000)
    os.close(r)
    t.eq(p.wait(30), 128 + signal.SIGPIPE, "the status of who writes to nobody")
    p = start(t, "sh", "-c", "echo $$; exec sleep 1000")
    pid = int(p.stdout.readline())
    stack.stop_guest()
    t.wait(lambda: not alive(pid), "it ends with the daemon")
    t.ok(p.wait(30) in (REFUSED, 128 + signal.SIGHUP), "what the host's side ends with")


@test(direct=False)
def a_hundred_at_once(t):
    stack = stack_of(t)
    started = [start(t, "sh", "-c", f"read x; echo $x {i}; exit {i}", stdin=subprocess.PIPE) for i in range(100)]
    for i, p in enumerate(started):
        p.stdin.write(b"n\n")
        p.stdin.flush()
    for i, p in enumerate(started):
        out, err = p.communicate(timeout=120)
        t.eq((out, err, p.returncode), (b"n %d\n" % i, b"", i), f"program {i}")
    t.ok(stack.usable(), "applications get through")


@test(direct=False)
def refusals(t):
    stack = stack_of(t, allow=False)
    run(t, "true", status=REFUSED, said="its daemon serves nothing")
    run(t, "true", vm="other", status=REFUSED, said="no VM has that name")
    stack.stop_guest()

    def why(text):
        return text in start(t, "true").communicate(timeout=30)[1]
    t.wait(lambda: why(b"the VM is not there, and nothing says how it is started"), "the VM is gone")
    stack.guest_args = ["--serve", "x=/nowhere"]
    stack.start_guest()
    t.wait(lambda: why(b"may start no programs here"), "why it does not")
    stack.stop_guest()
    stack.guest_args = ["--serve", "wayvsock.run=/nowhere"]     # as the unit has it
    stack.start_guest()
    t.wait(lambda: why(b"wayvsock-run@USER.socket would let"), "what would let it")
    stack.stop_host()
    run(t, "true", status=REFUSED, said="no daemon answers here")


@test(direct=False)
def the_daemon_that_may(t):
    """Of several, the one that allows it is asked, whichever came first."""
    stack = stack_of(t, allow=False)
    argv_of = stack.guest_argv()
    argv_of[argv_of.index("--display") + 1] = t.path("second")
    t.spawn([*argv_of, "--serve", "x=/nowhere"], t.env(), name="second")
    argv_of[argv_of.index("--display") + 1] = t.path("third")
    t.spawn([*argv_of, "--allow-run"], t.env(), name="third")
    t.wait(lambda: stack.host.log().count("connected (its host name") == 3, "three daemons")
    t.eq(run(t, "sh", "-c", "echo $WAYLAND_DISPLAY").decode().strip(), t.path("third"), "whose program it is")


def started_first(t, script):
    """A host whose VM is started by that script (a file of one line for each time)."""
    path, times = t.path("start-vm"), t.path("times")
    stack = t.stack(t.fake(), start=False, config=f"[vm test]\nlisten = @ADDRESS@\nstart = sh {path} 'of a shell'\n",
                    guest_args=["--allow-run"])
    t.write("start-vm", f"echo $1 >>{times}\n" + script.format(guest=" ".join(stack.guest_argv())))
    stack.start_host()

    def count():
        with open(times, encoding="utf-8") as f:
            return f.read().splitlines()
    return stack, count


@test(direct=False)
def the_vm_is_started_first(t):
    stack, times = started_first(t, "exec >/dev/null 2>&1\nsleep 0.3; {guest} & echo $! >" + t.path("pid"))
    waiting = [start(t, "sh", "-c", f"exit {i}") for i in range(10)]
    for i, p in enumerate(waiting):
        t.eq(p.communicate(timeout=60), (b"", b""), "what is said")
        t.eq(p.returncode, i, f"the status of program {i}")
    t.eq(times(), ["of a shell"], "it was started once")
    run(t, "true")
    t.eq(len(times()), 1, "and not again while it is there")
    with open(t.path("pid"), encoding="utf-8") as f:
        pid = int(f.read())
    stack.stop_host()
    t.ok(alive(pid), "a VM goes on without the host's daemon")
    os.kill(pid, signal.SIGTERM)
    t.wait(lambda: not alive(pid), "it ends")


@test(direct=False)
def a_start_that_fails(t):
    stack, times = started_first(t, "exit 3")
    run(t, "true", status=REFUSED, said="ended with status 3")
    run(t, "true", status=REFUSED, said="ended with status 3")
    t.eq(len(times()), 2, "it is tried each time")
    t.has("ended with status 3", stack.host.log(), "the host's log")
    stack.stop_host()


@test(direct=False)
def what_started_it_lingers(t):
    """A hypervisor in the foreground that takes its time to end: it is started again when it has, whatever it ended with."""
    stack, times = started_first(t, "exec >/dev/null 2>&1; {guest} & echo $! >>" + t.path("pids") + "; wait; "
                                    "until [ -e " + t.path("may-end") + " ]; do sleep 0.1; done; exit 3")

    def pids():
        with open(t.path("pids"), encoding="utf-8") as f:
            return [int(line) for line in f]
    run(t, "true")
    os.kill(pids()[0], signal.SIGTERM)
    t.wait(lambda: "gone: " in stack.host.log(), "the VM is gone")
    waiting = [start(t, "sh", "-c", f"exit {i}") for i in range(3)]
    t.wait(lambda: "as it has not ended" in stack.host.log() and "3 wait for it" in stack.host.log(), "they wait for its end")
    t.eq(len(times()), 1, "it is not run twice at a time")
    open(t.path("may-end"), "w", encoding="utf-8").close()
    for i, p in enumerate(waiting):
        t.eq(p.communicate(timeout=60), (b"", b""), "what is said")
        t.eq(p.returncode, i, f"the status of program {i}")
    t.eq(len(times()), 2, "it was run once more")
    os.kill(pids()[1], signal.SIGTERM)
    t.wait(lambda: not alive(pids()[1]), "it ends")


@test(direct=False)
def the_vm_is_gone_but_for_its_process(t):
    """While something of it is still being delivered, its process is there, and the VM is not: it is started, and served by that."""
    pid, path = t.path("pid"), t.path("start-vm")
    rig = Rig(t, config=f"[vm test]\nlisten = @ADDRESS@\nstart = sh {path}\n", guest_args=["--allow-run"])
    writer, reader = rig.to_host()
    data = os.urandom(200000)
    feed(writer, data).join(60)
    for _ in range(50):
        rig.client.roundtrip()      # all of it has crossed the link
    rig.stack.stop_guest()
    t.write("start-vm", f"exec >/dev/null 2>&1; {' '.join(rig.stack.guest_argv())} & echo $! >{pid}")
    for i in range(2):
        run(t, "sh", "-c", f"exit {i}", status=i)
    process = [p.pid for p in rig.stack.host.family if p.name == "vm test"]
    t.eq(len(process), 1, "processes of the VM")
    t.ok(read_all(reader) == data, "what was still to be delivered")
    with open(pid, encoding="utf-8") as f:
        os.kill(int(f.read()), signal.SIGTERM)


@test(direct=False)
def a_start_that_waits(t):
    """Who waits may leave; the daemon is stopped meanwhile."""
    stack, times = started_first(t, "exec >/dev/null 2>&1; echo $$ >" + t.path("pid") + "; exec sleep 1000")
    p = start(t, "true")
    t.wait(lambda: os.path.exists(t.path("times")) and times(), "it is started")
    p.send_signal(signal.SIGINT)
    t.eq(p.wait(30), 128 + signal.SIGINT, "the status of who does not wait any longer")
    p = start(t, "true")
    t.wait(lambda: "2 wait for it" in stack.host.log(), "another one waits")
    os.kill(stack.host.pid, signal.SIGTERM)
    t.has("its daemon did not take it", p.communicate(timeout=30)[1].decode(), "what who waits hears")
    with open(t.path("pid"), encoding="utf-8") as f:
        os.kill(int(f.read()), signal.SIGKILL)      # what starts a VM is left alone
    t.eq(stack.host.wait(), 0, "how the daemon ended")


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, t, *words):
        self.t, self.text = t, b""
        pid, self.fd = pty.fork()
        if pid == 0:
            os.environ.update(t.env(TERM="vt100"))
            os.execv(os.environ["WAYVSOCK"], argv(*words))
        self.pid = pid
        t.closers.append(lambda: os.close(self.fd))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while part := os.read(self.fd, 4096):
                self.text += part
        except OSError:
            pass

    def shows(self, text):
        self.t.wait(lambda: text in self.text, f"{text} on the terminal")

    def type(self, text):
        os.write(self.fd, text)


@test(direct=False)
def a_terminal(t):
    stack_of(t)
    term = Terminal(t, "sh", "-c", "tty; echo $TERM; stty size; read x; echo got-$x; trap 'echo in''terrupted; exit 5' INT; "
                                   "echo re''ady; while :; do sleep 0.1; done")
    term.shows(b"/dev/pts/")
    term.shows(b"vt100\r\n")
    term.type(b"words\r")
    term.shows(b"got-words\r\n")
    term.shows(b"ready\r\n")
    term.type(b"\x03")
    term.shows(b"interrupted\r\n")
    t.eq(os.waitstatus_to_exitcode(os.waitpid(term.pid, 0)[1]), 5, "its status")


main()
