#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""PipeWire's own protocol: programs in the guest play and record through the host's graph, judged by the samples that arrive.
What a direct connection does in the same run is the measure."""

import json
import os
import signal
import subprocess

from harness import main, test
from harness.pipewire import NEEDED, heard, newer, read_wave, write_wave
from harness.proc import wait_until
from harness.services import Services
from harness.sound import PREAMBLE, RATE, SINK, PipeWire, Recorder, loudness, quarters, tone


def pipewire(t, server, more="", vm_lines="", **options):
    return Services(t, {"pipewire": f"path = {server.run}/pipewire-0\nprotocol = pipewire\nmemory = mirror\n{more}"}, vm_lines,
                    **options)


def guest_env(t, services, name="guest", **more):
    return t.env(XDG_RUNTIME_DIR=t.mkdir(f"{name}-run"), HOME=t.mkdir(f"{name}-home"),
                 **{"PIPEWIRE_REMOTE": services.socket("pipewire"), **more})


def play(t, env, samples, name="", latency="100ms", options=(), programs=""):
    """A program that plays them, with a tail that need not arrive, and then ends."""
    path = t.path(f"play{len(t.procs)}{name}.wav")
    write_wave(path, samples)
    return t.spawn([os.path.join(programs, "pw-cat"), "--playback", f"--latency={latency}", *options, path], env)


def played(t, server, env, samples, what, programs="", options=()):
    """What the host's sink is given of it."""
    recorder = Recorder(server)
    player = play(t, env, samples, programs=programs, options=options)
    recorder.ends_with(samples, f"{what}: the end arrives")
    t.eq(player.wait(), 0, f"{what}: the player has ended well")
    return heard(recorder.samples(), samples, what)


def direct_env(t, server):
    return {**server.env(), "PIPEWIRE_REMOTE": f"{server.run}/pipewire-0"}


def plays_between(t, host="", guest="", options=()):
    """All of it arrives, as it does without us."""
    t.need(*NEEDED)
    server = PipeWire(t, programs=host)
    samples = tone(440)
    direct = played(t, server, direct_env(t, server), samples, "direct", guest, options)
    services = pipewire(t, server)
    for n in range(2):
        through = played(t, server, guest_env(t, services, f"guest{n}"), samples, f"through the daemons, {n}", guest, options)
        t.ok(through[0] <= PREAMBLE, f"no more is lost than where a sink starts: {through}, direct {direct}")
        t.ok(through[1] <= direct[1] + 1, f"no silence in between: {through}, direct {direct}")


@test(timeout=180, direct=False)
def plays(t):
    plays_between(t)


@test(timeout=180, direct=False)
def plays_on_newer_host(t):
    plays_between(t, host=newer())


@test(timeout=180, direct=False)
def plays_in_newer_guest(t):
    plays_between(t, guest=newer())


@test(timeout=180, direct=False)
def plays_on_newer_both(t):
    plays_between(t, host=newer(), guest=newer())


@test(timeout=180, direct=False)
def plays_synchronously_on_newer(t):
    """What the graph waits for: players that are not, as pw-cat is from 1.2 on, a cycle behind."""
    plays_between(t, host=newer(), guest=newer(), options=("-P", "{ node.async = false }"))


def three_at_once(t, programs=""):
    """Each is there at its own frequency, as loud as it was played, all the time."""
    t.need(*NEEDED)
    server = PipeWire(t, programs=programs)
    services = pipewire(t, server)
    hertz = (440, 1320, 3100)
    recorder = Recorder(server)
    players = [play(t, guest_env(t, services, f"guest{f}"), tone(f, seconds=4, amplitude=5000), name=f"-{f}", programs=programs)
               for f in hertz]
    for player in players:
        t.eq(player.wait(timeout=60), 0, "a player has ended well")
    recorded = recorder.stop()
    for f in hertz:
        loud = [loud for loud in quarters(recorded, f) if loud > 2500]
        t.ok(len(loud) >= 16, f"{f} Hz was heard for {len(loud)} quarters of a second")
        t.ok(all(4500 < q < 5500 for q in loud[2:-2]), f"{f} Hz is as loud as it was played: {loud}")


@test(timeout=180, direct=False)
def three_players(t):
    three_at_once(t)


@test(timeout=180, direct=False)
def three_players_on_newer(t):
    three_at_once(t, newer())


class Catcher:
    """A program that records what the host's default sink plays: .samples() once it has stopped."""

    def __init__(self, t, env, name, programs=""):
        self.path = t.path(f"{name}.wav")
        self.proc = t.spawn([os.path.join(programs, "pw-cat"), "--record", "--format=s16", f"--rate={RATE}", "--channels=1", "--latency=100ms",
                             "-P", "{ stream.capture.sink=true }", self.path], env)

    def begun(self):
        return os.path.exists(self.path) and os.path.getsize(self.path) > 44

    def samples(self):
        if self.proc.alive:
            self.proc.signal(signal.SIGINT)
            self.proc.wait()
        return read_wave(self.path)


def records_between(t, host="", guest=""):
    """What a program of the guest's records is what one on the host records, while another plays from the guest."""
    t.need(*NEEDED)
    server = PipeWire(t, programs=host)
    services = pipewire(t, server, "record = yes\n")
    samples = tone(440)
    direct = Catcher(t, direct_env(t, server), "direct", guest)
    through = Catcher(t, guest_env(t, services, "records"), "through", guest)
    recorder = Recorder(server)
    wait_until(lambda: direct.begun() and through.begun(), "both record")
    player = play(t, guest_env(t, services, "plays"), samples, programs=guest)
    recorder.ends_with(samples, "the end arrives")
    t.eq(player.wait(), 0, "the player has ended well")
    heard(direct.samples(), samples, "recorded on the host")
    heard(through.samples(), samples, "recorded in the guest")


