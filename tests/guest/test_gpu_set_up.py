#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Setting up a GPU: what --check tells in a guest and on a host that has udmabuf, and a device that nobody named."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.stack import TOKEN  # noqa: E402

from vm import BOOT, GPU, HERE, Vm, counters, need_gpu  # noqa: E402

GUEST = os.environ.get("WAYVSOCK_GUEST", "")


def in_guest(t, *argv, options=()):
    """Runs a command in a guest; its status and output."""
    folder = t.mkdir("alone", 0o755)
    r = subprocess.run([BOOT, "-d", folder, "-t", "60", *options, "--", *argv], capture_output=True, text=True, timeout=120)
    return r.returncode, r.stdout + r.stderr


@test(timeout=150)
def a_host_with_udmabuf(t):
    """wayvsock-gpu --check where /dev/udmabuf is there, with Linux's limits and with higher ones, and for another user."""
    limits = "/sys/module/udmabuf/parameters"
    status, told = in_guest(t, "sh", "-c", f"""
        {GPU} --check --export /run/x; echo status $?; echo 8100 >{limits}/list_limit; {GPU} --check --export /run/x
        chgrp video /dev/udmabuf; chmod 660 /dev/udmabuf; install -d -m 777 /run/open
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups {GPU} --check --export /run/open/x""")
    t.eq(status, 0, f"status; {told}")
    first, higher, nobody = told.split("ok    exporting at")[1:]
    t.has("status 0", first, "status")
    t.has("ok    /dev/udmabuf makes descriptors of memory", first, "udmabuf")
    t.has('may need 8100 pieces and 32 MiB', first, "what a large buffer needs")
    t.has("list_limit=8100", first, "what would raise it")
    t.has("8100 pieces (list_limit) and 64 MiB (size_limit_mb) in a buffer, enough for 3840x2160", higher, "higher limits")
    t.has("/dev/udmabuf may be opened by the group video", nobody, "as another user")
    t.has("usermod -aG video nobody", nobody, "as another user")


@test(timeout=150)
def check_in_the_guest(t):
    """wayvsock-guest --check: the node, and that the host looks into it."""
    vm = Vm(t, gpu=GPU)
    t.write("vm/token", TOKEN + "\n")

    def check(*options):
        r = subprocess.run([BOOT, "-d", vm.dir, "-t", "60", *vm.gpu, "--", "sh", "-c",
                            'install -m 600 token /run/token && exec "$@"', "sh", GUEST, "--connect", "vsock:2:1100",
                            "--token", "/run/token", "--check", *options], capture_output=True, text=True, timeout=120)
        t.eq(r.returncode, 0, f"status; {r.stdout}{r.stderr}")
        return r.stdout
    told = check()
    node = re.search(r"ok    (/dev/dri/renderD\d+) is a virtio-gpu that gives memory as (guest blobs|2D resources)\n", told)
    t.ok(node, f"the node: {told}")
    t.has(f"note  the host looks into {node[1]} ({node[2]})", told, "the binding")
    t.has("pixels go over the link as bytes: --gpu off", check("--gpu", "off"), "without")


@test(timeout=200)
def a_device_that_nobody_named(t):
    """--gpu auto: the VM's device is found among others that export by default, and after it was replaced."""
    run = t.env()["XDG_RUNTIME_DIR"]
    others = [t.spawn([GPU, "--socket-path", t.path(f"other{i}")], name="wayvsock-gpu") for i in range(2)]
    t.wait(lambda: len([n for n in os.listdir(f"{run}/wayvsock-gpu") if n.endswith(".sock")]) == 2
           if os.path.exists(f"{run}/wayvsock-gpu") else False, "the others export")
    others[0].kill()  # its socket stays
    vm = Vm(t)
    vm.gpu = ["-g", f"env XDG_RUNTIME_DIR={run} {GPU}"]
    vm.restart_host(lambda config: config + "gpu = auto\n")
    guest = vm.boot(f"exec python3 {HERE}/draw.py 1 >drawn")
    vm.picture(1, guest=guest)
    log = vm.end(guest)
    t.has("the VM's device exports at", log, "the host's log")
    counts = counters(log)
    t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")


if __name__ == "__main__":
    if need_gpu():
        main()
