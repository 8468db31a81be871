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


class Proc:
    """One child process, with its output in a file."""

    def __init__(self, name, argv, log, env, pass_fds=(), cwd=None, stdin=subprocess.DEVNULL,
                 stdout=None, preexec=None):
        self.name = name
        self.log_path = log
        self.expected_exit = False
        self.is_daemon = self.is_compositor = False
        self.hung = False
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, stdin=stdin, stdout=stdout or out, stderr=out, env=env,
                                          pass_fds=pass_fds, cwd=cwd, preexec_fn=preexec,
                                          start_new_session=True)
        self.pid = self.popen.pid

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
