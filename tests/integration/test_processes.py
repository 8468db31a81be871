#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-host's processes: what becomes of one VM's is felt by no other VM, and nothing is left behind."""

import os
import random
import resource
import signal
import threading
import time

from harness import Failure, main, test
from harness.client import Client, Pool, ProtocolError
from harness.link import CLIENT, CONTROL, DESCRIPTOR, KEY, Link, hello
from harness.proc import ended, wait_until

SIZE = 64


class Neighbour(threading.Thread):
    """An application of the other VM, which draws and listens without a break until stop()."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client = client
        self.surface = client.create(client.bind("wl_compositor", 4), "create_surface")
        self.pool = Pool(client, client.bind("wl_shm", 1), SIZE * SIZE * 4)
        self.shown = self.pool.buffer(0, SIZE, SIZE, SIZE * 4)
        self.frames = 0
        self.error = None
        self.going = True
        self.start()

    def run(self):
        try:
            while self.going:
                self.pool.map[0:4] = self.frames.to_bytes(4, "little")
                self.client.send(self.surface, "attach", self.shown, 0, 0)
                self.client.send(self.surface, "damage", 0, 0, SIZE, SIZE)
                self.client.send(self.surface, "commit")
                self.client.roundtrip()
                self.frames += 1
                time.sleep(0.01)
        except BaseException as e:      # told by check()
            self.error = e

    def check(self, t):
        before = self.frames
        t.wait(lambda: self.frames > before + 1 or self.error, "the other VM's next frame")
        t.ok(self.error is None, f"the other VM's application: {self.error!r}")

    def stop(self, t):
        self.check(t)
        self.going = False
        self.join()


class Two:
    """One host, two VMs with their daemons, and an application of "two" that goes on whatever happens."""

    def __init__(self, t, compositor, settings="", neighbour=True):
        self.t = t
        two = f"unix:{t.path('two')}"
        self.one = t.stack(compositor, start=False, config=f"[vm one]\nlisten = @ADDRESS@\n{settings}\n"
                                                           f"[vm two]\nlisten = {two}\n{settings}\n")
        self.two = t.stack(compositor, start=False, tag="2")
        self.two.guest_address = two
        self.neighbour = None
        self.start_host()
        self.one.start_guest()
        self.two.start_guest()
        self.wait_link()
        if neighbour:
            self.neighbour = Neighbour(self.two.client())

    @property
    def host(self):
        return self.one.host

    def start_host(self):
        self.two.host = self.one.start_host()

    def wait_link(self):
        self.one.wait_link()
        self.two.wait_link()

    def folders(self):
        """Those of security contexts, and what is below them."""
        run = self.t.path("run")
        return [os.path.join(path, name) for path, folders, files in os.walk(run) if "/wayvsock-" in path
                for name in folders + files] + [n for n in os.listdir(run) if n.startswith("wayvsock-")]

    def stop(self):
        """Ends it all in order; nothing may be left."""
        if self.neighbour:
            self.neighbour.stop(self.t)
        self.t.eq(self.host.stop(), 0, "the host's exit status")
        self.t.eq(self.folders(), [], "folders that are left")
        self.t.eq([p for p in (self.one.link_path, self.t.path("two")) if os.path.exists(p)], [], "sockets that are left")


def cut_off(client):
    """The application hears of it, one way or the other."""
    try:
        for _ in range(2):
            client.roundtrip()
        raise Failure("the application was not disconnected")
    except (ProtocolError, EOFError, OSError):
        client.close()


@test(direct=False)
def each_vm_has_a_process(t):
    two = Two(t, t.fake())
    gate, spawner, *vms = two.host.family
    t.eq(sorted(p.name for p in vms), ["vm one", "vm two"], "processes of VMs")
    t.ok(len(two.host.vm("two").fds()) > len(two.host.vm("one").fds()), "its application's descriptors are its own")
    first = two.host.vm("one").pid
    two.one.stop_guest()
    t.wait(lambda: two.host.vm("one") is None, "the process of a VM that is gone ends")
    t.ok(ended(first), "it is gone")
    two.neighbour.check(t)
    two.one.start_guest()
    two.one.wait_link()
    t.ok(two.host.vm("one").pid != first, "the next session has another")
    t.lacks("its process", two.host.log(), "the host's log")
    two.stop()


@test(direct=False, timeout=120)
def a_vms_process_is_killed(t):
    """At any moment: the other VM notices nothing, and the VM's own daemon comes again."""
    two = Two(t, t.fake())
    for _ in range(4):
        client = two.one.client()
        client.roundtrip()
        process = two.host.vm("one")
        process.signal(signal.SIGKILL)
        cut_off(client)
        two.neighbour.check(t)
        two.one.wait_link()
        t.ok(two.host.vm("one").pid != process.pid, "it is another one")
        t.ok(ended(process.pid), "the one before is gone")
    t.eq(two.host.log().count("its process was ended by signal 9"), 4, "lines in the log")
    two.stop()


@test(direct=False, timeout=240, waits=True)
def a_vms_process_hangs(t):
    """The other VM notices nothing. The VM's daemon comes again, and is served by another process."""
    two = Two(t, t.fake())
    client = two.one.client()
    client.roundtrip()
    process = two.host.vm("one")
    process.signal(signal.SIGSTOP)
    cut_off(client)
    two.neighbour.check(t)
    t.wait(lambda: (two.host.vm("one") or process).pid != process.pid, "a process that answers", 120)
    two.one.wait_link()
    two.neighbour.check(t)
    t.ok(ended(process.pid), "the one that did not answer is gone")
    t.has("its process does not answer", two.host.log(), "the host's log")
    two.stop()