@test(timeout=180, direct=False)
def records(t):
    records_between(t)


@test(timeout=180, direct=False)
def records_on_newer(t):
    records_between(t, newer(), newer())


def loops_back(t, programs=""):
    """Two nodes of one program's, on one connection: it records from one of the host's sinks and plays to another."""
    t.need(*NEEDED, "pw-loopback")
    server = PipeWire(t, programs=programs)
    services = pipewire(t, server, "record = yes\n")
    t.eq(server.pactl("load-module", "module-null-sink", "sink_name=other", f"rate={RATE}", "channels=1", "format=s16le")[0], 0,
         "another sink")
    t.spawn([os.path.join(programs, "pw-loopback"), "-c", "1", "-m", "[ MONO ]", "-l", "100", "-C", SINK,
             "--capture-props={ stream.capture.sink=true }", "-P", "other"], guest_env(t, services, "loops"))
    recorder = Recorder(server, device="other.monitor")
    wait_until(lambda: "pw-loopback" in server.pactl("list", "source-outputs")[1], "it records")
    # The two sinks have clocks of their own, so that samples are not the same.
    player = play(t, direct_env(t, server), tone(440, seconds=5, amplitude=5000), programs=programs)
    t.eq(player.wait(timeout=60), 0, "the player has ended well")
    loud = [q for q in quarters(recorder.stop(), 440) if q > 1000]
    t.ok(len(loud) >= 16, f"it was heard for {len(loud)} quarters of a second")
    t.ok(sum(q < 4000 for q in loud[1:-1]) <= 1, f"as loud as it was played: {loud}")


@test(timeout=180, direct=False)
def two_nodes(t):
    loops_back(t)


@test(timeout=180, direct=False)
def two_nodes_on_newer(t):
    loops_back(t, newer())


@test(timeout=120, direct=False)
def record_refused(t):
    """Without a word in the configuration; and the program hears of it."""
    t.need(*NEEDED)
    server = PipeWire(t)
    services = pipewire(t, server)
    samples = tone(440)
    catcher = Catcher(t, guest_env(t, services, "records"), "refused")
    played(t, server, guest_env(t, services, "plays"), samples, "while recording is refused")
    t.ok(not any(catcher.samples()), "nothing was recorded")
    t.has("refused recording (record = yes would allow it)", services.host.log(), "the host's log says what would help")


def host_goes_on(t, which):
    """A program on the host plays; one in the guest does, too, until something stops it in the middle of a cycle."""
    t.need(*NEEDED)
    server = PipeWire(t)
    services = pipewire(t, server)
    recorder = Recorder(server)
    ours = play(t, guest_env(t, services), tone(440, seconds=30, amplitude=5000), name="-guest")
    wait_until(lambda: loudness(recorder.samples()[-RATE // 2:], 440) > 4500, "the guest is heard")
    theirs = play(t, direct_env(t, server), tone(1320, seconds=5, amplitude=5000), name="-host")
    wait_until(lambda: loudness(recorder.samples()[-RATE // 2:], 1320) > 4500, "the host is heard")
    stopped = which(services, ours)
    stopped.signal(signal.SIGSTOP)
    t.eq(theirs.wait(timeout=60), 0, "the host's player has ended well")
    recorded = recorder.stop()
    loud = [q for q in quarters(recorded, 1320) if q > 1000]
    t.ok(len(loud) >= 20, f"the host was heard to the end: {loud}")
    t.ok(sum(q < 4500 for q in loud[1:-1]) <= 1, f"and all the time, but where the guest stopped: {loud}")
    ours.signal(signal.SIGKILL)
    stopped.signal(signal.SIGCONT)


@test(timeout=120, direct=False)
def program_stops(t):
    """The host does not wait for it."""
    host_goes_on(t, lambda _services, player: player)


@test(timeout=120, direct=False)
def guest_stops(t):
    """The same with all of the guest."""
    host_goes_on(t, lambda services, _player: services.guest)


@test(timeout=120, direct=False)
def security_context(t):
    """Where there is one, the host's session manager knows a VM's programs by it, and restricts them; and it goes with them."""
    programs = newer()
    t.need(*NEEDED)
    server = PipeWire(t, programs=programs)
    services = pipewire(t, server)

    def clients():
        done = subprocess.run([os.path.join(programs, "pw-dump")], env=direct_env(t, server), capture_output=True, text=True, timeout=30)
        properties = [o["info"]["props"] for o in json.loads(done.stdout or "[]") if o["type"] == "PipeWire:Interface:Client"]
        return [p for p in properties if p.get("pipewire.sec.engine") == "wayvsock"]
    player = play(t, guest_env(t, services), tone(440, seconds=20), programs=programs)
    wait_until(clients, "the player is a client in a security context")
    client = clients()[0]
    t.eq([client[k] for k in ("pipewire.sec.app-id", "pipewire.access")], ["test", "restricted"],
         "of that VM, restricted")
    player.signal(signal.SIGKILL)
    wait_until(lambda: not clients(), "it is gone with the player")


@test(timeout=60, direct=False)
def environment(t):
    """A command that the guest's daemon starts finds the server by itself, and not who that is."""
    t.need(*NEEDED, "pw-cli")
    server = PipeWire(t)
    services = pipewire(t, server)
    services.stack.stop_guest()
    services.stack.start_guest(wait=False, command=["pw-cli", "info", "0"])
    t.eq(services.stack.guest.wait(), 0, "pw-cli info 0")
    services.stack.guest.expected_exit = True
    t.has('host-name: "host"', services.stack.guest.log(), "it has asked the host's server")


if __name__ == "__main__":
    main()
