#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures what a cycle of PipeWire's graph costs both daemons while a program in the guest plays (pw-cat at a quantum of 256),
beside messages that cross as often. See docs/benchmark.md."""

import argparse
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))

from harness.context import Context  # noqa: E402
from harness.pipewire import write_wave  # noqa: E402
from harness.services import Services  # noqa: E402
from harness.sound import RATE, PipeWire, tone  # noqa: E402

QUANTUM = 256
SIZE = 64               # bytes of a message
BEGINS_SECONDS = 1.5    # until it plays
BEYOND_US = 60          # of a cycle's, over two messages


def echo(path):
    """A service that sends back what it gets."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()

    def serve():
        connection = listening.accept()[0]
        while data := connection.recv(SIZE):
            connection.sendall(data)
    threading.Thread(target=serve, daemon=True).start()


class Rig:
    def __init__(self, build):
        os.environ.update(WAYVSOCK_GUEST=str(build / 'guest-proxy' / 'wayvsock-guest'),
                          WAYVSOCK_HOST=str(build / 'host-proxy' / 'wayvsock-host'), WAYVSOCK=str(build / 'command' / 'wayvsock'))
        self.context = t = Context('bench')
        self.server = PipeWire(t)
        subprocess.run(['pw-metadata', '-n', 'settings', '0', 'clock.force-quantum', str(QUANTUM)], check=True, capture_output=True,
                       env={**self.server.env(), 'PIPEWIRE_REMOTE': f'{self.server.run}/pipewire-0'}, timeout=30)
        echo(t.path('echo'))
        self.services = Services(t, {'pipewire': f'path = {self.server.run}/pipewire-0\nprotocol = pipewire\nmemory = mirror\n',
                                     'echo': f'path = {t.path("echo")}\n'})
        self.wave = t.path('tone.wav')
        write_wave(self.wave, tone(440, seconds=10))
        self.messages = socket.socket(socket.AF_UNIX)
        self.messages.connect(self.services.socket('echo'))

    def cpu(self):
        """What both daemons have used, in nanoseconds."""
        used = 0
        for process in (*self.services.host.family, self.services.guest):
            with open(f'/proc/{process.pid}/schedstat', encoding='utf-8') as f:
                used += int(f.read().split()[0])
        return used

    def cycles(self, seconds):
        """CPU time of one, in microseconds."""
        env = self.context.env(XDG_RUNTIME_DIR=self.context.mkdir('guest-run'), PIPEWIRE_REMOTE=self.services.socket('pipewire'))
        player = self.context.spawn(['pw-cat', '--playback', f'--latency={QUANTUM}', self.wave], env)
        time.sleep(BEGINS_SECONDS)
        before, begun = self.cpu(), time.monotonic()
        time.sleep(seconds)
        used, took = self.cpu() - before, time.monotonic() - begun
        if not player.alive:
            raise RuntimeError(f'the player has ended: {player.log()}')
        player.stop()
        return used / 1e3 / (took * RATE / QUANTUM)

    def messages_(self, seconds):
        """CPU time of one each way, in microseconds."""
        n, next_at = round(seconds * RATE / QUANTUM), time.monotonic()
        before = self.cpu()
        for _ in range(n):
            self.messages.sendall(bytes(SIZE))
            if len(self.messages.recv(SIZE, socket.MSG_WAITALL)) != SIZE:
                raise RuntimeError('a message is lost')
            next_at += QUANTUM / RATE
            time.sleep(max(0, next_at - time.monotonic()))
        return (self.cpu() - before) / 1e3 / n


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=pathlib.Path, required=True, help="meson's build folder")
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=5, help='of one measurement')
    args = parser.parse_args()
    samples = {'cycle': [], 'messages': []}
    rig = Rig(args.build.resolve())
    try:
        for _ in range(args.rounds):
            samples['messages'].append(rig.messages_(args.seconds))
            samples['cycle'].append(rig.cycles(args.seconds))
    finally:
        rig.context.stop_all()
        rig.context.remove()
    median = {name: statistics.median(values) for name, values in samples.items()}
    print(f'{median["messages"]:8.1f} us of both daemons for a message of {SIZE} bytes each way '
          f'(of {", ".join(f"{v:.0f}" for v in samples["messages"])})')
    print(f'{median["cycle"]:8.1f} us of both daemons for a cycle of {QUANTUM} samples '
          f'(of {", ".join(f"{v:.0f}" for v in samples["cycle"])})')
    beyond = median['cycle'] - median['messages']
    print(f'{beyond:8.1f} us beyond two messages  (target: at most {BEYOND_US}: {"yes" if beyond <= BEYOND_US else "NO"})')


if __name__ == '__main__':
    main()
