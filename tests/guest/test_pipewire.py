#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Programs in a guest kernel play and record through this machine's PipeWire: no memory is shared there, and all samples
arrive."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.pipewire import NEEDED, heard, newer, read_wave, write_wave  # noqa: E402
from harness.sound import PipeWire, Recorder, quarters, tone  # noqa: E402
from vm import Vm  # noqa: E402


def virtual_machine(t, server, more=""):
    return Vm(t, t.fake(), forward="pipewire",
              services=f"[forward pipewire]\npath = {server.run}/pipewire-0\nprotocol = pipewire\nmemory = mirror\n{more}")


def patient_server(t, programs=""):
    """Its cycles are so long that a guest kernel on a busy machine is not late."""
    folder = t.mkdir("config")
    os.makedirs(os.path.join(folder, "pipewire/pipewire.conf.d"))
    with open(os.path.join(folder, "pipewire/pipewire.conf.d/cycles.conf"), "w") as f:
        f.write("context.properties = { default.clock.min-quantum = 8192  default.clock.quantum = 8192"
                "  default.clock.max-quantum = 8192 }\n")
    return PipeWire(t, config={"XDG_CONFIG_HOME": folder}, programs=programs)


def plays_between(t, programs=""):
    """A second and more, without a sample lost or put in."""
    t.need(*NEEDED)
    server = patient_server(t, programs)
    vm = virtual_machine(t, server)
    samples = tone(440)
    write_wave(vm.path("tone.wav"), samples)
    recorder = Recorder(server)
    guest = vm.boot(f"{os.path.join(programs, 'pw-cat')} --playback --latency=200ms tone.wav", guest_args=["--forward", "pipewire"])
    recorder.ends_with(samples, "the end arrives", 200)
    t.eq(guest.wait(60), 0, "the player has ended well")
    _missing, gaps = heard(recorder.samples(), samples, "from the guest")
    t.ok(gaps <= 1, f"silence was put in {gaps} times")
    t.has("vm service 1 pipewire", vm.host.log(), "it came from the guest")


@test(timeout=400)
def plays(t):
    plays_between(t)


@test(timeout=400)
def plays_on_newer(t):
    plays_between(t, newer())


@test(timeout=400)
def three_players_and_a_recorder(t):
    """At once. What the recorder in the guest hears is the mixture that a program of the host's hears."""
    t.need(*NEEDED)
    server = patient_server(t)
    vm = virtual_machine(t, server, "record = yes\n")
    hertz = (440, 1320, 3100)
    for f in hertz:
        write_wave(vm.path(f"{f}.wav"), tone(f, seconds=6, amplitude=5000))
    recorder = Recorder(server)
    guest = vm.boot(
        "pw-cat --record --format=s16 --rate=48000 --channels=1 --latency=200ms -P '{ stream.capture.sink=true }' heard.wav & recorder=$!;"
        " for f in " + " ".join(str(f) for f in hertz) + "; do pw-cat --playback --latency=200ms $f.wav & players=\"$players $!\"; done;"
        " wait $players; kill -INT $recorder; wait $recorder", guest_args=["--forward", "pipewire"])
    guest.wait(200)
    mixtures = {"the host": recorder.stop(), "the guest": read_wave(vm.path("heard.wav"))}
    for who, mixture in mixtures.items():
        for f in hertz:
            loud = [loud for loud in quarters(mixture, f) if loud > 2500]
            t.ok(len(loud) >= 20, f"{who} heard {f} Hz for {len(loud)} quarters of a second")
            t.ok(all(4500 < q < 5500 for q in loud[2:-2]), f"{who} heard {f} Hz as loud as it was played: {loud}")


if __name__ == "__main__":
    main()
