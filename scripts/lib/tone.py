#!/usr/bin/env python3
"""tone.py make FILE      five seconds of a tone, as 16-bit samples, 48000 a second
tone.py heard FILE     for how long that tone is in a recording; status 1: for less than two seconds"""
import array
import math
import sys

RATE, HERTZ, AMPLITUDE, BLOCK = 48000, 440, 8000, 4800


def loudness(samples):
    factor = 2 * math.cos(2 * math.pi * HERTZ / RATE)
    a = b = 0.0
    for sample in samples:
        a, b = sample + factor * a - b, a
    return 2 * math.sqrt(max(0.0, a * a + b * b - factor * a * b)) / len(samples)


what, path = sys.argv[1:]
if what == "make":
    with open(path, "wb") as f:
        f.write(array.array("h", (int(AMPLITUDE * math.sin(2 * math.pi * HERTZ * i / RATE)) for i in range(5 * RATE))).tobytes())
else:
    with open(path, "rb") as f:
        data = f.read()
    samples = array.array("h", data[:len(data) // 2 * 2])
    blocks = [samples[i:i + BLOCK] for i in range(0, len(samples) - BLOCK, BLOCK)]
    seconds = sum(loudness(block) > AMPLITUDE * 0.8 for block in blocks) * BLOCK / RATE
    print(f"{seconds:.1f} s of {HERTZ} Hz")
    sys.exit(seconds < 2)
