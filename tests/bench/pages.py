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
    ('hand-4k / (hand-64x64 + kernel-4k)', lambda m: m['hand-4k'] / (m['hand-64x64'] + m['kernel-4k']), None, False),
    ('bytes-4k / hand-4k', lambda m: m['bytes-4k'] / m['hand-4k'], 5, True),
]


class Rig:
    """A host with a compositor that looks at no pixel, a device, and a guest in this process with a window of each size."""

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
        self.windows = {name: Window(self.client) for name in SIZES}

    def scatter(self, pages, pieces):
        """Has the next resource in so many pieces, backwards: none of them touch."""
        free = sorted(self.vgpu.free_pages)
        each = -(-pages // pieces)
        runs = [free[at:at + each] for at in range(0, pages, each)]
        taken = [page for run in reversed(runs) for page in run][:pages]
        rest = set(taken)
        self.vgpu.free_pages = taken + [page for page in free if page not in rest]

    def commit(self, buffer, name):
        """Wayland's part of a frame, and the answer that ends it."""
        callback = self.client.new_id('wl_callback')
        self.client.free_ids.insert(0, callback)
        surface = self.windows[name].surface
        messages = pack(surface, 1, struct.pack('=Iii', buffer, 0, 0)) + \
            pack(surface, 9, struct.pack('=iiii', 0, 0, *SIZES[name])) + pack(surface, 6, b'') + \
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

    def frames(self, count):
        """Sizes in turn, so that whatever else the machine does meets both."""
        made, samples = {}, {name: [] for name in SIZES}
        for name, (width, height) in SIZES.items():
            buffer, memory, number = self.client.buffer_of(self.windows['4k'].shm, self.resources[name], width, height)
            word = copy_frame(memory, width * 4, height, width * 4, 0, number, width * 4, 0)
            made[name] = buffer, memory, number, word
        self.client.roundtrip()
        for _ in range(count):
            for name, (buffer, _, _, word) in made.items():
                messages, answer = self.commit(buffer, name)
                samples[name].append(self.until(word + messages, answer))
        for name, (buffer, memory, number, _) in made.items():
            self.done(name, buffer, memory, number)
        return {f'frame-{name}': found for name, found in samples.items()}

    def hand_over(self, count):
        """As buffer_of() does, in one piece."""
        samples = {name: [] for name in SIZES}
        for _ in range(count):
            for name, (width, height) in SIZES.items():
                said = []
                self.client.say = lambda *frames, said=said: said.extend(frames)
                buffer, memory, number = self.client.buffer_of(self.windows['4k'].shm, self.resources[name], width, height)
                del self.client.say
                said.append(copy_frame(memory, width * 4, height, width * 4, 0, number, width * 4, 0))
                messages, answer = self.commit(buffer, name)
                samples[name].append(self.until(b''.join(said) + messages, answer))
                self.done(name, buffer, memory, number)
        return {f'hand-{name}': found for name, found in samples.items()}

    def bytes(self, count):
        width, height = SIZES['4k']
        buffer, memory = self.client.new_buffer(self.windows['4k'].shm, width, height)
        self.client.roundtrip()
        pixels, samples = bytes(width * height * 4), []
        for _ in range(count):
            messages, answer = self.commit(buffer, '4k')
            samples.append(self.until(mem_write(memory, width * 4, height, width * 4, 0, pixels) + messages, answer))
        self.done('4k', buffer, memory, None)
        return {'bytes-4k': samples}

    def kernel(self, count):
        """What the device asks of the kernel when the buffer is exported."""
        runs = []
        for page in self.vgpu.resources[self.resources['4k']]:
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
        return {'kernel-4k': samples}

    def done(self, name, buffer, memory, number):
        released = self.client.released
        self.client.send(self.windows[name].surface, 'attach', 0, 0, 0)
        self.client.send(self.windows[name].surface, 'commit')
        self.client.send(buffer, 'destroy')
        self.client.say(frame('VFD_CLOSE', struct.pack('<I', memory)))
        if number:
            self.client.release(number)
        self.client.roundtrip()
        if number:
            self.client.wait_released(released + 1)
        time.sleep(0.02)            # for what the kernel still has to do to forget the pages

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
        measures = [(rig.hand_over, 10), (rig.frames, args.frames), (rig.kernel, 10), (rig.bytes, 3)]
        for number in range(args.rounds):
            for measure, count in measures[number % len(measures):] + measures[:number % len(measures)]:
                for column, found in measure(count).items():
                    samples[column].append(statistics.median(found))
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
