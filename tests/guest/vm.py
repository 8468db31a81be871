# SPDX-License-Identifier: MIT
"""A virtual machine whose kernel is real, and what it needs on the host."""

import glob
import json
import os
import re
import subprocess

import draw
from harness.stack import TOKEN
from harness.tap import Skip, descendants

HERE = os.path.dirname(os.path.abspath(__file__))
GPU = os.environ.get("WAYVSOCK_GPU", "")
BOOT = os.path.join(HERE, "..", "..", "scripts", "guest")
BACKGROUND = bytes((0x99, 0x66, 0x33, 0))       # a pixel of newer_weston()'s


def counters(log):
    """What the daemon's last client sent, in bytes: {"wayland": …, "mem": …, "copied": …, "received": …}."""
    ended = [line for line in log.splitlines() if " ended: sent " in line]
    if not ended:
        return {}
    counts = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", ended[-1])}
    counts["received"] = int(re.search(r"received (\d+) bytes", ended[-1])[1])
    return counts


def need_gpu():
    """False, having said so, where no guest kernel with a virtio-gpu is at hand."""
    if not os.environ.get("WAYVSOCK_GUEST_TESTS"):
        print("1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel")
    elif subprocess.call([f"{BOOT}-kernel", "-c"], stdout=subprocess.DEVNULL):
        print("1..0 # SKIP Debian's guest kernel has no virtio-gpu; scripts/guest-kernel builds one that has")
    else:
        return True
    return False


def device_of(guest):
    """The process of the vsock device that serves this guest (a process, too); its parent starts another."""
    for pid in descendants(guest.pid):
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() != "wayvsock-vsock":
                    continue
        except OSError:                         # it has ended meanwhile
            continue
        children = descendants(pid)
        if not children:
            return pid
    return None


