#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Guests with Debian's stock kernels in QEMU without KVM, with wayvsock-gpu as their GPU.  A guest takes about half a minute.

WAYVSOCK_QEMU_GUESTS names them as scripts/guest -k does: KERNEL-SUITE[:QEMU-SUITE[:DEVICE]] … With "udmabuf+" before, all
that is on the host runs in a guest kernel itself, which has /dev/udmabuf: that takes two minutes.  With "virgl+", applications
draw on the host; with "udmabuf+virgl+", on a compositor that takes dmabufs."""

import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

from harness.tap import Skip  # noqa: E402

from vm import BOOT, GPU, HERE, Vm, newer_gl, newer_weston, no_drawing  # noqa: E402

PIXELS = 1280 * 720 * 4

COMMANDS = """
until_there() {{ until [ -e "$1" ]; do sleep 0.2; done; }}
uname -r >kernel; date +%s.%N >began
python3 {here}/draw.py 8 9 >drawn & until_there second; kill $!; wait
python3 {here}/dmabuf.py {buffers} >drawn & until_there third; kill $!; wait
foot sh -c 'while :; do uname -a; date +%s.%N; sleep 0.2; done' & until_there fourth; kill $!; wait
exit 3
"""


def each_client(log):
    """What each client of the guest sent, in their order."""
    return [{name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", line)} |
            {"received": int(re.search(r"received (\d+) bytes", line)[1])}
            for line in log.splitlines() if " ended: sent " in line]


def stock_guest(t, name):
    """wl_shm and dmabufs arrive pixel by pixel, a terminal shows what it should, and no pixel crosses the link."""
    t.need("foot")
    vm = Vm(t, gpu=f"{GPU} --log-level debug")
    vm.gpu += ["-k", name]
    # Debian's kernel of bookworm has neither udmabuf nor dma-heap.
    buffers = (1, 2, 5) if name.startswith("bookworm") else (1, 2, 3, 4)
    start = time.time()
    guest = vm.boot(COMMANDS.format(here=HERE, buffers=" ".join(map(str, buffers))), limit=160)
    t.wait(lambda: vm.read("began").endswith(b"\n") or not guest.alive, "the guest boots", 100)
    t.ok(guest.alive, "the guest boots")
    booted = float(vm.read("began")) - start
    for generation in (8, 9):
        vm.picture(generation, guest=guest)
    vm.touch("second")
    for generation in buffers:
        vm.picture(generation, guest=guest)
    vm.touch("third")
    pictures = set()
    t.wait(lambda: pictures.add(vm.compositor.grab()) or len(pictures) > 5 or not guest.alive, "the terminal's content moves", 60)
    vm.touch("fourth")
    t.eq(guest.wait(60), 3, "the guest's status")
    clients = each_client(vm.host.log())
    t.eq(len(clients), 3, "clients")
    t.eq([c["mem"] for c in clients], [0, 0, 0], f"pixel bytes on the link: {clients}")
    # Where the compositor can have the guest's pages themselves, nothing is copied.
    way, other = ("shared", "copied") if os.path.exists("/dev/udmabuf") else ("copied", "shared")
    t.ok(clients[0][way] >= 2 * PIXELS and clients[1][way] >= len(buffers) * PIXELS and clients[2][way] > 0,
         f"pixels that were {way}: {clients}")
    t.eq([c[other] for c in clients], [0, 0, 0], f"pixels that were {other}: {clients}")
    t.ok(all(c["received"] < 64 << 10 for c in clients[:2]), f"no pixels among the bytes received: {clients}")
    how = re.search(r"pixels do not cross the link; (.*)", guest.log())
    print(f"# {name}: Linux {vm.read('kernel').decode().strip()} was up after {booted:.1f} s, all of it took "
          f"{time.time() - start:.1f} s; {how[1] if how else ''}", file=sys.stderr)


def stock_guest_of_a_host_with_udmabuf(t, name):
    if subprocess.call([f"{BOOT}-kernel", "-c"], stdout=subprocess.DEVNULL):
        raise Skip("Debian's guest kernel has no udmabuf; scripts/guest-kernel builds one that has")
    names = ("WAYVSOCK_RIG", "WAYVSOCK_GUEST", "WAYVSOCK_HOST", "WAYVSOCK_GPU", "WAYVSOCK_CACHE", "WAYVSOCK_NEWER_GL",
             "WAYVSOCK_NEWER_WESTON")
    env = [f"{n}={os.environ[n]}" for n in names if n in os.environ]
    env += [f"WAYVSOCK_QEMU_GUESTS={name}", "WAYVSOCK_GUEST_TESTS=1", "WAYVSOCK_TIMEOUT_SCALE=4"]
    r = subprocess.run([BOOT, "-m", "3G", "-t", "500", *(word for e in env for word in ("-e", e)), "--",
                        "python3", os.path.abspath(__file__)], capture_output=True, text=True, timeout=600)
    if skipped := re.search(r"^ok 1 .*# SKIP (.*)", r.stdout, re.M):
        raise Skip(skipped[1])
    t.ok(r.returncode == 0 and "\nok 1 " in r.stdout, f"in the kernel with udmabuf:\n{r.stdout}{r.stderr}")
    print("".join(line + "\n" for line in r.stdout.splitlines() if line.startswith("# ")), end="", file=sys.stderr)


def stock_guest_that_draws(t, name):
    """What a shader draws arrives pixel by pixel, as the host's GL has it or read back; a stock application animates."""
    t.need("weston-simple-egl")
    if no_drawing():
        raise Skip(no_drawing())
    weston, start = None, ""
    if os.path.exists("/dev/udmabuf"):
        weston, start = newer_weston(t, 1280, 720), newer_gl()
    vm = Vm(t, compositor=weston, gpu=f"{start} {GPU} --virgl --log-level debug")
    vm.gpu += ["-k", name]
    # Slow as QEMU in such a kernel is, there is time for one application only.
    then = "" if weston else "timeout -s INT 10 weston-simple-egl; "
    guest = vm.boot(f"python3 {HERE}/gl.py 1 2 >drawn & until [ -e second ]; do sleep 0.2; done; kill $!; wait; {then}exit 3",
                    limit=400 if weston else 160)
    for generation in (1, 2):
        vm.touch(str(generation))
        t.wait(lambda: b"drawn %d " % generation in vm.read("drawn") or not guest.alive, "the guest draws", 60)
        vm.picture(generation, guest=guest)     # which takes time, too
    t.has(b"renderer virgl", vm.read("drawn"), "the guest's GL")
    vm.touch("second")
    if then:
        pictures = set()
        t.wait(lambda: pictures.add(vm.compositor.grab()) or len(pictures) > 5 or not guest.alive,
               "the application's picture moves", 60)
    t.eq(guest.wait(60), 3, "the guest's status")
    clients = each_client(vm.host.log())
    t.eq([c["mem"] for c in clients], [0, 0] if then else [0], f"pixel bytes on the link: {clients}")
    if weston:
        t.eq([c["copied"] for c in clients], [0], f"pixels that were read back: {clients}")
        t.ok(clients[0]["shared"] >= 2 * PIXELS, f"pixels that the compositor had from the GPU: {clients}")


def guest_test(name):
    def stock_guest_of(t):
        if name.startswith("udmabuf+"):
            stock_guest_of_a_host_with_udmabuf(t, name[8:])
        elif name.startswith("virgl+"):
            stock_guest_that_draws(t, name[6:])
        else:
            stock_guest(t, name)
    stock_guest_of.__name__ = f"stock_guest_{name}"
    return test(timeout=650 if name.startswith("udmabuf+") else 300)(stock_guest_of)


if __name__ == "__main__":
    guests = os.environ.get("WAYVSOCK_QEMU_GUESTS", "").split()
    if not guests:
        print("1..0 # SKIP WAYVSOCK_QEMU_GUESTS names no guests; \"bookworm trixie sid:sid:generic\" takes two minutes")
    else:
        for guest_name in guests:
            guest_test(guest_name)
        main()
