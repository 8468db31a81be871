# SPDX-License-Identifier: MIT
"""Two VMs on one host: real devices, and a guest in each that is the test's own."""

import mmap
import os
import random
import struct
import threading
import time

from .client import Window
from .insider import Insider
from .stack import Notify
from .tap import Skip
from .vgpu import PAGE, Vgpu

GPU = os.environ.get("WAYVSOCK_GPU", "")
NONCE = 65000           # the resource that each VM shows its nonce in
WIDTH, HEIGHT = 1280, 720


class Vms:
    """wayvsock-host with two VMs, each with a wayvsock-gpu."""

    def __init__(self, t, compositor, mebibytes=16, log_level="debug", names=("bad", "good"), settings="",
                 searched=False, gpu=(GPU,), draws=False):
        """searched: the host has to find the devices.  gpu: the device's command; draws: with 3D."""
        self.t = t
        self.compositor = compositor
        if not os.access(GPU, os.X_OK):
            raise Skip("WAYVSOCK_GPU must name wayvsock-gpu")
        self.gpus, self.vgpus = {}, {}
        self.device = [*gpu, *(["--virgl"] if draws else []), "--log-level", log_level]
        self.memory, self.draws = mebibytes, draws
        config, folder = "", t.mkdir(f"devices-{names[0]}")
        self.exports = {name: os.path.join(folder, f"{n}.sock") for n, name in enumerate(names, 1)}
        for name in names:
            self.start_device(name)
            config += (f"[vm {name}]\nlisten = unix:{t.path(name)}\ngpu = {folder if searched else self.exports[name]}\n"
                       f"max-clients = 1000\nmax-fds = 3000\nsecurity-context = no\n{settings}\n")
        self.host = self._start([os.environ["WAYVSOCK_HOST"], "--config", t.write("host.conf", config), "--compositor",
                                 compositor.socket, "--log-level", log_level], "wayvsock-host")

    def start_device(self, name):
        """The VM's first, or another one after that has ended: the VM is then one that has just been started."""
        path = self.t.path(f"{name}.vhost")
        self.gpus[name] = self._start([*self.device, "--socket-path", path, "--export", self.exports[name]],
                                      f"wayvsock-gpu-{name}")
        self.vgpus[name] = Vgpu(path, self.memory, list(self.exports).index(name), self.draws)
        self.vgpus[name].create(NONCE)

    def _start(self, argv, name):
        notify = Notify(self.t.path(f"{len(self.t.procs)}-{name}.notify"))
        proc = self.t.spawn(argv, self.t.env(NOTIFY_SOCKET=notify.path), name=name)
        proc.is_daemon = True
        self.t.wait(lambda: notify.ready() or not proc.alive, f"{name} is ready")
        self.t.ok(proc.alive, f"{name} runs")
        return proc

    def session(self, name="bad", bind=True, **options):
        insider = Insider(self.t.path(name), self.vgpus[name], **options)
        return insider.bind(NONCE) if bind else insider

    def refused(self, client, rule, what):
        """The host ends the connection because of that rule (None: of the link's own)."""
        reason = client.ended()
        if rule:
            self.t.has(f"(GPU rule: {rule})", reason, what)
        else:
            self.t.ok(reason and "GPU rule" not in reason, f"{what}: {reason!r}")
        return reason

    def logged(self, *rules):
        """Lines that come fast are counted, not repeated; each rule is named all the same."""
        for rule in rules:
            self.t.has(f"(GPU rule: {rule})", self.host.log(), "the host's log")


def ppm(pixels):
    """A whole screen of XRGB8888 as the compositor's screenshot has it."""
    rgb = bytearray(len(pixels) // 4 * 3)
    rgb[0::3], rgb[1::3], rgb[2::3] = pixels[2::4], pixels[1::4], pixels[0::4]
    return b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + bytes(rgb)


class Neighbour(threading.Thread):
    """The good VM: a window whose pixels come from its GPU, frame after frame until stop()."""

    def __init__(self, vms):
        super().__init__(daemon=True)
        self.vgpu = vms.vgpus["good"]
        self.session = vms.session("good")
        self.client = self.session.client(label=b"neighbour")
        self.window = Window(self.client, app_id="neighbour")
        self.vgpu.create(1, WIDTH * HEIGHT * 4)
        self.buffer, self.memory, self.number = self.client.buffer_of(self.window.shm, 1, WIDTH, HEIGHT)
        self.pictures = [random.Random(i).randbytes(WIDTH * HEIGHT * 4) for i in range(3)]
        self.frames = 0
        self.error = None
        self.going = True
        self.show()
        self.start()

    def show(self):
        self.vgpu.write(1, self.pictures[self.frames % 3])
        self.client.copy(self.memory, self.number, WIDTH * HEIGHT * 4)
        self.window.show(self.buffer)
        self.client.roundtrip()
        self.frames += 1

    def run(self):
        try:
            while self.going:
                self.show()
                time.sleep(0.05)
        except BaseException as e:      # told by check()
            self.error = e

    def check(self, t):
        """It goes on drawing."""
        before = self.frames
        t.wait(lambda: self.frames > before + 1 or self.error, "the other VM's next frame")
        t.ok(self.error is None, f"the other VM's client: {self.error!r}")

    def stop(self, t):
        """Returns what its window shows, as the bytes of a picture."""
        self.check(t)
        self.going = False
        self.join()
        return ppm(self.pictures[(self.frames - 1) % 3])


def stamp(name, number):
    """What a page of that resource has in it."""
    return struct.pack("<4sI", name[:4].encode(), number) * (PAGE // 8)


def memory_client(session, pages):
    """A client with room for so many pages on the host: (client, memory, buffer)."""
    client = session.client()
    buffer, memory = client.new_buffer(client.bind("wl_shm", 1), PAGE // 4, pages)
    return client, memory, buffer


def watch(fake, client, buffer):
    """The memory behind a buffer as the compositor has it, for as long as anybody wants to look."""
    client.roundtrip()
    pool = fake.newest().buffers[buffer][0]
    return mmap.mmap(*fake.newest().pool_files[pool], prot=mmap.PROT_READ)
