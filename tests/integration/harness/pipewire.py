# SPDX-License-Identifier: MIT
"""What programs of PipeWire's own protocol play and record, and a judge of it."""

import array
import os
import wave

from .sound import RATE, judge
from .tap import Skip

NEEDED = ["pipewire", "wireplumber", "pipewire-pulse", "pw-cat", "parec"]
TAIL = 32768     # samples behind the sound that a player may keep to itself when it ends


def newer():
    """The folder of a newer PipeWire's programs."""
    if not os.environ.get("WAYVSOCK_NEWER_PIPEWIRE"):
        raise Skip("WAYVSOCK_NEWER_PIPEWIRE names no folder of a newer PipeWire's programs (scripts/newer-pipewire)")
    return os.environ["WAYVSOCK_NEWER_PIPEWIRE"]


def write_wave(path, samples):
    """With a tail that need not arrive."""
    with wave.open(path, "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(samples.tobytes() + array.array("h", [1]).tobytes() * TAIL)


def read_wave(path):
    """All of it, also of a file whose writer has been ended."""
    with open(path, "rb") as f:
        data = f.read()[44:]
    return array.array("h", data[:len(data) // 2 * 2])


def heard(recorded, samples, what):
    """judge() for what came before the tail."""
    end = len(recorded)
    while end and recorded[end - 1] in (0, 1):
        end -= 1
    return judge(recorded[:end], samples, what)
