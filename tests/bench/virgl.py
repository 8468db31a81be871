#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures frames that a guest's application draws with the host's GL (weston-simple-egl as fast as it can), with one GPU device
and with another, in turns. See docs/benchmark.md."""

import argparse
import os
import pathlib
import re
import statistics
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / 'integration'), str(TESTS / 'guest')]

from harness.context import Context  # noqa: E402

PICTURES = 1000         # in a second: the compositor is to be no limit
WARM_UP = 1             # of the program's own measurements, of 5 seconds each


def measure(gpu, seconds):
    """Frames a second."""
    from vm import Vm
    context = Context('bench')
    try:
        vm = Vm(context, gpu=f'{gpu} --virgl', config=f'output * mode --custom 1280x720@{PICTURES}Hz\n')
        vm.boot(f'stdbuf -oL timeout -s INT {seconds} weston-simple-egl -b >said 2>&1', limit=10 * seconds).wait(10 * seconds)
        rates = [float(rate) for rate in re.findall(r'([\d.]+) fps', vm.read('said').decode())][WARM_UP:]
        if not rates:
            raise RuntimeError(f'nothing was drawn:\n{vm.read("said").decode()}\n{context.logs()}')
        return statistics.mean(rates)
    finally:
        context.stop_all()
        context.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=pathlib.Path, required=True, help="meson's build folder")
    parser.add_argument('--before', type=pathlib.Path, required=True, metavar='WAYVSOCK-GPU', help='the device to compare with')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=21, help='of one measurement')
    args = parser.parse_args()
    build = args.build.resolve()
    devices = {'before': args.before.resolve(), 'now': build / 'host-proxy' / 'gpu' / 'wayvsock-gpu'}
    os.environ.update(WAYVSOCK_GUEST=str(build / 'guest-proxy' / 'wayvsock-guest'),
                      WAYVSOCK_HOST=str(build / 'host-proxy' / 'wayvsock-host'),
                      WAYVSOCK_VSOCK=str(build / 'host-proxy' / 'vsock' / 'wayvsock-vsock'))
    rates = {name: [] for name in devices}
    for number in range(args.rounds):
        print(f'\rround {number + 1} of {args.rounds} ', end='', file=sys.stderr, flush=True)
        for name in list(devices) if number % 2 else reversed(devices):
            rates[name].append(measure(devices[name], args.seconds))
    print('\r' + ' ' * 24 + '\r', end='', file=sys.stderr, flush=True)
    for name, values in rates.items():
        print(f'{statistics.median(values):8.1f} frames a second  {name} (of {", ".join(f"{v:.0f}" for v in values)})')
    print(f'{statistics.median(rates["before"]) / statistics.median(rates["now"]):8.2f} what a frame costs now / before')


if __name__ == '__main__':
    main()
