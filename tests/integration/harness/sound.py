# SPDX-License-Identifier: MIT
"""Real sound servers with a sink that nobody hears, programs that play and record, and a judge that compares samples."""

import array
import math
import os
import random
import signal
import struct
import subprocess

from .proc import listens, wait_until
from .tap import Failure

RATE = 48000
FORMAT = ["--raw", "--format=s16le", f"--rate={RATE}", "--channels=1"]
PREAMBLE = RATE     # samples that a server may swallow while it starts its sink
SINK = "host"


def tone(hertz, seconds=2, amplitude=6000, seed=1):
    """PREAMBLE and then a sine of that many seconds. A little noise tells each place of it from any other, and no sample is
    zero: a zero that arrives is silence that somebody put in."""
    chance = random.Random(seed)
    samples = array.array("h", (
        (int(amplitude * math.sin(2 * math.pi * hertz * i / RATE)) + chance.randint(-200, 200)) or 1
        for i in range(PREAMBLE + seconds * RATE)))
    return samples


def loudness(samples, hertz):
    """The amplitude of that frequency in it (Goertzel)."""
    factor = 2 * math.cos(2 * math.pi * hertz / RATE)
    a = b = 0.0
    for sample in samples:
        a, b = sample + factor * a - b, a
    return 2 * math.sqrt(max(0.0, a * a + b * b - factor * a * b)) / max(1, len(samples))


def quarters(samples, hertz):
    """How loud that frequency is in each quarter of a second."""
    return [loudness(samples[i:i + RATE // 4], hertz) for i in range(0, len(samples) - RATE // 4, RATE // 4)]


def load(path):
    with open(path, "rb") as f:
        data = f.read()
    return array.array("h", data[:len(data) // 2 * 2])


class Server:
    """A sound server of the host's (or of a guest's, in another folder): .address is what PULSE_SERVER names."""

    def __init__(self, t, name):
        self.t = t
        self.run = t.mkdir(f"{name}-run")
        self.home = t.mkdir(f"{name}-home")
        self.socket = os.path.join(self.run, "native")
        self.cookie = os.path.join(self.home, ".config/pulse/cookie")

    def env(self, **more):
        more.setdefault("PULSE_SERVER", f"unix:{self.socket}")
        return self.t.env(**{"XDG_RUNTIME_DIR": self.run, "HOME": self.home, **more})

    def pactl(self, *args, env=None):
        done = subprocess.run(["pactl", *args], env=env or self.env(), capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def usable(self):
        return os.path.exists(self.socket) and self.pactl("info")[0] == 0


class PulseAudio(Server):
    def __init__(self, t, name="pulse", options="", **spawn):
        super().__init__(t, name)
        self.proc = t.spawn(
            ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--log-target=stderr", "--log-level=info",
             "-L", f"module-null-sink sink_name={SINK} rate={RATE} channels=1 format=s16le",
             "-L", f"module-native-protocol-unix socket={self.socket} {options}"],
            self.env(PULSE_SERVER=None), **spawn)
        wait_until(lambda: listens(self.socket), "pulseaudio has its socket")


class PipeWire(Server):
    """pipewire, wireplumber and pipewire-pulse."""

    def __init__(self, t, name="pipewire", sink=True, config=None, programs=""):
        """programs: the folder that they are in (scripts/newer-pipewire); else the system's."""
        super().__init__(t, name)
        self.programs = programs
        self.socket = os.path.join(self.run, "pulse/native")
        bus = os.path.join(self.run, "bus")
        self.environment = self.env(PULSE_SERVER=None, DBUS_SESSION_BUS_ADDRESS=f"unix:path={bus}", **(config or {}))
        t.spawn(["dbus-daemon", "--session", "--nofork", f"--address=unix:path={bus}"], self.environment)
        wait_until(lambda: listens(bus), "the session bus has its socket")
        self.start("pipewire")
        wait_until(lambda: listens(os.path.join(self.run, "pipewire-0")), "pipewire has its socket")
        self.start("wireplumber")
        self.start("pipewire-pulse")
        wait_until(self.usable, "pipewire-pulse answers")
        if sink:
            # wireplumber may still be starting: without it nothing is linked.
            self.t.eq(self.pactl("load-module", "module-null-sink", f"sink_name={SINK}", f"rate={RATE}", "channels=1",
                                 "format=s16le")[0], 0, "a null sink")
            wait_until(lambda: f"Default Sink: {SINK}" in self.pactl("info")[1], "the sink is the default one", 60)

    def start(self, program):
        return self.t.spawn([os.path.join(self.programs, program)], self.environment)


class Recorder:
    """Writes what @device gives into a file."""

    def __init__(self, server, env=None, device=f"{SINK}.monitor", wait=True):
        self.t = server.t
        self.path = self.t.path(f"recorded{len(self.t.procs)}.raw")
        with open(self.path, "wb") as out:
            self.proc = self.t.spawn(["parec", *FORMAT, "--latency-msec=100", *([f"--device={device}"] if device else [])],
                                     env or server.env(), stdout=out)
        if wait:
            wait_until(lambda: os.path.getsize(self.path) > 0 or not self.proc.alive, "something is recorded")

    def samples(self):
        return load(self.path)

    def ends_with(self, samples, what, timeout=60):
        """Waits until the last of @samples have arrived, and stops."""
        end = samples[-256:].tobytes()

        def arrived():
            # Silence may be anywhere in between.
            return end in array.array("h", (s for s in self.samples()[-6 * RATE:] if s)).tobytes()
        wait_until(arrived, what, timeout)
        self.stop()

    def stop(self):
        if self.proc.alive:
            self.proc.signal(signal.SIGTERM)
            self.proc.wait()
        return self.samples()


def play(t, env, samples, device=None, name="", latency=2000, options=()):
    """A program that plays them and then ends."""
    path = t.path(f"play{len(t.procs)}{name}.raw")
    with open(path, "wb") as f:
        f.write(samples.tobytes())
    return t.spawn(["pacat", "--playback", *FORMAT, f"--latency-msec={latency}", *([f"--device={device}"] if device else []),
                    *options, path], env)


def judge(recorded, sent, what):
    """All that was sent has arrived, in order, once: from somewhere in the preamble to the end. Returns how many samples of the
    preamble are missing, and how often silence was put in."""
    heard = array.array("h", (s for s in recorded if s))
    missing = len(sent) - len(heard)
    if missing < 0 or missing > PREAMBLE or heard != sent[missing:]:
        same = 0
        while same < min(len(heard), len(sent)) and heard[-1 - same] == sent[-1 - same]:
            same += 1
        raise Failure(f"{what}: {len(heard)} of {len(sent)} samples arrived, the last {same} of them right")
    first = next(i for i, s in enumerate(recorded) if s)
    last = len(recorded) - next(i for i, s in enumerate(reversed(recorded)) if s)
    inside = recorded[first:last]
    gaps = sum(1 for a, b in zip(inside, inside[1:]) if not a and b)
    return missing, gaps


# A raw client of PulseAudio's protocol, for what no program sends.

def u32(value):
    return b"L" + struct.pack(">I", value & 0xffffffff)


def command(number, tag, values=b""):
    body = u32(number) + u32(tag) + values
    return struct.pack(">IIIII", len(body), 0xffffffff, 0, 0, 0) + body


def read_frame(sock):
    def exactly(n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            if not more:
                raise EOFError("the connection has ended")
            data += more
        return data
    length, channel, _high, _low, flags = struct.unpack(">IIIII", exactly(20))
    return channel, flags, exactly(length)
