#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The process that draws for a guest is killed, and stopped: what does not need it goes on, and the next program draws."""

import glob
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.proc import alive  # noqa: E402

from vm import GPU, HERE, Vm, need_gpu, no_drawing  # noqa: E402

VIRGL = f"{GPU} --virgl --log-level debug"
# A window whose pixels no GPU draws; meanwhile one who draws without a window; then one whose window the GPU draws.
GUEST = f"""
python3 {HERE}/draw.py 1 2 3 4 5 6 >plain 2>&1 & plain=$!
python3 {HERE}/offscreen.py rounds >offscreen 2>&1; echo $? >left
rm enough
until [ -e now ]; do sleep 0.1; done
kill $plain
exec python3 {HERE}/gl.py 7 8 >drawn
"""


def parent_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        return int(f.read().rpartition(")")[2].split()[1])


def renderers():
    """The processes that draw for this test's guests."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            pid = int(path.split("/")[2])
            with open(path, "rb") as f:
                if not f.read().startswith(b"wayvsock-gpu-renderer\0"):
                    continue
            above = pid
            while above not in (0, os.getpid()):
                above = parent_of(above)
            if above:
                found.append(pid)
        except OSError:
            pass
    return found


class Scene:
    def __init__(self, t):
        self.t = t
        self.vm = Vm(t, gpu=VIRGL)
        self.guest = self.vm.boot(GUEST, limit=450)
        self.vm.picture(1, guest=self.guest)
        t.wait(lambda: self.rounds() > 2 or not self.guest.alive, "the GPU draws, too", 150)

    def rounds(self):
        return int(self.vm.read("rounds") or 0)

    def renderer(self):
        self.t.wait(renderers, "there is a renderer")
        found = renderers()
        self.t.eq(len(found), 1, "renderers")
        return found[0]

    def again(self, times):
        """Waits until there has been a new renderer so often."""
        self.t.wait(lambda: self.vm.gpu_log().count("there is a renderer again") >= times or not self.guest.alive,
                    f"renderer {times + 1} draws", 200)

    def finish(self):
        """Whoever drew in the old one can end; whoever comes now draws."""
        self.vm.touch("enough")
        self.t.wait(lambda: self.vm.read("left") or not self.guest.alive, "who drew before can end", 150)
        self.vm.touch("now")
        self.vm.picture(7, guest=self.guest)
        self.vm.picture(8, guest=self.guest)
        self.t.has(b"renderer virgl", self.vm.read("drawn"), "the guest's GL")
        self.t.ok(self.vm.host.alive, "the host lives")
        self.t.lacks("not allowed", self.vm.gpu_log(), "the device's log")


@test(timeout=500)
def what_comes_back(t):
    """Drawn pixels, uploads and queries are right, through and through."""
    vm = Vm(t, gpu=VIRGL)
    guest = vm.boot(f"python3 {HERE}/offscreen.py rounds check >offscreen 2>&1; exit $?", limit=450)
    t.wait(lambda: int(vm.read("rounds") or 0) >= 20 or not guest.alive, "rounds", 120)
    vm.touch("enough")
    t.eq(guest.wait(60), 0, f"status; {vm.read('offscreen')}")


@test(timeout=500)
def killed(t):
    """kill -9, a few times: the first successor is there at once, others after a pause."""
    s = Scene(t)
    for n, picture in enumerate((2, 3, 4), 1):
        os.kill(s.renderer(), signal.SIGKILL)
        s.vm.picture(picture, guest=s.guest)
        s.again(n)
    t.has("ended by signal 9", s.vm.gpu_log(), "the device's log")
    s.finish()


@test(timeout=500)
def stopped(t):
    """SIGSTOP: windows that it does not draw go on; it is ended for not answering, and there is another one."""
    s = Scene(t)
    os.kill(s.renderer(), signal.SIGSTOP)
    s.vm.picture(2, guest=s.guest)
    s.again(1)
    s.vm.picture(3, guest=s.guest)
    t.has("the renderer does not answer", s.vm.gpu_log(), "the device's log")
    s.finish()


@test(timeout=500)
def nothing_is_left(t):
    """With the device, its renderer ends, also where the device is killed."""
    s = Scene(t)
    pid = s.renderer()
    device = parent_of(parent_of(pid))
    os.kill(device, signal.SIGKILL)
    t.wait(lambda: not alive(pid), "the renderer ends")
    s.guest.kill()


if __name__ == "__main__":
    if need_gpu():
        if no_drawing():
            print(f"1..0 # SKIP {no_drawing()}")
        else:
            main()