@test(direct=False, waits=True)
def a_short_stop_is_no_hang(t):
    two = Two(t, t.fake())
    client = two.one.client()
    client.roundtrip()
    process = two.host.vm("one")
    process.signal(signal.SIGSTOP)
    waiting = [Link(two.one.link_path) for _ in range(5)]
    for link in waiting:    # who comes meanwhile, waits
        link.send(hello(CLIENT, KEY, bytes(32)))
    two.neighbour.check(t)
    process.signal(signal.SIGCONT)
    for link in waiting:
        t.has("key", link.error()[1], "the answer to a wrong key")
    client.roundtrip()
    t.eq(two.host.vm("one").pid, process.pid, "the process")
    two.stop()


@test(direct=False, timeout=120)
def a_vms_process_has_nothing_left(t):
    """Neither descriptors nor memory: that is its VM's alone."""
    two = Two(t, t.fake())
    process = two.host.vm("one")
    clients = [two.one.client() for _ in range(3)]
    for c in clients:
        c.roundtrip()
    others = [(p.name, p.fds()) for p in two.host.family if p.pid != process.pid]
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (len(process.fds()) + 1,) * 2)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (1 << 20,) * 2)
    for _ in range(20):     # they get an answer or none, but not in the end
        try:
            with Client(two.one.display, timeout=1) as c:
                pool = Pool(c, c.bind("wl_shm", 1), 8 << 20)
                pool.map[:] = bytes(8 << 20)
                c.roundtrip()
        except (ProtocolError, EOFError, OSError, Failure):
            pass
        two.neighbour.check(t)
    def same():
        return [(p.name, p.fds()) for p in two.host.family if p.pid != process.pid] == others
    t.wait(same, f"the other processes have what they had: {others}")
    if not ended(process.pid):
        process.signal(signal.SIGKILL)
    for c in clients:
        c.close()
    two.one.wait_link()
    two.stop()


@test(direct=False, timeout=120, waits=True)
def the_gate_is_killed(t):
    """All of the others end, also one that is stopped, and leave nothing; the next one serves both VMs."""
    two = Two(t, t.fake(), neighbour=False)
    for stopped in (False, True):
        pids = two.host.pids
        t.eq(len(pids), 4, "processes")
        if stopped:
            two.host.vm("one").signal(signal.SIGSTOP)
        two.host.kill()
        t.ok(all(ended(pid) for pid in pids), "all have ended")
        t.eq(two.folders(), [], "folders that are left")
        two.start_host()
        two.wait_link()
    two.stop()


@test(direct=False)
def the_spawner_is_killed(t):
    """Without it no VM could come: the daemon ends with an error, and whoever started it starts it anew."""
    two = Two(t, t.fake(), neighbour=False)
    pids = two.host.pids
    two.host.any_status = True
    two.host.family[1].signal(signal.SIGKILL)
    t.eq(two.host.wait(), 1, "the exit status")
    t.wait(lambda: all(ended(pid) for pid in pids), "all have ended")
    t.has("the process that starts those of the VMs is gone", two.host.log(), "the host's log")
    t.eq(two.folders(), [], "folders that are left")
    t.eq([p for p in (two.one.link_path, t.path("two")) if os.path.exists(p)], [], "sockets that are left")
    two.start_host()
    two.wait_link()
    two.stop()


@test(direct=False, timeout=240)
def any_of_them_is_killed_or_stopped(t):
    """At random moments, while a VM's daemon comes and goes; the number is the seed of what happened."""
    seed = int(os.environ.get("WAYVSOCK_SEED") or random.randrange(1 << 32))
    dice = random.Random(seed)
    two = Two(t, t.fake())
    try:
        for _ in range(int(os.environ.get("WAYVSOCK_KILLS") or 12)):
            links = []
            for _ in range(dice.randrange(4)):
                link = Link(two.one.link_path)
                links.append(link)
                role = dice.choice((CONTROL, CLIENT))
                with open("/dev/null", "rb") as proof:
                    link.send(hello(role, DESCRIPTOR if role == CONTROL else KEY, b"" if role == CONTROL else bytes(32)),
                              [proof.fileno()])
                if dice.randrange(2):
                    link.socket.close()
            time.sleep(dice.random() / 20)
            process = two.host.vm("one")
            if process and dice.randrange(3):
                try:
                    process.signal(signal.SIGKILL)
                except ProcessLookupError:
                    pass
            elif process:
                try:
                    process.signal(signal.SIGSTOP)
                    time.sleep(dice.random() / 20)
                    process.signal(signal.SIGCONT)
                except ProcessLookupError:
                    pass
            for link in links:
                link.socket.close()
            two.neighbour.check(t)
        two.one.wait_link()
        wait_until(lambda: len([p for p in two.host.family if p.name == "vm one"]) == 1, "there is one process")
        two.stop()
    except Failure as e:
        raise Failure(f"{e} (WAYVSOCK_SEED={seed})") from e


if __name__ == "__main__":
    main()
