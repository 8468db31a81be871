# SPDX-License-Identifier: MIT
"""What a daemon asks of the kernel.  Counted between its own heartbeats, so that no clock and no speed matters."""

import os
import re
import signal

from .tap import Skip

# A return from waiting: for something that happened, or for a signal.
_WAKE = re.compile(r"epoll_p?wait2?\b.*\) += (?:[1-9]|-1 EINTR)")
_EXPIRY = re.compile(r"read\(\d+<anon_inode:\[timerfd\]>")
_ALARM = re.compile(r"timerfd_settime\(.*it_value=\{tv_sec=(\d+), tv_nsec=(\d+)\}")
_REFUSAL = re.compile(r"accept4?\b.*= -1 E[MN]FILE")
_PING = re.compile(r'send\w+\(.*"\\x08\\x00\\x00\\x00\\x04\\x00\\x00\\x00')     # protocol/frames.h: its size and type
_CALLS = "/^(epoll_p?wait2?|read|timerfd_settime|accept4?|send(to|msg))$"


class Trace:
    """Follows daemons that run already, until stop()."""

    def __init__(self, context, *procs):
        context.need("strace")
        self.path = context.path("trace")
        self.pids = {p.pid: p.pids for p in procs}      # a daemon may be several processes
        everybody = [pid for pids in self.pids.values() for pid in pids]
        attach = [arg for pid in everybody for arg in ("-p", str(pid))]
        self.strace = context.spawn(["strace", "-f", "-y", "-x", "-s", "32", "-e", f"trace={_CALLS}",
                                     "-o", self.path, *attach])
        context.wait(lambda: not self.strace.alive or self.strace.log().count(" attached") >= len(everybody),
                     "strace follows the daemons")
        if not self.strace.alive:
            raise Skip(f"strace may not follow the daemons: {self.strace.log().strip()[-200:]}")

    def stop(self):
        self.strace.signal(signal.SIGINT)
        self.strace.wait()

    def calls(self, proc):
        """The lines about one daemon."""
        if not os.path.exists(self.path):
            return []
        with open(self.path) as f:
            return [line for line in f if int(line.split(maxsplit=1)[0]) in self.pids[proc.pid]]

    def wakes(self, proc):
        return sum(bool(_WAKE.search(line)) for line in self.calls(proc))

    def expiries(self, proc):
        return sum(bool(_EXPIRY.search(line)) for line in self.calls(proc))

    def pings(self, proc):
        """The heartbeats that it sent."""
        return sum(bool(_PING.search(line)) for line in self.calls(proc))

    def alarms(self, proc):
        """When its timer was set to expire, in seconds of CLOCK_MONOTONIC, in the order of setting it."""
        found = [_ALARM.search(line) for line in self.calls(proc)]
        return [int(m[1]) + int(m[2]) / 1e9 for m in found if m]

    def between_pings(self, proc):
        """(returns from waiting, accepts for which it has no descriptor left) between each two heartbeats."""
        found = []
        for line in self.calls(proc):
            if _PING.search(line):
                found.append([0, 0])
            elif found:
                found[-1][0] += bool(_WAKE.search(line))
                found[-1][1] += bool(_REFUSAL.search(line))
        return found[:-1]
