#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The guest daemon in a guest kernel, over virtio-vsock, and the host daemon here: what applications of a VM are for."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.client import Client  # noqa: E402

import draw  # noqa: E402
from vm import HERE, Vm  # noqa: E402


@test(timeout=200)
def status_of_the_application_is_the_guests(t):
    """wayvsock-guest -- CMD returns CMD's status, and CMD has a display."""
    vm = Vm(t)
    t.eq(vm.run('test -n "$WAYLAND_DISPLAY" && exit 7'), 7, "exit status")


@test(timeout=200)
def globals_of_the_host(t):
    """An application of the guest is offered the host's desktop, without what could watch or control it."""
    t.need("wayland-info")
    vm = Vm(t)
    t.eq(vm.run("exec wayland-info >globals"), 0, "wayland-info's status")
    seen = vm.read("globals").decode()
    for interface in ("wl_compositor", "wl_shm", "xdg_wm_base", "wl_seat", "wl_data_device_manager"):
        t.has(f"'{interface}'", seen, "globals")
    for interface in ("zwlr_screencopy_manager_v1", "zwlr_layer_shell_v1", "zwp_virtual_keyboard_manager_v1",
                      "zwlr_data_control_manager_v1", "ext_session_lock_manager_v1"):
        t.lacks(f"'{interface}'", seen, "globals")


@test(timeout=200)
def pixels_arrive_as_drawn(t):
    """Each pixel of a window is on the host's screen as the guest drew it, and again after a change."""
    vm = Vm(t)
    guest = vm.boot(f"exec python3 {HERE}/draw.py 1 2 >drawn")
    for generation in (1, 2):
        vm.touch(str(generation))
        t.wait(lambda: f"drawn {generation} 1280x720".encode() in vm.read("drawn") or not guest.alive,
               "the guest draws", 60)
        expected = draw.ppm_pixels(1280, 720, generation)
        t.wait(lambda: vm.compositor.grab().endswith(expected), f"picture {generation} is on the screen")
    guest.kill()


@test(timeout=200)
def applications_appear(t):
    """Real applications of the guest have windows on the host, titled as the VM's, and keep them apart."""
    t.need("foot", "weston-flower")
    vm = Vm(t)
    guest = vm.boot("foot --title=first sh -c 'touch shell; exec sleep 1000' & weston-flower & wait")
    t.wait(lambda: len(vm.compositor.windows()) == 2 or not guest.alive, "two windows", 60)
    names = {w["name"] for w in vm.compositor.windows()}
    t.eq(names, {"[vm] first", "[vm] Flower"}, "titles")
    t.wait(lambda: os.path.exists(vm.path("shell")), "the terminal runs its command")
    guest.kill()
    vm.compositor.no_windows()


@test(timeout=200)
def keys_arrive(t):
    """What is typed on the host arrives in the guest's terminal."""
    t.need("foot", "wtype")
    vm = Vm(t)
    plug_keyboard(t, vm.compositor)
    guest = vm.boot("exec foot sh -c 'touch shell; read line; echo \"$line\" >typed; exec sleep 1000'")
    t.wait(lambda: os.path.exists(vm.path("shell")) or not guest.alive, "the terminal runs its command", 60)
    t.wait(lambda: any(w["focused"] for w in vm.compositor.windows()), "the terminal has the focus")
    t.eq(t.run(["wtype", "hello 42", "-k", "Return"], vm.compositor.env()).popen.returncode, 0, "wtype's status")
    t.wait(lambda: vm.read("typed") or not guest.alive, "the line is read")
    t.eq(vm.read("typed"), b"hello 42\n", "what was typed")
    guest.kill()


@test(timeout=200)
def many_applications(t):
    """A hundred applications, twenty at a time, all get the same answer, and nothing of them is left on the host."""
    t.need("wayland-info")
    vm = Vm(t)
    t.eq(vm.run("wayland-info | sort >first; before=$(cat first | wc -c); test $before -gt 100 || exit 1; "
                "seq 100 | xargs -P 20 -I N sh -c 'wayland-info | sort | cmp - first || echo N >>different'; "
                "test ! -e different"), 0, "the guest's status")
    t.wait(lambda: not [f for f in vm.host.fds() if "memfd" in f], "the host daemon lets go of all memory")
    for process in vm.host.family:
        t.ok(len(process.fds()) < 20, f"the host daemon's descriptors ({process.name}): {process.fds()}")


@test(timeout=200)
def check_in_the_guest(t):
    """--check says that all is well, or what is missing."""
    vm = Vm(t)
    daemon = f"{os.environ['WAYVSOCK_GUEST']} --connect vsock:2:1100 --check"
    connected = "until grep -q 'connected to the host' .guest/output; do sleep 0.1; done"    # or it interrupts --check
    t.eq(vm.run(f"{connected}; {daemon} --token /run/token >good 2>&1 && ! {daemon} >bad 2>&1"), 0,
         f"the guest's status; {vm.read('good')}")
    t.has(b"token", vm.read("bad"), "--check without a token")


