# SPDX-License-Identifier: MIT
"""TAP runner.

A test is a function that takes a Context.  Each runs in a process of its own, which is the subreaper of everything that it
starts: when it ends, in whatever way, nothing of it is left.  A failed test shows the logs of all the processes that it ran,
then why it failed.
"""

import ctypes
import fnmatch
import os
import select
import signal
import sys
import tempfile
import time
import traceback

PR_SET_CHILD_SUBREAPER = 36
PORTS = 16      # that one test may use
_tests = []


class Skip(Exception):
    """Raised by a test that cannot run here."""


class Failure(AssertionError):
    """Raised by the checks in Context."""


def test(function=None, *, timeout=60, direct=True, waits=False):
    """Registers a test.  direct=False: it makes no sense without the proxies.  waits=True: it does little but wait for the
    daemons' own limits, and runs beside the others."""
    def register(f):
        _tests.append((f, timeout, direct, waits))
        return f
    return register(function) if function else register


def descendants(pid):
    """All living descendants of a process, from /proc."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as f:
                    parent = int(f.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), ()):
            found.append(child)
            todo.append(child)
    return found


def kill_descendants(pid):
    for _ in range(50):
        alive = descendants(pid)
        if not alive:
            return
        for child in alive:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.02)


def _run_child(function, number, out):
    from .context import Context
    from .stack import Stack
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.setpgid(0, 0)
    Stack.vsock_port += PORTS * number
    context = Context(function.__name__)
    status, text = "ok", ""
    try:
        try:
            function(context)
            context.check_healthy()
        finally:
            context.stop_all()
        context.check_stopped()
    except Skip as e:
        status, text = "skip", str(e)
    except BaseException:
        status, text = "not ok", context.logs() + traceback.format_exc()
    kill_descendants(os.getpid())
    context.remove()
    out.write(status + "\n" + text)
    out.flush()


class _Run:
    """One test on its way."""

    def __init__(self, function, number, timeout):
        self.timeout = timeout
        self.report = tempfile.TemporaryFile("w+", errors="replace")
        self.deadline = time.monotonic() + timeout
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGTERM, _stop)
            try:
                _run_child(function, number, self.report)
            finally:
                os._exit(0)

    def _ended_by(self, deadline):
        pidfd = os.pidfd_open(self.pid)
        try:
            return bool(select.select([pidfd], [], [], max(0, deadline - time.monotonic()))[0])
        finally:
            os.close(pidfd)

    def finish(self):
        """Waits for its end; returns (status, text)."""
        timed_out = not self._ended_by(self.deadline)
        if timed_out:
            os.kill(self.pid, signal.SIGTERM)       # unwinds the test, which then reports where it hung
            self._ended_by(time.monotonic() + 20)
        for child in descendants(self.pid) + [self.pid]:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.waitpid(self.pid, 0)
        self.report.seek(0)
        status, _, text = self.report.read().partition("\n")
        self.report.close()
        if not status:
            status, text = "not ok", "the test's process died or hung"
        if timed_out:
            status, text = "not ok", f"timed out after {self.timeout} s\n{text}"
        return status, text


class _TimedOut(BaseException):
    pass


def _stop(_signal, _frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _TimedOut("timed out here")


def main():
    """Runs the registered tests that the arguments (globs, all without them) name."""
    patterns = [a for a in sys.argv[1:] if not a.startswith("-")]
    direct = bool(os.environ.get("WAYVSOCK_DIRECT"))
    scale = float(os.environ.get("WAYVSOCK_TIMEOUT_SCALE", "1"))
    chosen = [t for t in _tests
              if not patterns or any(fnmatch.fnmatch(t[0].__name__, p) for p in patterns)]
    if "--list" in sys.argv:
        print("\n".join(t[0].__name__ for t in chosen))
        return
    if not direct:
        missing = [v for v in ("WAYVSOCK_GUEST", "WAYVSOCK_HOST")
                   if not os.access(os.environ.get(v, ""), os.X_OK)]
        if missing:
            print(f"1..0 # SKIP {' and '.join(missing)} must name the daemons (or set WAYVSOCK_DIRECT=1)")
            return
    print(f"1..{len(chosen)}")
    failed = 0
    beside = {}
    for number, (function, timeout, can_direct, waits) in enumerate(chosen, 1):
        if waits and (can_direct or not direct):
            beside[number] = _Run(function, number, timeout * scale)
    for number, (function, timeout, can_direct, waits) in enumerate(chosen, 1):
        name = function.__name__
        if direct and not can_direct:
            status, text = "skip", "needs the proxies"
        else:
            status, text = (beside.get(number) or _Run(function, number, timeout * scale)).finish()
        if status == "skip":
            print(f"ok {number} - {name} # SKIP {text}")
        else:
            print(f"{status} {number} - {name}")
            for line in text.splitlines():
                print(f"# {line}")
            failed += status != "ok"
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
