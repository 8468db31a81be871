# SPDX-License-Identifier: MIT
"""Processes that a test starts, and what /proc says about them."""

import os
import signal
import subprocess
import time


def wait_until(condition, what, timeout=20):
    """Polls until condition() is true and returns its value.  A time-out is a failure that names what."""
    from .tap import Failure
    scale = float(os.environ.get("WAYVSOCK_TIMEOUT_SCALE", "1"))
    deadline = time.monotonic() + timeout * scale
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"never happened: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def alive(pid):
    """Whether that process still runs: one that only its parent has not heard of does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def listens(path):
    """Whether somebody listens at that socket: one that is bound may still refuse who comes."""
    accepts = 1 << 16       # __SO_ACCEPTCON
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as f:
        return any(line.rstrip("\n").endswith(f" {path}") and int(line.split()[3], 16) & accepts for line in f)


class Process:
    """A process that is there, and what the kernel says about it."""

    def __init__(self, pid, name):
        self.pid = pid
        self.name = name

    @property
    def pids(self):
        return [self.pid]

    def signal(self, number):
        os.kill(self.pid, number)

    @property
    def asleep(self):
        """It waits for something to happen, having done all that it had to do."""
        with open(f"/proc/{self.pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "S"

    def fds(self):
        """The targets of its descriptors, sorted, without the numbers that tell one socket from another."""
        found = []
        base = f"/proc/{self.pid}/fd"
        for fd in os.listdir(base):
            try:
                target = os.readlink(f"{base}/{fd}")
            except OSError:
                continue
            found.append(target.partition(":[")[0])
        return sorted(found)

    def _status(self, key):
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        return 0

    def rss_kib(self):
        """Private memory: what the process itself holds, without shared mappings."""
        return self._status("RssAnon")

    def shmem_kib(self):
        return self._status("RssShmem")

    def mirror_blocks(self):
        """Allocated 512-byte blocks of the memfds it holds, one entry a file."""
        files = {}
        base = f"/proc/{self.pid}/fd"
        for fd in os.listdir(base):
            try:
                if os.readlink(f"{base}/{fd}").startswith("/memfd:"):
                    st = os.stat(f"{base}/{fd}")
                    files[(st.st_dev, st.st_ino)] = st.st_blocks
            except OSError:
                continue
        return sorted(files.values())


class Proc(Process):
    """One child process, with its output in a file."""

    def __init__(self, name, argv, log, env, pass_fds=(), cwd=None, stdin=subprocess.DEVNULL,
                 stdout=None, preexec=None):
        self.log_path = log
        self.expected_exit = False
        self.is_daemon = self.is_compositor = False
        self.hung = False
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, stdin=stdin, stdout=stdout or out, stderr=out, env=env,
                                          pass_fds=pass_fds, cwd=cwd, preexec_fn=preexec,
                                          start_new_session=True)
        super().__init__(self.popen.pid, name)

    @property
    def alive(self):
        return self.popen.poll() is None

    def wait(self, timeout=30):
        """The exit status; a process that goes on is a failure."""
        wait_until(lambda: not self.alive, f"{self.name} exits", timeout)
        self.expected_exit = True
        return self.popen.returncode

    def stop(self, timeout=15):
        """SIGTERM, then the exit status; None if it had to be killed."""
        self.expected_exit = True
        if self.alive:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.hung = True
                self.kill()
                return None
        return self.popen.returncode

    def kill(self):
        self.expected_exit = True
        if self.alive:
            self.popen.kill()
            self.popen.wait()

    def signal(self, number):
        self.popen.send_signal(number)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()


def ended(pid):
    """It is gone, or nobody has asked for its status yet."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class HostProc(Proc):
    """wayvsock-host, which is a process that all come to, one that starts others, and one for each VM that is there.  What
    it has is what they have together, and all of them end with it."""

    @property
    def family(self):
        from .tap import descendants
        members = [Process(self.pid, self.name)]
        for pid in descendants(self.pid):
            try:
                with open(f"/proc/{pid}/comm") as f:
                    members.append(Process(pid, f.read().strip()))
            except OSError:
                continue
        return members

    @property
    def pids(self):
        return [p.pid for p in self.family]

    def _sum(self, ask):
        total = None
        for member in self.family:
            try:
                value = ask(member)
            except OSError:     # it ended meanwhile
                continue
            total = value if total is None else total + value
        return total

    def vm(self, name=None):
        """The process of a VM (None: of the only one), or None."""
        found = [p for p in self.family if p.name.startswith("vm ") and name in (None, p.name[3:])]
        return found[0] if found else None

    @property
    def asleep(self):
        return self._sum(lambda p: [p.asleep]).count(False) == 0

    def fds(self):
        return sorted(self._sum(Process.fds))

    def rss_kib(self):
        return self._sum(Process.rss_kib)

    def shmem_kib(self):
        return self._sum(Process.shmem_kib)

    def mirror_blocks(self):
        return sorted(self._sum(Process.mirror_blocks))

    def signal(self, number):
        """What stops it stops all of it."""
        for pid in self.pids if number in (signal.SIGSTOP, signal.SIGCONT) else [self.pid]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def _end(self, how, *args):
        """However it ends, nothing of it is left."""
        pids = self.pids
        result = how(*args)
        wait_until(lambda: all(ended(pid) for pid in pids), f"{self.name}'s other processes end")
        return result

    def stop(self, timeout=15):
        return self._end(super().stop, timeout)

    def kill(self):
        return self._end(super().kill)