def plug_keyboard(t, sway):
    """Selections belong to who has the keyboard's focus, so there must be a keyboard."""
    t.need("wtype")
    t.spawn(["wtype", "-s", "1000000", "x"], sway.env())
    with Client(sway.socket) as c:
        c.bind("wl_seat", 5)
        c.wait_for(lambda: any(m.name == "capabilities" and m.args[0] & 2 for m in c.events), "a keyboard")


@test(timeout=200)
def clipboard_to_the_host(t):
    """What the guest copies, the host pastes: 4 MiB, byte for byte."""
    t.need("wl-copy", "wl-paste")
    data = random.Random(1).randbytes(4 << 20)
    vm = Vm(t)
    plug_keyboard(t, vm.compositor)
    with open(vm.path("data"), "wb") as f:
        f.write(data)
    guest = vm.boot("wl-copy --foreground --type application/x-test <data")
    types = ["wl-paste", "--list-types"]
    t.wait(lambda: "application/x-test" in t.run(types, vm.compositor.env()).log() or not guest.alive,
           "the host is offered the selection", 60)
    with open(t.path("pasted"), "wb") as out:
        pasted = t.spawn(["wl-paste", "--no-newline", "--type", "application/x-test"], vm.compositor.env(), stdout=out)
    t.eq(pasted.wait(100), 0, "wl-paste's status")
    with open(t.path("pasted"), "rb") as f:
        t.ok(f.read() == data, "the pasted bytes are the copied ones")
    guest.kill()


@test(timeout=200)
def clipboard_to_the_guest(t):
    """What the host copies, the guest pastes: 4 MiB, byte for byte."""
    t.need("wl-copy", "wl-paste")
    data = random.Random(2).randbytes(4 << 20)
    vm = Vm(t)
    plug_keyboard(t, vm.compositor)
    with open(t.path("data"), "wb") as f:
        f.write(data)
    with open(t.path("data"), "rb") as f:
        t.spawn(["wl-copy", "--foreground", "--type", "application/x-test"], vm.compositor.env(), stdin=f)
    t.wait(lambda: "application/x-test" in t.run(["wl-paste", "--list-types"], vm.compositor.env()).log(),
           "the selection is there")
    t.eq(vm.run("exec wl-paste --no-newline --type application/x-test >pasted"), 0, "wl-paste's status")
    t.ok(vm.read("pasted") == data, "the pasted bytes are the copied ones")


@test(timeout=200)
def no_token_no_display(t):
    """On a hybrid socket nothing but the token proves anything, not even being root; the host's log says so."""
    vm = Vm(t)
    for wrong in (None, "not the token of this VM, but as long as one is"):
        guest = vm.boot("timeout 15 wayland-info >globals; touch ended", token=wrong, limit=60)
        t.wait(lambda: os.path.exists(vm.path("ended")) or not guest.alive, "the application ends or never starts", 60)
        guest.kill()
        t.lacks(b"wl_compositor", vm.read("globals"), "globals")
    t.has("token", vm.host.log(), "the host's log")
    t.ok(vm.host.alive, "the host lives")


@test(timeout=200)
def host_daemon_killed(t):
    """The host daemon may be killed and started again: applications started after that work."""
    vm = Vm(t)
    guest = vm.boot("wayland-info >before; touch 1; until [ -e 2 ]; do sleep 0.1; done; "
                    "until wayland-info >after; do sleep 0.5; done; exit 5")
    t.wait(lambda: os.path.exists(vm.path("1")) or not guest.alive, "an application works", 60)
    t.has(b"wl_compositor", vm.read("before"), "globals before")
    vm.host.kill()
    os.unlink(vm.path("vsock_1100"))
    vm.start_host()
    vm.touch("2")
    t.eq(guest.wait(100), 5, "the guest's status")
    t.has(b"wl_compositor", vm.read("after"), "globals after")


@test(timeout=250)
def guest_kernel_killed(t):
    """A VM that dies takes its windows along and nothing else; it may boot again."""
    vm = Vm(t)
    for _ in range(2):
        guest = vm.boot("exec weston-flower")
        vm.compositor.window(title="[vm] Flower", timeout=60)
        guest.kill()
        vm.compositor.no_windows()
        t.ok(vm.host.alive, "the host daemon lives")


if __name__ == "__main__":
    if os.environ.get("WAYVSOCK_GUEST_TESTS"):
        main()
    else:
        print("1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel")