class Vm:
    """A compositor and the host daemon here; boot() starts a guest kernel whose daemon runs a shell command."""

    def __init__(self, t, compositor=None, gpu="", name="vm", allow=(), more_gpus=(), services="", forward="", **options):
        """gpu: the command of a vhost-user GPU device; where it exports buffers is added.  allow: globals.  more_gpus:
        commands of other devices, which say themselves where they export.  services: sections of the
        configuration; forward: which the VM may have."""
        self.t = t
        self.compositor = compositor or t.sway(**options)
        self.dir = t.mkdir(name, 0o755)
        self.address = f"vsock-mux:{self.dir}/vsock:1100"
        self.export = f"{self.dir}/export"
        self.gpu = ["-g", f"{gpu} --export {self.export}"] if gpu else []
        for command in more_gpus:
            self.gpu += ["-g", command]
        self.config = t.write(f"{name}.conf", f"""\
{services}[vm vm]
listen = {self.address}
token = {t.write("host.token", TOKEN + chr(10))}
title-prefix = "[vm] "
{f"gpu = {self.export}" if gpu else ""}
{f"forward = {forward}" if forward else ""}
{"".join(f"allow = {a}{chr(10)}" for a in allow)}""")
        self.host = None
        self.start_host()

    def start_host(self):
        self.host = self.t.spawn(
            [os.environ["WAYVSOCK_HOST"], "--config", self.config, "--compositor", self.compositor.socket,
             "--log-level", "debug"], name="wayvsock-host")
        self.host.is_daemon = True
        self.t.wait(lambda: os.path.exists(f"{self.dir}/vsock_1100") or not self.host.alive, "the host daemon listens")

    def restart_host(self, change=lambda config: config):
        """The host's daemon crashes and starts anew, perhaps with another configuration."""
        self.host.kill()
        os.unlink(self.path("vsock_1100"))
        with open(self.config) as f:
            config = change(f.read())
        with open(self.config, "w") as f:
            f.write(config)
        self.start_host()

    def boot(self, command, token=TOKEN, guest_args=(), limit=120, lives=1):
        """The guest's process; command sees the folder self.dir as its working directory.  lives: how often the daemon
        is started, each time when it has ended."""
        arguments = ["--connect", "vsock:2:1100", "--log-level", "debug", *guest_args]
        # A copy of the token, as its file may belong to a user of the host.
        start = "; ".join(['"$@"'] * lives)
        if token:
            self.t.write(f"{os.path.basename(self.dir)}/token", token + "\n")
            arguments += ["--token", "/run/token"]
            start = f"install -m 600 token /run/token; {start}"
        # The environment is a login's, not the test's, which has a runtime directory and home of its own.
        return self.t.spawn([BOOT, "-d", self.dir, "-t", str(limit), *self.gpu, "--", "sh", "-c", start, "sh",
                             os.environ["WAYVSOCK_GUEST"], *arguments, "--", "sh", "-c", command], dict(os.environ), name="guest")

    def run(self, command, **options):
        """Boots, and waits for the end; returns the exit status."""
        return self.boot(command, **options).wait(options.get("limit", 120) + 30)

    def picture(self, generation, what=None, guest=None):
        """Asks the guest's draw.py for a generation and waits until it is all of the host's screen."""
        self.touch(str(generation))
        expected = draw.ppm_pixels(1280, 720, generation)
        self.t.wait(lambda: self.compositor.grab().endswith(expected) or guest and not guest.alive,
                    what or f"picture {generation} is on the screen", 60)
        self.t.ok(self.compositor.grab().endswith(expected), what or f"picture {generation} is on the screen")

    def show(self, generations, guest_args=(), program="draw.py", python="python3"):
        """Draws each generation in the guest and waits for it on the host's screen; then the VM is killed. Returns the
        host's log."""
        drawn = f"exec {python} {HERE}/{program} {' '.join(map(str, generations))} >drawn"
        self.guest = self.boot(drawn, guest_args=guest_args)
        for generation in generations:
            self.picture(generation, guest=self.guest)
        return self.end(self.guest)

    def end(self, guest, clients=1):
        """Kills the VM. Returns the host's log, in which is what so many clients sent."""
        guest.kill()
        self.t.wait(lambda: self.host.log().count(" ended: sent ") >= clients, "the host counts what it received")
        return self.host.log()

    def guest_log(self):
        """What the guest's daemon has said; not after its end."""
        return self.read(".guest/output").decode(errors="replace")

    def gpu_log(self):
        return self.read(".guest/gpu.log").decode(errors="replace")

    def path(self, name):
        return os.path.join(self.dir, name)

    def touch(self, name):
        with open(self.path(name), "w"):
            pass

    def read(self, name):
        try:
            with open(self.path(name), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""


def no_drawing():
    """Why applications in the guest cannot draw on the host; None if they can."""
    said = subprocess.run([GPU, "--print-capabilities"], stdout=subprocess.PIPE, check=True).stdout
    if "virgl" not in json.loads(said)["features"]:
        return "this build has no virglrenderer"
    if not glob.glob("/usr/lib/*/dri/virtio_gpu_dri.so"):
        return "Mesa's driver for the guest is not installed: libgl1-mesa-dri"
    return None


def newer_gl():
    """The command that starts a program with GL that has dmabufs in software, in a kernel with udmabuf."""
    if not os.access("/dev/udmabuf", os.R_OK | os.W_OK):
        raise Skip("this kernel has no /dev/udmabuf")
    command = os.environ.get("WAYVSOCK_NEWER_GL")
    if not command:
        raise Skip("WAYVSOCK_NEWER_GL does not name a command")
    return command


def newer_weston(t, width, height, renderer="gl"):
    """A weston with such GL (or without), whose windows are as large as the screen.

    It has a seat, as weston 16's kiosk-shell forgets a window that is gone only where there is one: without, it may crash when
    the next window comes."""
    newer_gl()
    command = os.environ.get("WAYVSOCK_NEWER_WESTON")
    if not command:
        raise Skip("WAYVSOCK_NEWER_WESTON does not name a command")
    return t.weston(width=width, height=height, gl=True, shell="kiosk", command=command,
                    args=("--debug", "--fake-seat", f"--renderer={renderer}"), config="[shell]\nbackground-color=0xff336699\n")
