#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures what handing GPU buffers over costs the host where its kernel has udmabuf: run it in such a kernel.
See docs/benchmark.md."""

import argparse
import fcntl
import json
import os
import pathlib
import re
import statistics
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))

from harness.client import Window  # noqa: E402
from harness.context import Context  # noqa: E402
from harness.insider import Insider, copy_frame  # noqa: E402
from harness.link import frame, mem_write  # noqa: E402
from harness.vgpu import PAGE, Vgpu  # noqa: E402
from harness.wire import pack  # noqa: E402

SIZES = {'64x64': (64, 64), '4k': (3840, 2160)}
PIECES = 900            # of the guest's memory that the large buffer is in; the kernel takes 1024
ADDRESS = (1, 1100)     # the kernel's own vsock
UDMABUF_CREATE_LIST = 0x40087543
COLUMNS = {
    'hand-64x64': 'the first frame of a new 64x64 buffer',
    'hand-4k': f'the first frame of a new 4K buffer in {PIECES} pieces',
    'frame-64x64': 'each frame after that, 64x64',
    'frame-4k': 'each frame after that, 4K',
    'kernel-4k': "the kernel's part of the first frame: UDMABUF_CREATE_LIST of these pieces",
    'bytes-4k': 'a 4K frame as bytes over the same vsock',
}
TARGETS = [
    ('frame-4k / frame-64x64', lambda m: m['frame-4k'] / m['frame-64x64'], 1.3, False),
    ('hand-4k / hand-64x64', lambda m: m['hand-4k'] / m['hand-64x64'], None, False),
    ('bytes-4k / frame-4k', lambda m: m['bytes-4k'] / m['frame-4k'], 5, True),
    ('hand-4k / kernel-4k', lambda m: m['hand-4k'] / m['kernel-4k'], None, False),
    ('bytes-4k / hand-4k', lambda m: m['bytes-4k'] / m['hand-4k'], 5, True),
]


class Rig:
    """A host with a compositor that looks at no pixel, a device, and a guest in this process with one window."""

    def __init__(self, build):
        self.context = Context('bench')
        t = self.context
        t.spawn([build / 'tests' / 'bench' / 'bench_server', t.path('server'), '--no-upload'], name='server')
        self.gpu = t.spawn([build / 'host-proxy' / 'gpu' / 'wayvsock-gpu', '--socket-path', t.path('vhost'),
                            '--export', t.path('export'), '--log-level', 'debug'], name='gpu')
        self.host = t.spawn([build / 'host-proxy' / 'wayvsock-host', '--compositor', t.path('server'), '--no-auth', '--config',
                             t.write('host.conf', f'[host]\nlisten = vsock:{ADDRESS[1]}\n[vm vm]\ncid = {ADDRESS[0]}\n'
                                     f'gpu = {t.path("export")}\n'), '--log-level', 'debug'], name='host')
        t.wait(lambda: 'exported' in self.gpu.log() and os.path.exists(t.path('server')) and 'listening' in self.host.log(),
               'the daemons start')
        self.vgpu = Vgpu(t.path('vhost'), mebibytes=96)
        self.vgpu.create(1)
        for number, (name, (width, height)) in enumerate(SIZES.items(), 2):
            pages = -(-width * height * 4 // PAGE)
            pieces = min(PIECES, pages)
            self.scatter(pages, pieces)
            self.vgpu.create(number, pages * PAGE)
        self.resources = dict(zip(SIZES, range(2, 9)))
        self.session = Insider(ADDRESS, self.vgpu).bind(1)
        self.client = self.session.client(label=b'pages')
        self.window = Window(self.client)

    def scatter(self, pages, pieces):
        """Has the next resource in so many pieces, backwards: none of them touch."""
        free = sorted(self.vgpu.free_pages)
        each = -(-pages // pieces)
        runs = [free[at:at + each] for at in range(0, pages, each)]
        taken = [page for run in reversed(runs) for page in run][:pages]
        rest = set(taken)
        self.vgpu.free_pages = taken + [page for page in free if page not in rest]

    def commit(self, buffer, size):
        """Wayland's part of a frame, and the answer that ends it."""
        callback = self.client.new_id('wl_callback')
        self.client.free_ids.insert(0, callback)
        surface = self.window.surface
        messages = pack(surface, 1, struct.pack('=Iii', buffer, 0, 0)) + \
            pack(surface, 9, struct.pack('=iiii', 0, 0, *size)) + pack(surface, 6, b'') + \
            pack(1, 0, struct.pack('=I', callback))
        return frame('WAYLAND', messages), pack(1, 1, struct.pack('=I', callback))

    def until(self, sent, answer):
        """Nanoseconds from the first byte out to the answer."""
        sock, got = self.client.socket, b''
        start = time.perf_counter_ns()
        sock.sendall(sent)
        while answer not in got:
            got += sock.recv(65536)
        return time.perf_counter_ns() - start

    def frames(self, name, count):
        width, height = SIZES[name]
        buffer, memory, number = self.client.buffer_of(self.window.shm, self.resources[name], width, height)
        self.client.roundtrip()
        word = copy_frame(memory, width * 4, height, width * 4, 0, number, width * 4, 0)
        samples = []
        for _ in range(count):
            messages, answer = self.commit(buffer, SIZES[name])
            samples.append(self.until(word + messages, answer))
        self.done(buffer, memory, number)
        return samples

    def hand_over(self, name, count):
        """As buffer_of() does, in one piece."""
        width, height = SIZES[name]
        samples = []
        for _ in range(count):
            said = []
            self.client.say = lambda *frames: said.extend(frames)
            buffer, memory, number = self.client.buffer_of(self.window.shm, self.resources[name], width, height)
            del self.client.say
            said.append(copy_frame(memory, width * 4, height, width * 4, 0, number, width * 4, 0))
            messages, answer = self.commit(buffer, SIZES[name])
            samples.append(self.until(b''.join(said) + messages, answer))
            self.done(buffer, memory, number)
        return samples

    def bytes(self, name, count):
        width, height = SIZES[name]
        buffer, memory = self.client.new_buffer(self.window.shm, width, height)
        self.client.roundtrip()
        pixels, samples = bytes(width * height * 4), []
        for _ in range(count):
            messages, answer = self.commit(buffer, SIZES[name])
            samples.append(self.until(mem_write(memory, width * 4, height, width * 4, 0, pixels) + messages, answer))
        self.done(buffer, memory, None)
        return samples

    def kernel(self, name, count):
        """What the device asks of the kernel when the buffer is exported."""
        runs = []
        for page in self.vgpu.resources[self.resources[name]]:
            if runs and page == runs[-1][0] + runs[-1][1]:
                runs[-1][1] += 1
            else:
                runs.append([page, 1])
        request = struct.pack('=II', 0, len(runs)) + b''.join(
            struct.pack('=IIQQ', self.vgpu.fd, 0, page * PAGE, n * PAGE) for page, n in runs)
        samples = []
        with open('/dev/udmabuf', 'rb', buffering=0) as device:
            for _ in range(count):
                self.client.roundtrip()
                start = time.perf_counter_ns()
                fd = fcntl.ioctl(device, UDMABUF_CREATE_LIST, bytearray(request), True)
                samples.append(time.perf_counter_ns() - start)
                os.close(fd)
        return samples

    def done(self, buffer, memory, number):
        released = self.client.released
        self.client.send(self.window.surface, 'attach', 0, 0, 0)
        self.client.send(self.window.surface, 'commit')
        self.client.send(buffer, 'destroy')
        self.client.say(frame('VFD_CLOSE', struct.pack('<I', memory)))
        if number:
            self.client.release(number)
        self.client.roundtrip()
        if number:
            self.client.wait_released(released + 1)

    def counts(self):
        self.client.close()
        self.context.wait(lambda: ' ended: sent ' in self.host.log(), 'the host counts')
        line = next(line for line in self.host.log().splitlines() if ' ended: sent ' in line)
        return {name: int(value) for name, value in re.findall(r'(\w+)=(\d+)', line)}

    def stop(self):
        self.context.stop_all()
        self.context.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=pathlib.Path, required=True, help="meson's build folder")
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--frames', type=int, default=100, help='of each kind in a round')
    parser.add_argument('--json', type=pathlib.Path, help='where to write every sample')
    args = parser.parse_args()
    samples = {column: [] for column in COLUMNS}
    rig = Rig(args.build.resolve())
    try:
        measures = {'hand-64x64': (rig.hand_over, '64x64', 10), 'hand-4k': (rig.hand_over, '4k', 10),
                    'frame-64x64': (rig.frames, '64x64', args.frames), 'frame-4k': (rig.frames, '4k', args.frames),
                    'kernel-4k': (rig.kernel, '4k', 10), 'bytes-4k': (rig.bytes, '4k', 3)}
        for number in range(args.rounds):
            turn = list(measures)
            for column in turn[number % len(turn):] + turn[:number % len(turn)]:
                measure, name, count = measures[column]
                samples[column].append(statistics.median(measure(name, count)))
        kind = re.findall(r'resource 3: (exported \w+ \w+ ?\w*)', rig.gpu.log())
        counts = rig.counts()
    finally:
        rig.stop()
    times = {column: statistics.median(values) for column, values in samples.items()}
    for column, title in COLUMNS.items():
        spread = (max(samples[column]) - min(samples[column])) / times[column]
        print(f'{times[column] / 1e6:8.3f} ms  {title} (spread {spread * 100:.0f}%)')
    print(f'the 4K buffer was {kind[-1]}; {counts["shared"]} bytes were shown without a copy, {counts["copied"]} with one')
    for title, ratio, limit, least in TARGETS:
        value = ratio(times)
        verdict = '' if limit is None else f'  (target: {"at least" if least else "at most"} {limit}: ' \
            f'{"yes" if (value >= limit if least else value <= limit) else "NO"})'
        print(f'{value:8.2f}  {title}{verdict}')
    if args.json:
        args.json.write_text(json.dumps({'samples': samples, 'counts': counts}, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
