#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Services: programs of the VM reach sockets of the host, through both daemons."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import threading

from harness import main, test
from harness.proc import listens

BIG = bytes(range(256)) * (32 << 10)  # 8 MiB


class Echo:
    """A service of the host: says back what it hears, and closes when it has heard all."""

    def __init__(self, context, path, kind=socket.SOCK_STREAM, answer=lambda data: data):
        self.path, self.answer, self.connections = path, answer, 0
        self.socket = socket.socket(socket.AF_UNIX, kind)
        self.socket.bind(path)
        self.socket.listen(16)
        self.threads = []
        context.closers.append(self.close)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer:
            while True:
                data, fds, _, _ = socket.recv_fds(peer, 1 << 16, 253)
                if not data and not fds:
                    break
                for fd in fds:      # what is in a pipe is said in its place
                    with open(fd, "rb") as f:
                        data += f.read()
                try:
                    peer.sendall(self.answer(data))
                except OSError:
                    break

    def close(self):
        self.socket.close()


def stack_of(t, host_args=(), guest_args=(), **options):
    return t.stack(t.fake(), start=False, host_args=host_args, guest_args=guest_args, **options)


def connect(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(30)
    s.connect(path)
    return s


def read_all(s):
    data = b""
    while True:
        part = s.recv(1 << 16)
        if not part:
            return data
        data += part


def echo_stack(t, **options):
    service = Echo(t, t.path("echo"))
    stack = stack_of(t, ["--forward", f"echo={service.path}"], ["--forward", f"echo={t.path('guest-echo')}"],
                     **options)
    stack.start_before_clients()
    return service, stack, t.path("guest-echo")


@test(direct=False)
def bytes_and_half_close(t):
    _, _, path = echo_stack(t)
    t.eq(os.stat(path).st_mode & 0o777, 0o600, "the socket's mode")
    with connect(path) as s:
        s.sendall(b"question")
        t.eq(s.recv(100), b"question", "the answer")
        s.sendall(b"last")
        s.shutdown(socket.SHUT_WR)
        t.eq(read_all(s), b"last", "what comes after our end")


@test(direct=False)
def much_data_both_ways(t):
    """More than all queues hold, while nobody reads at first."""
    _, _, path = echo_stack(t)
    with connect(path) as s:
        def send():
            s.sendall(BIG)
            s.shutdown(socket.SHUT_WR)
        threading.Thread(target=send, daemon=True).start()
        t.ok(read_all(s) == BIG, "all comes back as it was")


@test(direct=False)
def a_slow_one_does_not_hold_up_others(t):
    _, _, path = echo_stack(t)
    with connect(path) as slow, connect(path) as quick:
        slow.setblocking(False)
        sent, idle = 0, 0
        while idle < 3:     # it is full when nothing goes for a while, whatever its queues are
            try:
                sent += slow.send(BIG[:1 << 16])
                idle = 0
            except BlockingIOError:
                idle += 1
                quick.sendall(b"meanwhile")
                t.eq(quick.recv(100), b"meanwhile", "the other's answer")
        t.ok(sent < len(BIG), "there is back-pressure")


@test(direct=False)
def either_side_may_end(t):
    service, stack, path = echo_stack(t)
    service.answer = lambda data: 1 / 0 if data == b"leave" else data
    threading.excepthook = lambda args: None
    with connect(path) as s:
        s.sendall(b"leave")
        t.eq(s.recv(100), b"", "the service's end is seen")
    for _ in range(3):
        with connect(path) as s:
            s.sendall(b"x")
            t.eq(s.recv(1), b"x", "an answer")
    t.wait(lambda: stack.host.log().count("ended: sent service=") == 4, "the host has no connection left")


@test(direct=False)
def descriptors_come_with_their_bytes(t):
    _, _, path = echo_stack(t)
    with connect(path) as s:
        for i in range(20):
            r, w = os.pipe()
            os.write(w, b"%03d" % i)
            os.close(w)
            socket.send_fds(s, [b"<"], [r])
            os.close(r)
            answer = b""
            while len(answer) < 4:
                answer += s.recv(100)
            t.eq(answer, b"<%03d" % i, "the pipe's content in its place")


@test(direct=False)
def sockets_in_sockets(t):
    """A socket that is passed goes on as one, and another in it; 30 at a time."""
    path, got = t.path("sockets"), []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    t.closers.append(listener.close)
    stack = stack_of(t, ["--forward", f"sockets={path}"], ["--forward", f"sockets={t.path('g-sockets')}"])
    stack.start_before_clients()
    with connect(t.path("g-sockets")) as s:
        server, _ = listener.accept()
        server.settimeout(30)
        t.closers.append(server.close)

        def passed(sender, receiver):
            ours, theirs = socket.socketpair()
            socket.send_fds(sender, [b"s"], [theirs.fileno()])
            theirs.close()
            _, fds, _, _ = socket.recv_fds(receiver, 1, 1)
            t.eq(len(fds), 1, "descriptors")
            other = socket.socket(fileno=fds[0])
            other.settimeout(30)
            ours.settimeout(30)
            return ours, other

        for _ in range(30):
            got += [passed(s, server), passed(server, s)]
        a, b = got[0]
        for depth in range(3):
            a.sendall(b"down %d" % depth)
            t.eq(b.recv(100), b"down %d" % depth, "what was said")
            b.sendall(b"up")
            t.eq(a.recv(100), b"up", "and back")
            a, b = passed(b, a)
    server.close()
    for a, b in got[1:]:        # they live on without the connection that they came on
        a.sendall(b"still")
        t.eq(b.recv(100), b"still", "what was said")
        a.close()
        t.eq(b.recv(100), b"", "its end")
        b.close()


@test(direct=False)
def a_datagram_pair_ends(t):
    """Only who sends finds out that the other end is closed, as without us."""
    path = t.path("sockets")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    t.closers.append(listener.close)
    stack = stack_of(t, ["--forward", f"sockets={path}"], ["--forward", f"sockets={t.path('g-sockets')}"])
    stack.start_before_clients()
    with connect(t.path("g-sockets")) as s:
        server, _ = listener.accept()
        server.settimeout(30)
        t.closers.append(server.close)
        for sender, other in ((s, server), (server, s)):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            socket.send_fds(sender, [b"s"], [theirs.fileno()])
            theirs.close()
            _, fds, _, _ = socket.recv_fds(other, 1, 1)
            passed = socket.socket(fileno=fds[0])
            passed.settimeout(30)
            ours.send(b"a packet")
            t.eq(passed.recv(100), b"a packet", "what was said")
            passed.close()

            def refused():
                try:
                    ours.send(b"another")
                except OSError:
                    return True
                return False
            t.wait(refused, "who sends is told")
            ours.close()


@test(direct=False)
def what_cannot_be_carried_is_refused(t):
    _, stack, path = echo_stack(t)
    with connect(path) as s, open("/dev/null", "r+b") as null:
        socket.send_fds(s, [b"x"], [null.fileno()])
        t.eq(s.recv(100), b"", "the connection ends")
    t.has("service echo: a descriptor is not carried", stack.guest.log(), "the log of who refused")
    with connect(path) as s:
        s.sendall(b"again")
        t.eq(s.recv(100), b"again", "others go on")


@test(direct=False)
def only_what_is_allowed(t):
    service = Echo(t, t.path("echo"))
    conf = t.write("services.conf", f"[forward echo]\npath = {service.path}\n"
                                    f"[forward other]\npath = {service.path}\n")
    stack = stack_of(t, ["--config", conf, "--forward", "echo"],
                     ["--forward", f"echo={t.path('g-echo')}", "--forward", f"other={t.path('g-other')}"])
    stack.start_before_clients()
    for _ in range(3):
        with connect(t.path("g-other")) as s:
            t.eq(s.recv(100), b"", "a service that is not allowed")
    t.eq(service.connections, 0, "connections of the host's service")
    t.eq(stack.host.log().count('"forward = other" in its section would allow it'), 1, "lines in the host's log")
    with connect(t.path("g-echo")) as s:
        s.sendall(b"allowed")
        t.eq(s.recv(100), b"allowed", "the one that is")


@test(direct=False)
def a_service_that_is_not_there(t):
    stack = stack_of(t, ["--forward", f"gone={t.path('gone')}"], ["--forward", f"gone={t.path('g-gone')}"])
    stack.start_before_clients()
    with connect(t.path("g-gone")) as s:
        t.eq(s.recv(100), b"", "the connection ends")
    t.has("the service gone cannot be reached", stack.host.log(), "the host's log")
    t.lacks(t.path("gone"), stack.guest.log(), "paths of the host in the guest's log")
    Echo(t, t.path("gone"))
    with connect(t.path("g-gone")) as s:
        s.sendall(b"now")
        t.eq(s.recv(100), b"now", "the answer of one that came later")


@test(direct=False)
def seqpacket(t):
    """Packets stay apart, empty ones as well."""
    service = Echo(t, t.path("packets"), socket.SOCK_SEQPACKET, lambda data: b"<%s>" % data)
    conf = t.write("services.conf", f"[forward packets]\npath = {service.path}\ntype = seqpacket\n")
    stack = stack_of(t, ["--config", conf, "--forward", "packets"],
                     ["--forward", f"packets:seqpacket={t.path('g-packets')}"])
    stack.start_before_clients()
    with connect(t.path("g-packets"), socket.SOCK_SEQPACKET) as s:
        for packet in (b"one", b"two", b"x" * 60000):
            s.send(packet)
        for packet in (b"one", b"two", b"x" * 60000):
            t.eq(s.recv(1 << 17), b"<%s>" % packet, "a packet")


def receiver(t, path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(30)
    t.closers.append(s.close)
    return s


@test(direct=False)
def datagrams(t):
    """A log's socket: whoever sends packets to it, without a connection, with descriptors, empty ones as well."""
    log = receiver(t, t.path("log"))
    conf = t.write("services.conf", f"[forward log]\npath = {t.path('log')}\ntype = dgram\n")
    stack = stack_of(t, ["--config", conf, "--forward", "log"], ["--forward", f"log:dgram={t.path('g-log')}"])
    stack.start_before_clients()
    path = t.path("g-log")
    t.eq(os.stat(path).st_mode & 0o777, 0o600, "the socket's mode")
    packets = [b"one", b"", b"two", b"x" * 100000, b"", b"last"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        for packet in packets:
            s.sendto(packet, path)
            t.eq(log.recv(1 << 20), packet, f"a packet of {len(packet)} bytes")
        other.connect(path)
        for i in range(300):        # more than any queue has room for
            other.send(b"%d" % i) if i % 2 else s.sendto(b"%d" % i, path)
            if i % 3 == 2:
                t.eq([log.recv(100) for _ in range(3)], [b"%d" % n for n in range(i - 2, i + 1)], "packets in their order")
        fd = os.memfd_create("entry", os.MFD_ALLOW_SEALING)      # as journald's large ones come
        os.write(fd, b"much to say")
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 0xf)
        socket.send_fds(other, [b""], [fd])
        os.close(fd)
        data, fds, _, _ = socket.recv_fds(log, 100, 2)
        t.eq((data, len(fds)), (b"", 1), "an empty packet with a descriptor")
        t.eq((os.pread(fds[0], 100, 0), fcntl.fcntl(fds[0], fcntl.F_GET_SEALS)), (b"much to say", 0xf), "what that has")
        os.close(fds[0])
    if shutil.which("logger"):
        subprocess.run(["logger", "--socket", path, "--id=7", "-t", "vm", "from the guest"], check=True, timeout=60)
        t.has("from the guest", log.recv(1000).decode(), "a line of logger's")


@test(direct=False)
def datagrams_and_a_service_that_starts_anew(t):
    log = receiver(t, t.path("log"))
    conf = t.write("services.conf", f"[forward log]\npath = {t.path('log')}\ntype = dgram\n")
    stack = stack_of(t, ["--config", conf, "--forward", "log"], ["--forward", f"log:dgram={t.path('g-log')}"])
    stack.start_before_clients()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(b"first", t.path("g-log"))
        t.eq(log.recv(100), b"first", "a packet")
        log.close()
        os.unlink(t.path("log"))
        log = receiver(t, t.path("log"))

        def arrives():      # what was sent before it was noticed is lost, as without us
            s.sendto(b"again", t.path("g-log"))
            log.settimeout(0.5)
            try:
                return log.recv(100) == b"again"
            except TimeoutError:
                return False
        t.wait(arrives, "the next one gets packets")


@test(direct=False)
def ssh_agent(t):
    """The host's agent, for a command in the VM that needs no display."""
    t.need("ssh-agent", "ssh-add", "ssh-keygen")
    agent = t.spawn(["ssh-agent", "-D", "-a", t.path("agent")], name="ssh-agent")
    t.wait(lambda: os.path.exists(t.path("agent")), "the agent is there")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of the host", "-f", t.path("key")], check=True)
    subprocess.run(["ssh-add", "-q", t.path("key")], check=True, capture_output=True,
                   env=t.env(SSH_AUTH_SOCK=t.path("agent")))
    stack = stack_of(t, ["--forward", "agent"], ["--forward", "agent"],
                     host_env={"SSH_AUTH_SOCK": t.path("agent")}, guest_env={"XDG_RUNTIME_DIR": t.mkdir("run")})
    stack.display = "none"
    stack.start_host()
    out = t.path("out")
    stack.start_guest(wait=False, command=["sh", "-c", f"ssh-add -l >{out}; echo \"$WAYLAND_DISPLAY.\" >>{out}"])
    t.eq(stack.guest.wait(60), 0, "the command's status")
    with open(out) as f:
        text = f.read()
    t.has("of the host", text, "the keys that the command saw")
    t.ok(text.endswith("\n.\n"), "there is no display")
    t.ok(not os.path.exists(t.path("run", "wayvsock", "agent")), "its socket is gone")
    agent.expected_exit = agent.any_status = True


def serving(t, guest_args, **options):
    """A stack whose host listens for a service of the guest's."""
    conf = t.write("services.conf", f"[forward back]\ndirection = to-guest\nlisten = {t.path('%v-back')}\n")
    stack = stack_of(t, ["--config", conf, "--forward", "back"], guest_args, **options)
    return stack, t.path("test-back")


@test(direct=False)
def the_host_reaches_the_guest(t):
    """The other way round: a program of the host uses what a program of the VM serves."""
    service = Echo(t, t.path("in-the-guest"))
    stack, path = serving(t, ["--serve", f"back={service.path}"])
    stack.start_before_clients()
    t.eq(os.stat(path).st_mode & 0o777, 0o600, "the socket's mode")
    for _ in range(3):
        with connect(path) as s:
            r, w = os.pipe()
            os.write(w, b"of a pipe")
            os.close(w)
            socket.send_fds(s, [b"question "], [r])
            os.close(r)
            answer = b""
            while len(answer) < 18:
                answer += s.recv(100)
            t.eq(answer, b"question of a pipe", "the answer")
            s.sendall(BIG[:1 << 20])
            s.shutdown(socket.SHUT_WR)
            t.ok(read_all(s) == BIG[:1 << 20], "much data")
    t.eq(service.connections, 3, "connections")


@test(direct=False)
def the_guest_is_not_there(t):
    """The host's socket is there from the start to the end, and says in the log why nobody answers."""
    service = Echo(t, t.path("in-the-guest"))
    stack, path = serving(t, ["--serve", f"back={service.path}"])
    stack.start_host()

    def nobody():
        with connect(path) as s:
            t.eq(s.recv(1), b"", "the end")
    nobody()
    t.has("vm test: service back: refused a connection: the VM is not there", stack.host.log(), "the host's log")
    stack.start_guest()
    t.wait(lambda: "connected (its host name" in stack.host.log(), "the VM is connected")
    with connect(path) as s:
        s.sendall(b"now")
        t.eq(s.recv(100), b"now", "an answer")
        inode = os.stat(path).st_ino
        os.kill(stack.host.vm().pid, signal.SIGKILL)    # which takes its connections, and not the socket
        t.eq(s.recv(100), b"", "the end")
    t.eq(os.stat(path).st_ino, inode, "the socket is the same")
    t.wait(lambda: stack.host.log().count("connected (its host name") == 2, "the VM is connected again")
    with connect(path) as s:
        s.sendall(b"again")
        t.eq(s.recv(100), b"again", "an answer")
    stack.stop_guest()
    t.wait(lambda: not stack.host.vm(), "its process has ended")
    nobody()
    stack.stop_host()
    t.ok(not os.path.exists(path), "the socket is gone")


def activated(t, stack, start, listen, name):
    """Starts a daemon as systemd does when somebody comes to a socket of that name."""
    t.need("systemd-socket-activate")
    environment = [word for key in ("XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS") for word in ("-E", key)]
    stack.wrapper = ["systemd-socket-activate", *environment, f"--fdname={name}", "-l", listen]
    process = start(wait=False)
    t.wait(lambda: listens(listen), f"{name}'s socket is there")
    stack.wrapper = []
    return process


@test(direct=False)
def systemd_s_socket_in_the_guest(t):
    """A socket unit's FileDescriptorName= says which service it is of; the display has one of its own then."""
    service = Echo(t, t.path("echo"))
    stack = stack_of(t, ["--forward", f"echo={service.path}"], ["--forward", "echo"])
    stack.start_host()
    activated(t, stack, stack.start_guest, t.path("of-systemd"), "echo")
    with connect(t.path("of-systemd")) as s:
        s.sendall(b"question")
        t.eq(s.recv(100), b"question", "the answer")
    t.has(f"serving {t.path('of-systemd')}, the host's echo", stack.guest.log(), "the guest's log")
    t.ok(stack.usable(), "there is a display")
    stack.stop_guest()
    t.ok(os.path.exists(t.path("of-systemd")), "who made the socket removes it")


def systemd_s_socket_on_the_host(t, listen, name):
    """The same for what the guest serves."""
    service = Echo(t, t.path("in-the-guest"))
    stack, path = serving(t, ["--serve", f"back={service.path}"])
    activated(t, stack, stack.start_host, listen, name)
    with connect(listen) as s:      # starts it
        t.eq(s.recv(1), b"", "the end")
    t.wait(lambda: "the VM is not there" in stack.host.log(), "the daemon is there")
    stack.start_guest()
    t.wait(lambda: "connected (its host name" in stack.host.log(), "the VM is connected")
    with connect(listen) as s:
        s.sendall(b"question")
        t.eq(s.recv(100), b"question", "the answer")
    t.eq(os.path.exists(path), listen == path, "the socket that it would have made")
    stack.stop_guest()
    stack.stop_host()
    t.ok(os.path.exists(listen), "who made the socket removes it")


@test(direct=False)
def systemd_s_socket_on_the_host_by_its_path(t):
    systemd_s_socket_on_the_host(t, t.path("test-back"), "any")


@test(direct=False)
def systemd_s_socket_on_the_host_by_its_name(t):
    systemd_s_socket_on_the_host(t, t.path("elsewhere"), "back")


@test(direct=False)
def the_guest_serves_nothing(t):
    stack, path = serving(t, ["--serve", f"other={t.path('nobody')}"])
    stack.start_before_clients()
    with connect(path) as s:
        t.eq(s.recv(1), b"", "the end")
    t.has("the guest says: there is no such service", stack.host.log(), "the host's log")


@test(direct=False)
def the_guest_s_service_is_not_there(t):
    stack, path = serving(t, ["--serve", f"back={t.path('later')}"])
    stack.start_before_clients()
    with connect(path) as s:
        t.eq(s.recv(1), b"", "the end")
    Echo(t, t.path("later"))
    with connect(path) as s:
        s.sendall(b"now")
        t.eq(s.recv(100), b"now", "the answer of one that came later")


def check(t, argv, status, *lines, **env):
    """What --check says has these lines, and it ends so."""
    done = subprocess.run([*argv, "--check"], capture_output=True, text=True, timeout=100, env=t.env(**env))
    t.eq(done.returncode, status, f"the status:\n{done.stdout}{done.stderr}")
    for line in lines:
        t.has(line + "\n", done.stdout, "what it says")


@test(direct=False)
def check_on_the_host(t):
    """A line for each service of a VM: ok, a note that nobody is there yet, or what cannot work."""
    service = Echo(t, t.path("echo"))
    conf = t.write("services.conf", f"""[forward echo]
path = {service.path}
[forward later]
path = {t.path("later")}
[forward program]
exec = sh -c true
[forward back]
direction = to-guest
listen = {t.path("%v-back")}
[forward nothing]
exec = /nowhere/program
[forward unset]
path = $NO_SUCH_SOCKET
""")
    fake = t.fake()
    argv = [os.environ["WAYVSOCK_HOST"], "--config", conf, "--listen", f"unix:{t.path('h')}", "--vm", "x", "--compositor", fake.socket]
    good = [word for name in ("echo", "later", "program", "back") for word in ("--forward", name)]
    check(t, argv + good, 0, f"ok    vm x: the service echo: {service.path}",
          f"note  vm x: the service later: nobody is there yet: cannot connect to {t.path('later')}: No such file or directory",
          "ok    vm x: the service program: sh, for each connection",
          f"ok    vm x: the service back of the VM's, for programs here: unix:{t.path('x-back')}")
    t.ok(not os.path.exists(t.path("x-back")), "no socket is left")
    check(t, argv + ["--forward", "nothing"], 1, "FAIL  vm x: the service nothing: /nowhere/program is no program that is there")
    check(t, argv + ["--forward", "unset"], 1, "FAIL  vm x: the service unset: NO_SUCH_SOCKET is not set")
    host = t.spawn(argv + good, t.env(), name="wayvsock-host")
    t.wait(lambda: os.path.exists(t.path("x-back")), "a daemon is there")
    check(t, argv + good, 0, f"note  vm x: the service back of the VM's, for programs here: unix:{t.path('x-back')}: a running wayvsock-host has it "
                             f"(wayvsock-host, process {host.pid})")


@test(direct=False)
def check_in_the_guest(t):
    """The same there: whether the host lets the VM have it, and whether somebody is there."""
    service = Echo(t, t.path("echo"))
    stack = stack_of(t, ["--forward", f"echo={service.path}", "--forward", f"gone={t.path('gone')}"],
                     ["--forward", f"echo={t.path('g-echo')}"])
    stack.start_host()
    argv = [os.environ["WAYVSOCK_GUEST"], "--connect", stack.guest_address]
    services = ["--forward", f"echo={t.path('g-echo')}", "--forward", f"gone={t.path('g-gone')}",
                "--serve", f"a={service.path}", "--serve", f"b={t.path('nobody')}"]
    lines = ["ok    the host's service echo", "note  the host's service gone: nobody is there yet: the service cannot be reached: the host's log says why",
             f"ok    what is served to the host as a: {service.path}",
             f"note  what is served to the host as b: nobody is there yet: cannot connect to {t.path('nobody')}: No such file or directory"]
    check(t, argv + ["--display", t.path("other"), *services], 0, f"ok    the socket of the service echo: unix:{t.path('g-echo')}", *lines)
    check(t, argv + ["--display", "none", *services], 0, *lines)    # without a display, too
    check(t, argv + ["--display", "none", "--forward", f"other={t.path('g-other')}"], 1, "FAIL  the host's service other: there is no such service")
    check(t, argv + ["--display", "none", "--forward", f"echo:seqpacket={t.path('g-other')}"], 1,
          "FAIL  the host's service echo: the service echo has another type: stream, not seqpacket")
    t.ok(not [name for name in os.listdir(t.path()) if name.startswith("g-")], "no socket is left")
    stack.start_guest()
    check(t, argv + ["--display", "none", *services], 0, f"note  the socket of the service echo: unix:{t.path('g-echo')}: a running wayvsock-guest has it "
                                                         f"(wayvsock-guest, process {stack.guest.pid})", *lines)
    with connect(t.path("g-echo")) as s:
        s.sendall(b"still")
        t.eq(s.recv(100), b"still", "the daemon serves")


@test(direct=False)
def check_what_is_shared(t):
    """Either side says what becomes of memory, dmabufs and sync files."""
    service = Echo(t, t.path("echo"))
    conf = t.write("shared.conf", f"""[forward echo]
path = {service.path}
memory = share
dmabufs = once
sync-files = once
[forward only]
path = {service.path}
dmabufs = share
""")
    arguments = ["--config", conf, "--forward", "echo", "--forward", "only"]
    stack = stack_of(t, arguments, ["--forward", f"echo={t.path('g-echo')}"])
    kind = "signalled sync files" if os.access("/dev/udmabuf", os.W_OK) else "eventfds that can be read: real ones take /dev/udmabuf and Linux 6.0"
    argv = [os.environ["WAYVSOCK_HOST"], *arguments, "--listen", f"unix:{t.path('h')}", "--vm", "x", "--compositor", stack.compositor.socket]
    check(t, argv, 0, "note  vm x: the service echo: memory is mirrored: to share it takes the VM's GPU device (gpu = PATH)",
          "note  vm x: the service echo: dmabufs are copied: to share them takes the VM's GPU device (gpu = PATH)",
          f"note  vm x: the service echo: sync files arrive as {kind}",
          "note  vm x: the service only: dmabufs are refused: to share them takes the VM's GPU device (gpu = PATH)")
    check(t, argv + ["--gpu", "auto"], 0,
          "note  vm x: the service echo: memory is shared where the VM's GPU device makes a udmabuf of it, and else mirrored (each "
          "connection's log says which)",
          "note  vm x: the service only: dmabufs are shared where the VM's GPU device can, and else refused")
    stack.start_host()
    argv = [os.environ["WAYVSOCK_GUEST"], "--connect", stack.guest_address, "--display", "none", "--gpu", "off",
            *(word for name in ("echo", "only") for word in ("--forward", f"{name}={t.path('g-' + name)}"))]
    check(t, argv, 0, "note  the host's service echo: memory is mirrored: --gpu off", "note  the host's service echo: dmabufs are copied: --gpu off",
          "note  the host's service only: dmabufs are refused: --gpu off")


@test(direct=False)
def the_session_ends(t):
    """When the host's daemon goes, so do the connections; the sockets wait for the next one."""
    _, stack, path = echo_stack(t)
    with connect(path) as s:
        s.sendall(b"x")
        t.eq(s.recv(1), b"x", "an answer")
        stack.host.stop()
        t.eq(s.recv(1), b"", "the end")
    stack.start_host()
    with connect(path) as s:
        s.sendall(b"y")
        t.eq(s.recv(1), b"y", "an answer of the next")


if __name__ == "__main__":
    main()
