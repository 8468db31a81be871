# SPDX-License-Identifier: MIT
"""The proxy pair between a test and a compositor, over any transport that works without a VM."""

import os
import select
import socket
import time

from .proc import wait_until
from .tap import Failure
from .vmm import HybridVmm

SHARED_FILES = 8
TOKEN = "an integration test's token, long enough to pass"


class Notify:
    """The receiving end of sd_notify."""

    def __init__(self, path):
        self.path = path
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)

    def poll(self):
        while True:
            try:
                self.messages += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.messages

    def ready(self):
        return "READY=1" in self.poll()

    def close(self):
        self.socket.close()
        os.unlink(self.path)


class Stack:
    """wayvsock-host and wayvsock-guest around a compositor.  .display is what the guest's programs connect to.

    With WAYVSOCK_DIRECT there are no daemons and .display is the compositor itself."""

    vsock_port = 1099

    def __init__(self, context, compositor, transport=None, vm="test", host_args=(), guest_args=(),
                 config=None, token=None, start=True, wrapper=(), host_token=None, ok_style="plain", settle=True,
                 host_env=None, guest_env=None, tag=""):
        self.context = context
        self.compositor = compositor
        self.direct = context.direct
        transport = transport or os.environ.get("WAYVSOCK_TRANSPORT", "unix")
        self.transport = transport
        self.vm = vm
        self.tag = tag
        self.host_args = list(host_args)
        self.guest_args = list(guest_args)
        self.wrapper = list(wrapper)
        self.host_env = host_env or {}
        self.guest_env = guest_env or {}
        self.host = self.guest = self.vmm = None
        self.config = config
        self.token_host = host_token if host_token is not None else token
        self.token_guest = token
        self.baseline = None
        self.config_checked = False
        self._generation = 0
        self._started = {}      # the last one of each name
        if self.direct:
            self.display = compositor.socket
            return
        self.dir = context.mkdir(f"s{tag}")
        self.display = os.path.join(self.dir, "wl")
        if transport == "unix":
            self.host_address = self.guest_address = f"unix:{self.dir}/h"
            self.link_path = f"{self.dir}/h"
        elif transport == "mux":
            self.host_address = self.guest_address = f"vsock-mux:{self.dir}/v:1100"
            self.link_path = f"{self.dir}/v_1100"
            self.vmm = HybridVmm(f"{self.dir}/v", ok_style)
            context.closers.append(self.vmm.close)
            if token is None:
                self.token_host = self.token_guest = TOKEN
        elif transport == "vsock":      # inside a guest kernel, see tests/guest
            Stack.vsock_port += 1       # several stacks may run at a time
            port = Stack.vsock_port
            self.host_address, self.guest_address, self.vm = f"vsock:{port}", f"vsock:1:{port}", f"{vm}:1"
            self.link_path = None
        else:
            raise Failure(f"unknown transport {transport}")
        if start:
            self.start_host()
            self.start_guest()
            self.wait_link()
            if settle:
                self.settle()

    def _token(self, name, text):
        return ["--token", self.context.write(f"{name}{self.tag}.token", text + "\n")]

    def host_argv(self):
        argv = self.wrapper + [os.environ["WAYVSOCK_HOST"]]
        if self.config is not None:
            argv += ["--config", self.context.write(f"host{self.tag}.conf", self.config_text())]
        else:
            argv += ["--listen", self.host_address, "--vm", self.vm]
            if self.token_host:
                argv += self._token("host", self.token_host)
        argv += ["--compositor", self.compositor.socket, "--log-level", "debug"]
        return argv + self.host_args

    def config_text(self):
        if self.transport == "vsock":   # there the CID says which VM it is, not the listener
            return f"[host]\nlisten = {self.host_address}\n" + self.config.replace("listen = @ADDRESS@", "cid = 1")
        return self.config.replace("@ADDRESS@", self.host_address)

    def guest_argv(self, command=()):
        argv = self.wrapper + [os.environ["WAYVSOCK_GUEST"], "--connect", self.guest_address,
                               "--display", self.display, "--log-level", "debug"]
        if self.token_guest:
            argv += self._token("guest", self.token_guest)
        argv += self.guest_args
        return argv + (["--", *command] if command else [])

    def _start(self, name, argv, env):
        self._generation += 1
        before = self._started.get(name)
        if before and not before.alive:     # a test may start hundreds
            before.notify.close()
        notify = Notify(os.path.join(self.dir, f"n{self._generation}"))
        proc = self.context.spawn(argv, self.context.env(NOTIFY_SOCKET=notify.path, **env),
                                  name=f"{name}{self.tag}")
        proc.is_daemon = True
        proc.notify = notify
        self._started[name] = proc
        return proc

    def start_host(self, wait=True):
        self.host = self._start("wayvsock-host", self.host_argv(), self.host_env)
        if wait:
            self.wait_ready(self.host)
        return self.host

    def start_guest(self, wait=True, command=()):
        self.guest = self._start("wayvsock-guest", self.guest_argv(command), self.guest_env)
        if wait:
            self.wait_ready(self.guest)
        return self.guest

    def start_before_clients(self):
        """Both daemons, which know each other; nobody has connected to the compositor yet."""
        self.start_host()
        self.start_guest()
        wait_until(lambda: "connected (its host name" in self.host.log(), "the VM is connected")
        return self

    def wait_ready(self, proc):
        def ready():
            if not proc.alive:
                raise Failure(f"{proc.name} ended with status {proc.popen.returncode} before it was ready")
            return proc.notify.ready()
        wait_until(ready, f"{proc.name} sends READY=1")

    def usable(self):
        """True if a client gets through to the compositor."""
        from .client import Client
        try:
            with Client(self.display, timeout=5) as c:
                c.roundtrip()
                return True
        except (OSError, EOFError, Failure):
            return False

    def wait_link(self):
        wait_until(self.usable, "a client gets through")
        for proc in (self.host, self.guest):    # a daemon that tells of many sessions would wait for a reader
            proc.notify.poll()

    def settle(self):
        """Takes the descriptor counts that check_fds() compares with; the end of the test does that, too."""
        if self.direct:
            return
        for _ in range(3):
            wait_until(self.usable, "a client gets through")
        previous = None

        def stable():
            nonlocal previous
            now = (self.host.fds(), self.guest.fds())
            same = now == previous
            previous = now
            time.sleep(0.1)
            return same
        wait_until(stable, "the daemons' descriptors settle")
        self.baseline = previous
        self.context.checks.append(self.check_fds)

    def check_fds(self):
        """The daemons hold what they held when they were ready, no more."""
        if self.direct or not self.baseline:
            return
        for proc, before in ((self.host, self.baseline[0]), (self.guest, self.baseline[1])):
            if proc.expected_exit or not proc.alive:
                continue
            def now():
                # A few read-once files are kept for the next client: one keymap serves all.
                fds = proc.fds()
                cached = [f for f in fds if f.startswith("/memfd:wayvsock")][:SHARED_FILES]
                for f in cached:
                    fds.remove(f)
                return fds
            try:
                wait_until(lambda: len(now()) <= len(before), "", 10)
            except Failure:
                left = now()
                for target in before:
                    if target in left:
                        left.remove(target)
                raise Failure(f"{proc.name} holds {len(left)} more descriptors than at first: {left[:20]}") from None

    def stuck(self, sock):
        """Nothing moves any more: what is written to that socket is not taken, and the daemons wait."""
        for _ in range(10):
            if select.select([], [sock], [], 0.01)[1] or not self.direct and not (self.host.asleep and self.guest.asleep):
                return False
        return True

    def env(self, **more):
        """For a program in the guest."""
        return self.context.env(WAYLAND_DISPLAY=self.display,
                                XDG_RUNTIME_DIR=self.context.mkdir("guest-run"), **more)

    def spawn(self, *argv, **more):
        return self.context.spawn(list(argv), self.env(**more), name=os.path.basename(argv[0]))

    def client(self, **options):
        """A raw client in the guest, already through a round trip."""
        from .client import Client
        client = Client(self.display, **options)
        self.context.guests.append(client.close)
        return client

    def stop_guest(self):
        return self.guest.stop()

    def stop_host(self):
        return self.host.stop()
