# SPDX-License-Identifier: MIT
"""What one test has: a directory, its processes, its checks."""

import os
import shutil
import tempfile

from . import compositors, stack
from .proc import HostProc, Proc, wait_until
from .tap import Failure, Skip

# Left over from the session that runs the tests, these would lead a program to the wrong display.
_SCRUBBED = ("WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
             "LISTEN_FDNAMES", "SWAYSOCK", "DBUS_SESSION_BUS_ADDRESS", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM",
             "WAYLAND_DEBUG")


class Context:
    def __init__(self, name):
        self.name = name
        # A tmpfs, as XDG_RUNTIME_DIR is on a real system: some clients make their pools there.
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.dir = tempfile.mkdtemp(prefix="wv-", dir=base)
        os.chmod(self.dir, 0o755)
        self.direct = bool(os.environ.get("WAYVSOCK_DIRECT"))
        self.procs = []
        self.closers = []
        self.guests = []        # closers of what runs in the guest
        self.checks = []
        self._serial = 0

    # -- checks

    def ok(self, condition, what):
        if not condition:
            raise Failure(what)

    def eq(self, seen, expected, what):
        if seen != expected:
            raise Failure(f"{what}: seen {_short(seen)}, expected {_short(expected)}")

    def has(self, part, whole, what):
        if part not in whole:
            raise Failure(f"{what}: {part!r} is not in {_short(whole)}")

    def lacks(self, part, whole, what):
        if part in whole:
            raise Failure(f"{what}: {part!r} is in {_short(whole)}")

    def wait(self, condition, what, timeout=20):
        return wait_until(condition, what, timeout)

    def need(self, *programs):
        """Skips the test where a program is missing."""
        for program in programs:
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")

    # -- things to start

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def mkdir(self, name, mode=0o700):
        path = self.path(name)
        os.makedirs(path, mode=mode, exist_ok=True)
        return path

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def env(self, **changes):
        """The environment for a child: ours without any display, and with its own runtime directory."""
        env = {k: v for k, v in os.environ.items() if k not in _SCRUBBED}
        env["XDG_RUNTIME_DIR"] = self.mkdir("run")
        env["HOME"] = self.mkdir("home")
        env["LC_ALL"] = "C.UTF-8"
        env["GSETTINGS_BACKEND"] = "memory"
        env["NO_AT_BRIDGE"] = "1"
        for key, value in changes.items():
            if value is None:
                env.pop(key, None)
            else:
                env[key] = str(value)
        return env

    def spawn(self, argv, env=None, name=None, **more):
        self._serial += 1
        name = name or os.path.basename(argv[0])
        kind = HostProc if os.environ.get("WAYVSOCK_HOST") in argv and "--check" not in argv else Proc
        proc = kind(name, argv, self.path(f"{self._serial:03d}-{name}.log"), env or self.env(), **more)
        self.procs.append(proc)
        self.closers.append(proc.stop)
        return proc

    def run(self, argv, env=None, timeout=30, **more):
        """Runs a program to its end; returns the process."""
        proc = self.spawn(argv, env, **more)
        proc.wait(timeout)
        return proc

    def sway(self, **options):
        return compositors.Sway(self, **options)

    def weston(self, **options):
        return compositors.Weston(self, **options)

    def fake(self, **options):
        from .fake import FakeCompositor
        fake = FakeCompositor(self, **options)
        self.closers.append(fake.close)
        return fake

    def stack(self, compositor, **options):
        return stack.Stack(self, compositor, **options)

    def connected(self, **options):
        """A fake compositor, the proxies before it, a client, and what the compositor has of that client."""
        fake = self.fake(**options)
        proxies = self.stack(fake)
        client = proxies.client()
        return fake, proxies, client, fake.peer_of(client)

    # -- the end

    def check_healthy(self):
        """Every daemon still runs, and without its clients holds no more descriptors than when it was ready."""
        for close in self.guests:
            close()
        for proc in reversed(self.procs):
            if not proc.is_daemon and not proc.is_compositor:
                proc.stop()
        for proc in self.procs:
            if proc.is_daemon and not proc.expected_exit and not proc.alive:
                raise Failure(f"{proc.name} died with status {proc.popen.returncode}")
        for check in self.checks:
            check()

    def stop_all(self):
        for closer in reversed(self.closers):
            try:
                closer()
            except OSError:
                pass

    def check_stopped(self):
        for proc in self.procs:
            if not proc.is_daemon:
                continue
            log = proc.log()
            for sign in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer", "Assertion `"):
                if sign in log:
                    raise Failure(f"{proc.name}: {sign}")
            if proc.hung:
                raise Failure(f"{proc.name} did not end on SIGTERM")
            if proc.popen.returncode not in (0, -9) and not getattr(proc, "any_status", False):
                raise Failure(f"{proc.name} ended with status {proc.popen.returncode} on SIGTERM")

    def logs(self):
        text = ""
        for proc in self.procs:
            log = proc.log()
            if log:
                lines = log.splitlines()
                if len(lines) > 80:
                    lines = lines[:20] + [f"… {len(lines) - 80} lines …"] + lines[-60:]
                text += f"--- {proc.name} (pid {proc.pid}, status {proc.popen.poll()})\n" + \
                    "\n".join(line[:300] for line in lines) + "\n"
        return text

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def _short(value):
    text = repr(value)
    return text if len(text) < 600 else text[:600] + "…"
