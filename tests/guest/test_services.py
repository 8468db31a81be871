#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The units as users have them: installed, and started by a systemd.

Runs in a guest kernel whose PID 1 is systemd (scripts/guest -s), as root. It is both sides at once: CID 1 is the guest itself,
alice has a desktop and bob's applications come to it; the VM whose GPU is a service is a program of the user vmm."""

import array
import contextlib
import glob
import os
import pwd
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import Skip, main, test  # noqa: E402
from harness.client import Window  # noqa: E402
from harness.compositors import SWAY_CONFIG, Sway  # noqa: E402
from harness.insider import Insider  # noqa: E402
from harness.surface import noise  # noqa: E402
from harness.tap import Failure  # noqa: E402
from harness.two_vms import HEIGHT, NONCE, WIDTH, ppm  # noqa: E402
from harness.vgpu import B8G8R8X8, PAGE, Vgpu  # noqa: E402

SIZE = WIDTH * HEIGHT * 4
BLIT, RGBA = 16, 15      # a command of virgl, and what it copies
SERVICES_DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "services.md")
VMM_DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "vmm.md")
GPU, GUEST, HOST = "wayvsock-gpu@work", "wayvsock-guest@bob", "wayvsock-host"
RUN, X11 = "wayvsock-run@bob", "wayvsock-x11"
VHOST, EXPORT = "/run/wayvsock-gpu/work.vhost", "/run/wayvsock-gpu-work/export"
DISPLAY, X_SOCKET = "/run/wayvsock/bob/wayland-0", "/tmp/.X11-unix/X1235"
RENDER_NODE = "/dev/dri/renderD128"
# How a session tells its services of itself.
SESSION = 'exec "systemctl --user import-environment WAYLAND_DISPLAY && systemctl --user start desktop.target"\n'
UNITS = {
    "/run/systemd/user/desktop.service": f"""[Service]
Environment=WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1
ExecStart={shutil.which("sway")} -c /run/desktop.config
""",
    "/run/systemd/user/desktop.target": "[Unit]\nBindsTo=graphical-session.target\n",
    "/run/desktop.config": SWAY_CONFIG + SESSION,
    "/etc/systemd/system/wayvsock-gpu@work.socket.d/user.conf": "[Socket]\nSocketUser=vmm\n",
    "/etc/wayvsock/guest.conf": "WAYVSOCK_CONNECT=vsock:1:1100\n",
    "/home/alice/.config/wayvsock/host.conf": f"""
[vm bob]
cid = 1
title-prefix = "[vm] "

[vm work]
listen = unix:/run/user/1234/work
gpu = {EXPORT}
""",
}


def call(*argv, user=None, check=True):
    """What the program says, as root or as a user with a session."""
    if user:
        entry = pwd.getpwnam(user)
        argv = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups", "env", "-i",
                f"HOME={entry.pw_dir}", f"USER={user}", f"XDG_RUNTIME_DIR=/run/user/{entry.pw_uid}", f"PATH={os.environ['PATH']}",
                *argv]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if check and done.returncode:
        raise Failure(f"{' '.join(argv)}: {done.returncode}: {done.stdout}")
    return done.stdout.strip()


@contextlib.contextmanager
def effective(user):
    """Files and sockets as that user."""
    os.seteuid(pwd.getpwnam(user).pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


def systemctl(*arguments, user=None, check=True):
    return call("systemctl", *(["--user"] if user else []), *arguments, user=user, check=check)


def state(unit, user=None):
    return systemctl("is-active", unit, user=user, check=False)


def pid(unit, user=None):
    return int(systemctl("show", "-P", "MainPID", unit, user=user))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def set_up():
    """What an administrator does once."""
    call("meson", "install", "-C", os.environ["WAYVSOCK_BUILD"], "--no-rebuild", "--quiet")
    for group in ("kvm", "render"):
        call("groupadd", "-f", "-r", group)
    for user, number in (("alice", 1234), ("bob", 1235), ("vmm", 1236)):
        call("useradd", "-m", "-s", "/bin/bash", "-u", str(number), user)
    for path, text in UNITS.items():
        write(path, text)
    call("chown", "-R", "alice:", "/home/alice")
    for group, device in (("kvm", "/dev/udmabuf"), *(("render", node) for node in glob.glob("/dev/dri/renderD*"))):
        if os.path.exists(device):          # as udev's rules have it
            shutil.chown(device, group=group)
            os.chmod(device, 0o660)
    systemctl("daemon-reload")
    call("systemd-tmpfiles", "--create")


class Desktop(Sway):
    """Alice's session, to which the host's daemon belongs."""

    def __init__(self, t):
        t.need("sway", "swaymsg", "grim")
        self.context, self.ipc = t, None
        systemctl("start", "user@1234.service")
        systemctl("enable", "-q", "wayvsock-host.socket", user="alice")
        t.closers.append(self.stop)
        systemctl("start", "desktop.service", user="alice")
        self.ipc = t.wait(lambda: glob.glob("/run/user/1234/sway-ipc.*"), "sway's socket")[0]
        t.wait(lambda: state("wayvsock-host.socket", "alice") == "active", "the session has started")
        self.socket = "/run/user/1234/" + self.variable("WAYLAND_DISPLAY")

    @staticmethod
    def variable(name, user="alice"):
        return dict(line.split("=", 1) for line in systemctl("show-environment", user=user).splitlines())[name]

    @staticmethod
    def stop():
        systemctl("stop", "desktop.target", "graphical-session.target", "desktop.service", user="alice", check=False)
        systemctl("stop", "user@1234.service")


def frontend(t, draws=False):
    """A VM of the user vmm connects, which starts its device."""
    with effective("vmm"):
        return Vgpu(VHOST, draws=draws)


def start_gpu(t, options=""):
    """As docs/vmm.md says."""
    # All that is said goes to the report of a test that fails.
    t.spawn(["journalctl", "-q", "-f", "-n", "0", "-o", "short-monotonic"], name="journal")
    write("/etc/wayvsock/gpu-work.conf", f"WAYVSOCK_GPU_OPTIONS=--log-level debug --export-user=alice {options}\n")
    t.closers.append(lambda: systemctl("stop", f"{GPU}.socket", f"{GPU}.service"))
    systemctl("enable", "-q", "--now", f"{GPU}.socket")


def said(unit):
    """What it has logged since its last start."""
    return call("journalctl", "-q", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={systemctl('show', '-P', 'InvocationID', unit)}")


def may_connect(path, user, kind=socket.SOCK_STREAM):
    """Whether that user may connect to a Unix socket."""
    try:
        with effective(user), socket.socket(socket.AF_UNIX, kind) as s:
            s.connect(path)
        return True
    except PermissionError:
        return False


@test(timeout=60)
def vsock_units(t):
    """A vsock device that is killed, or restarted, is followed by one that goes on with the same hypervisor and memory."""
    unit, vhost = "wayvsock-vsock@work.service", "/run/wayvsock-vsock/work.vhost"
    get_features, set_owner, set_memory = 1, 3, 5
    systemctl("enable", "-q", "--now", "wayvsock-vm@work.target")
    for device in ("gpu", "vsock"):
        t.eq(state(f"wayvsock-{device}@work.socket"), "active", f"the VM's {device}")
    t.ok(not may_connect(vhost, "alice"), "others may not connect")
    with socket.socket(socket.AF_UNIX) as s, socket.socket(socket.AF_UNIX) as listener:
        s.settimeout(30)
        s.connect(vhost)

        def say(request, payload=b"", fds=()):
            socket.send_fds(s, [struct.pack("=III", request, 1, len(payload)) + payload], fds)

        def features():
            say(get_features)
            return s.recv(20)
        before = features()
        t.eq(len(before), 20, "the size of an answer")
        listener.bind("/run/wayvsock-vsock-work/host")
        memory = os.memfd_create("ram")
        os.truncate(memory, 1 << 20)
        say(set_owner)
        say(set_memory, struct.pack("=IIQQQQ", 1, 0, 0, 1 << 20, 0, 0), [memory])
        os.close(memory)
        t.eq(features(), before, "an answer when it has the memory")
        for action in (["kill", "-s", "KILL"], ["kill", "-s", "KILL"], ["restart"], ["kill", "-s", "KILL"]):
            old = pid(unit)
            systemctl(*action, unit)
            t.wait(lambda: state(unit) == "active" and pid(unit) not in (0, old), f"another process after {action[-1]}")
            t.eq(features(), before, f"an answer after {action[-1]}")
            with open(f"/proc/{pid(unit)}/maps") as f:
                t.has("memfd:ram", f.read(), "the VM's memory")
            t.ok(os.path.exists(listener.getsockname()), f"whoever listens beside the device goes on after {action[-1]}")
    systemctl("disable", "-q", "--now", "wayvsock-vm@work.target")
    for device in ("gpu", "vsock"):
        t.eq(state(f"wayvsock-{device}@work.socket"), "inactive", f"the VM's {device} after that")
    systemctl("stop", unit)


@test(timeout=60)
def gpu_units(t):
    """The socket is the hypervisor's, whose connection starts the device; that is a user of its own, and ends without a trace."""
    start_gpu(t)
    seen = os.stat(VHOST)
    t.eq((seen.st_uid, stat.S_IMODE(seen.st_mode)), (1236, 0o600), "the socket's owner and mode")
    t.ok(not may_connect(VHOST, "alice"), "others may not connect")
    t.eq(state(f"{GPU}.service"), "inactive", "the device, with nobody connected")
    vgpu = frontend(t)
    vgpu.create(1, 3 * PAGE)
    t.eq(state(f"{GPU}.service"), "active", "the device, connected to")
    t.ok(may_connect(EXPORT, "alice", socket.SOCK_SEQPACKET), "the export socket is there for others")
    # Another VM's device is another user: neither may do anything to the other, nor have its buffers.
    systemctl("start", "wayvsock-gpu@my-other_VM2.service")
    t.ok(os.path.exists("/run/wayvsock-gpu-my-other_VM2/export"), "the other's export socket exists as soon as it is started")
    status = {}
    for unit in (GPU, "wayvsock-gpu@my-other_VM2"):
        with open(f"/proc/{pid(f'{unit}.service')}/status") as f:
            status[unit] = dict(line.split(":\t", 1) for line in f.read().splitlines())
    systemctl("stop", "wayvsock-gpu@my-other_VM2.socket", "wayvsock-gpu@my-other_VM2.service")
    users = [s["Uid"].split()[0] for s in status.values()]
    t.ok("0" not in users and users[0] != users[1], f"the users of two devices: {users}")
    for s in status.values():
        t.eq((s["CapPrm"], s["CapBnd"], s["NoNewPrivs"], s["Seccomp"]), ("0" * 16, "0" * 16, "1", "2"), "what it may do")
    for action in (["restart"], ["kill", "-s", "KILL"]):
        systemctl(*action, f"{GPU}.service")
        vgpu.close()
        vgpu = frontend(t)
        vgpu.create(1, PAGE)
    systemctl("stop", f"{GPU}.socket")
    t.wait(lambda: state(f"{GPU}.service") == "inactive", "the device stops with its socket")
    t.eq([p for p in (VHOST, os.path.dirname(EXPORT)) if os.path.exists(p)], [], "what is left")
    t.eq(systemctl("show", "-P", "Result", f"{GPU}.service"), "success", "how it ended")


class Shown:
    """A window on alice's desktop whose pixels are the resource 1."""

    def __init__(self, t, desktop, vgpu):
        self.t, self.desktop, self.vgpu = t, desktop, vgpu
        systemctl("start", "wayvsock-host.service", user="alice")
        # Its socket exists when it says that it is ready.
        vgpu.create(NONCE)
        with effective("alice"):        # over a Unix socket, being this user is the proof
            self.client = Insider("/run/user/1234/work", vgpu).bind(NONCE).client(label=b"pages")
        self.window = Window(self.client)

    def show(self, pixels, what):
        buffer, memory, number = self.client.buffer_of(self.window.shm, 1, WIDTH, HEIGHT)
        self.client.copy(memory, number, SIZE)
        self.window.show(buffer)
        self.client.roundtrip()
        self.desktop.shows(ppm(pixels), what)


@test(timeout=90)
def gpu_pixels(t):
    """Within its sandbox the device makes descriptors of the VM's pages, which alice's daemon shows, also after a restart."""
    desktop = Desktop(t)
    start_gpu(t)
    for seed in (1, 2):
        vgpu = frontend(t)
        vgpu.create(1, SIZE)
        vgpu.write(1, noise(SIZE, seed))
        Shown(t, desktop, vgpu).show(noise(SIZE, seed), f"the picture of the VM's start {seed}")
        if os.path.exists("/dev/udmabuf"):
            t.has("resource 1: exported as a udmabuf", said(f"{GPU}.service"), "the device's log")
        systemctl("restart", f"{GPU}.service")
        vgpu.close()


def drop_in(lines):
    """That part of what docs/vmm.md wants for 3D; its first two lines are for a GPU."""
    with open(VMM_DOC) as f:
        whole = re.search(r"^\[Service\]\n(SupplementaryGroups=.*?)```", f.read(), re.S | re.M)[1].splitlines()
    write(f"/run/systemd/system/{GPU}.service.d/3d.conf", "\n".join(["[Service]", *whole[lines]]) + "\n")
    systemctl("daemon-reload")


def draws(t, desktop, seed):
    """The VM has a quarter of a picture drawn, twice as large, which takes a shader."""
    pixels = noise(SIZE, seed)
    vgpu = frontend(t, draws=True)
    for number in (1, 2):
        vgpu.create_picture(number, WIDTH, HEIGHT)
    vgpu.draw(2, WIDTH, HEIGHT, pixels)
    vgpu.create_context(1, (1, 2))
    vgpu.draw_commands(1, (BLIT, 0, struct.pack("<21I", RGBA, 0, 0, 1, 0, B8G8R8X8, 0, 0, 0, WIDTH, HEIGHT, 1,
                                                2, 0, B8G8R8X8, 0, 0, 0, WIDTH // 2, HEIGHT // 2, 1)))
    words = memoryview(pixels).cast("I")
    drawn = array.array("I", (words[y // 2 * WIDTH + x // 2] for y in range(HEIGHT) for x in range(WIDTH)))
    Shown(t, desktop, vgpu).show(drawn.tobytes(), f"what was drawn, {seed}")


@test(timeout=120)
def gpu_draws(t):
    """3D in the sandbox, with the documentation's drop-in; without it, the log tells what is missing."""
    if "virgl" not in call(os.environ["WAYVSOCK_GPU"], "--print-capabilities"):
        raise Skip("this build has no virglrenderer")
    start_gpu(t, "--virgl")
    systemctl("start", f"{GPU}.service", check=False)
    t.has("needs MemoryDenyWriteExecute=no", call("journalctl", "-q", "-o", "cat", "-u", f"{GPU}.service"), "the device's log")
    t.closers.append(lambda: (shutil.rmtree(f"/run/systemd/system/{GPU}.service.d"), systemctl("daemon-reload")))
    drop_in(slice(2, None))
    desktop = Desktop(t)
    draws(t, desktop, 3)
    if not os.path.exists(RENDER_NODE):
        return
    systemctl("stop", f"{GPU}.socket", f"{GPU}.service")
    drop_in(slice(None))
    start_gpu(t, f"--virgl --render-node {RENDER_NODE}")
    draws(t, desktop, 4)
    t.has(f"3D is drawn on {RENDER_NODE}", said(f"{GPU}.service"), "the device's log")


@test(timeout=60)
def gpu_devices(t):
    """The device gets at no other device than it needs."""
    kernel_log = ["dd", "if=/dev/kmsg", "of=/dev/null", "count=0"]
    if subprocess.call(["systemd-run", "-q", "--wait", "-p", "DevicePolicy=closed", *kernel_log]) == 0:
        raise Skip("this kernel has no BPF for systemd's DevicePolicy=")
    start_gpu(t)
    frontend(t).create(1)
    group = systemctl("show", "-P", "ControlGroup", f"{GPU}.service")

    def opens(device):
        """Whether a process among the service's gets that device."""
        script = 'echo $$ >"/sys/fs/cgroup$1/cgroup.procs" && exec dd if="$2" of=/dev/null count=0'
        return subprocess.run(["sh", "-c", script, "sh", group, device], stderr=subprocess.DEVNULL).returncode == 0
    t.ok(opens("/dev/null"), "/dev/null is there")
    if os.path.exists("/dev/udmabuf"):
        t.ok(opens("/dev/udmabuf"), "udmabuf is there")
    t.ok(not opens("/dev/kmsg"), "the kernel's log is not")


@test(timeout=120)
def checks(t):
    """--check beside the units: what their sockets hold is no fault, and nothing is started by looking."""
    desktop = Desktop(t)
    t.closers.append(lambda: systemctl("stop", f"{GUEST}.socket", f"{GUEST}.service"))
    systemctl("enable", "-q", "--now", f"{GUEST}.socket")
    told = call("wayvsock-host", "--config", "/home/alice/.config/wayvsock/host.conf", "--listen", "vsock:1100", "--compositor",
                desktop.socket, "--check", user="alice")
    t.has("note  listening on vsock:1100: wayvsock-host.socket has it", told, "the host's --check")
    told = call("wayvsock-guest", "--connect", "vsock:1:1101", "--display", DISPLAY, "--check", user="bob", check=False)
    t.has(f"note  the display unix:{DISPLAY}: {GUEST}.socket has it", told, "the guest's --check")
    t.eq([state(f"{GUEST}.service"), state(f"{HOST}.service", "alice")], ["inactive"] * 2, "both daemons")
    call("systemd-run", "-q", "--unit=stranger", "-p", "Type=exec", "--", sys.executable, "-c",
         "import os, socket; s = socket.socket(socket.AF_UNIX); s.bind('/run/stranger.new'); s.listen(); "
         "os.rename('/run/stranger.new', '/run/stranger'); s.accept()")
    t.closers.append(lambda: systemctl("stop", "stranger.service", check=False))
    t.wait(lambda: os.path.exists("/run/stranger"), "a program that listens")
    told = call("wayvsock-guest", "--connect", "vsock:1:1101", "--display", "/run/stranger", "--check", check=False)
    t.has("FAIL  the display unix:/run/stranger: python", told, "a display that is another program's")


@test(timeout=120)
def windows(t):
    """Socket activation on both sides: bob's application appears on alice's desktop, and either daemon may be restarted."""
    t.need("foot")
    desktop = Desktop(t)
    t.spawn(["journalctl", "-q", "-f", "-n", "0", "-o", "short-monotonic"], name="journal")
    t.closers.append(lambda: systemctl("stop", f"{GUEST}.socket", f"{GUEST}.service", "user@1235.service"))
    systemctl("enable", "-q", "--now", f"{GUEST}.socket")
    seen = os.stat(DISPLAY)
    t.eq((seen.st_uid, stat.S_IMODE(seen.st_mode)), (1235, 0o600), "the display's owner and mode")
    t.eq([state(f"{GUEST}.service"), state(f"{HOST}.service", "alice")], ["inactive"] * 2, "both daemons at first")
    systemctl("start", "user@1235.service")
    t.eq(desktop.variable("WAYLAND_DISPLAY", "bob"), DISPLAY, "the display of bob's services")
    t.eq(call("bash", "-lc", "echo $WAYLAND_DISPLAY", user="bob"), DISPLAY, "the display of bob's shells")

    def show(what):
        call("systemd-run", "--user", "-q", "--collect", "--unit=application", "--", "foot", "--title=bob's", "sleep", "600",
             user="bob")
        window = t.wait(desktop.windows, f"a window, {what}")[0]
        t.eq(window["name"], "[vm] bob's", "its title")
    show("both daemons started by their sockets")
    t.eq([state(f"{GUEST}.service"), state(f"{HOST}.service", "alice")], ["active"] * 2, "both daemons")
    t.has(f"{DISPLAY}: connected to vsock:1:1100, which calls this VM bob\n", call("wayvsock", "status", user="bob"), "what bob is told")
    t.has("bob: running, ", call("wayvsock", "status", user="alice"), "what alice is told")
    for refused in ("Permission denied", "Operation not permitted"):
        t.lacks(refused, said(f"{GUEST}.service"), "the guest's log, render nodes among it")
    for unit, user in ((f"{GUEST}.service", None), (f"{HOST}.service", "alice")):
        for action in (["restart"], ["kill", "-s", "KILL"]):
            old = pid(unit, user)
            systemctl(*action, unit, user=user)
            desktop.no_windows()
            t.wait(lambda: pid(unit, user) not in (0, old), f"{unit} is another process")
            systemctl("stop", "application.service", user="bob", check=False)
            show(f"{unit}: {action[0]}")
            systemctl("stop", "application.service", user="bob")
            desktop.no_windows()
    desktop.stop()
    desktop = Desktop(t)
    show("after alice has logged in anew")
    systemctl("stop", f"{GUEST}.socket", f"{GUEST}.service")
    t.ok(not os.path.exists(DISPLAY), "no display is left")
    t.ok(not os.path.exists("/run/wayvsock-guest/bob"), "no control socket is left")
    work = "/run/user/1234/work"
    t.ok(os.path.exists(work), "the host's socket")
    systemctl("stop", f"{HOST}.socket", f"{HOST}.service", user="alice")
    t.ok(not os.path.exists(work), "no socket of the host is left")
    for unit, user in ((f"{GUEST}.service", None), (f"{HOST}.service", "alice")):
        t.eq(systemctl("show", "-P", "Result", unit, user=user), "success", f"how {unit} ended")


@test(timeout=120)
def x_programs(t):
    """Bob's X programs come to alice's desktop; from his next login on, his shells and services know his X display."""
    t.need("Xwayland", "xterm")
    desktop = Desktop(t)
    t.spawn(["journalctl", "-q", "-f", "-n", "0", "-o", "short-monotonic"], name="journal")
    t.closers.append(lambda: systemctl("stop", f"{GUEST}.socket", f"{GUEST}.service", "user@1235.service", check=False))
    systemctl("enable", "-q", "--now", f"{GUEST}.socket")
    systemctl("start", "user@1235.service")
    systemctl("enable", "-q", "--now", f"{X11}.socket", user="bob")
    systemctl("restart", "user@1235.service")
    t.wait(lambda: state(f"{X11}.socket", "bob") == "active", "his X display")
    seen = os.stat(X_SOCKET)
    t.eq((seen.st_uid, stat.S_IMODE(seen.st_mode)), (1235, 0o600), "its owner and mode")
    t.eq(desktop.variable("DISPLAY", "bob"), ":1235", "the X display of bob's services")
    t.eq(call("bash", "-lc", "echo $DISPLAY", user="bob"), ":1235", "the X display of bob's shells")
    t.ok(not may_connect(X_SOCKET, "alice"), "it is his alone")
    t.eq(state(f"{X11}.service", "bob"), "inactive", "the service before the first program")

    def show(what):
        call("systemd-run", "--user", "-q", "--collect", "--unit=application", "--", "xterm", "-title", "bob's", "-e", "sleep 600",
             user="bob")
        window = t.wait(desktop.windows, f"a window, {what}")[0]
        t.eq((window["name"], window["app_id"]), ("[vm] bob's", "XTerm"), "its title and app_id")
    show("of the first program")
    t.has("xterm", subprocess.run(["ps", "-o", "args", "-u", "bob"], stdout=subprocess.PIPE, text=True, check=True).stdout, "whose it is")
    systemctl("kill", "-s", "KILL", f"{X11}.service", user="bob")
    desktop.no_windows()
    systemctl("stop", "application.service", user="bob", check=False)
    show("when the service was killed")
    systemctl("stop", "application.service", user="bob")
    desktop.no_windows()
    systemctl("disable", "-q", "--now", f"{X11}.socket", f"{X11}.service", user="bob")
    t.ok(not os.path.exists(X_SOCKET), "no socket is left")
    systemctl("restart", "user@1235.service")
    t.eq(call("bash", "-lc", "echo $DISPLAY", user="bob"), "", "the X display of bob's shells, once it is disabled")


@test(timeout=120)
def programs_from_the_host(t):
    """Alice starts bob's programs from her desktop, once his unit allows it: in a session of his, not limited as the daemon is."""
    t.need("foot")
    desktop = Desktop(t)
    t.spawn(["journalctl", "-q", "-f", "-n", "0", "-o", "short-monotonic"], name="journal")
    units = (f"{RUN}.socket", f"{RUN}.service", f"{GUEST}.socket", f"{GUEST}.service", "user@1235.service")
    t.closers.append(lambda: systemctl("stop", *units, check=False))
    systemctl("enable", "-q", "--now", f"{GUEST}.socket")
    systemctl("start", f"{HOST}.socket", user="alice")
    systemctl("start", f"{GUEST}.service")

    def run(*words, check=True):
        return call("wayvsock", "run", "bob", "--", *words, user="alice", check=check)
    t.wait(lambda: "wayvsock-run@USER.socket would let" in run("true", check=False), "what would let her")
    systemctl("stop", f"{GUEST}.service")
    systemctl("stop", f"{HOST}.service", user="alice")
    t.has("the VM is not there", run("true", check=False), "who asks starts the host's daemon")
    t.eq(state(f"{HOST}.service", user="alice"), "active", "the host's daemon")
    systemctl("enable", "-q", "--now", f"{RUN}.socket")
    t.wait(lambda: run("true", check=False) == "", "the guest's daemon comes with what starts programs")
    seen = os.stat("/run/wayvsock/bob/run")
    t.eq((seen.st_uid, stat.S_IMODE(seen.st_mode)), (1235, 0o600), "the socket's owner and mode")
    script = "id -un; pwd; echo $WAYLAND_DISPLAY $XDG_RUNTIME_DIR; grep NoNewPrivs /proc/self/status; touch ~/written && echo wrote"
    t.eq(run("sh", "-c", script).split(), ["bob", "/home/bob", DISPLAY, "/run/user/1235", "NoNewPrivs:", "0", "wrote"], "whose program it is")
    t.has("not found", call("sh", "-c", "wayvsock run bob -- sh -c nonsense; echo $?", user="alice"), "what is not there")
    t.eq(call("sh", "-c", "wayvsock run bob -- sh -c 'exit 7'; echo $?", user="alice"), "7", "a status")
    program = t.spawn(["setpriv", "--reuid=1234", "--regid=1234", "--init-groups", "env", "XDG_RUNTIME_DIR=/run/user/1234",
                       "wayvsock", "run", "bob", "--", "foot", "--title=bob's", "sleep", "600"], name="run")
    window = t.wait(desktop.windows, "a window")[0]
    t.eq(window["name"], "[vm] bob's", "its title")
    t.has("foot --title=bob's sleep 600", call("journalctl", "-q", "-o", "cat", "_UID=1235"), "what the log tells")
    program.popen.terminate()
    desktop.no_windows()


ECHO = """import socket, sys, threading
def answer(s):
    while data := s.recv(1000):
        s.sendall(data)
    s.close()
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],)).start()
"""


def page_units():
    """The socket units of docs/services.md: path → text, as they stand but for whose they are."""
    with open(SERVICES_DOC) as f:
        text = f.read()
    found = re.findall(r"^```\n# ([/~]\S+\.socket)\n(.*?)^```$", text, re.M | re.S)
    return {path.replace("~", "/home/alice"): lines for path, lines in found}


def page_commands():
    """What it says to type: (user, command)."""
    with open(SERVICES_DOC) as f:
        found = re.findall(r"^(host\$|guest#) (systemctl .*)$", f.read(), re.M)
    return [("alice", line) if side == "host$" else (None, line.replace("@alice", "@bob")) for side, line in found]


def echoes(path, user):
    """Whether somebody answers who is connected to that socket by the user."""
    with effective(user), socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(path)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            s.sendall(b"question")
            return s.recv(100) == b"question"
    return False


@test(timeout=120)
def named_sockets(t):
    """docs/services.md's socket units: of the guest's side for bob's programs, and of the host's for alice's."""
    agent, back = "/run/wayvsock/bob/agent", "/run/user/1234/wayvsock-work-back"
    t.spawn(["journalctl", "-q", "-f", "-n", "0", "-o", "short-monotonic"], name="journal")
    units = ("wayvsock-agent@bob.socket", f"{GUEST}.socket", f"{GUEST}.service", "echo.service")
    t.closers.append(lambda: systemctl("stop", *units, check=False))
    host_conf, guest_conf = "/home/alice/.config/wayvsock/host.conf", "/etc/wayvsock/guest.conf"
    t.closers.append(lambda: [write(path, UNITS[path]) for path in (host_conf, guest_conf)])
    write(host_conf, UNITS[host_conf].replace("cid = 1\n", "cid = 1\nforward = agent back\n") + f"""
[forward agent]
path = %t/echo
[forward back]
direction = to-guest
listen = {back}
""")
    for path, text in (*page_units().items(), ("/run/echo.py", ECHO)):
        write(path, text)
    call("chown", "-R", "alice:", "/home/alice")
    systemctl("daemon-reload")
    Desktop(t)
    t.closers.append(lambda: systemctl("disable", "-q", "--now", "wayvsock-back.socket", user="alice"))
    t.closers.append(lambda: systemctl("disable", "-q", "--now", "wayvsock-agent@bob.socket"))
    for words in (["--user", "/run/user/1234/echo"], ["-pUser=bob", "-pRuntimeDirectory=echo", "/run/echo/back"]):
        *options, path = words
        call("systemd-run", "-q", "--collect", "--unit=echo", *options, sys.executable, "/run/echo.py", path,
             user="alice" if "--user" in options else None)
    systemctl("enable", "-q", "--now", f"{GUEST}.socket")
    systemctl("start", f"{GUEST}.service")              # bob has had windows already
    t.wait(lambda: state(f"{HOST}.service", "alice") == "active", "both daemons run")
    write(guest_conf, UNITS[guest_conf] + "WAYVSOCK_OPTIONS=--forward agent --serve back=/run/echo/back\n")
    for user, line in page_commands():
        call("sh", "-c", line, user=user)
    for path, number in ((agent, 1235), (back, 1234)):
        seen = os.stat(path)
        t.eq((seen.st_uid, stat.S_IMODE(seen.st_mode)), (number, 0o600), f"{path}: owner and mode")
    t.ok(not may_connect(agent, "alice"), "others may not connect")
    t.eq(state(f"{GUEST}.service"), "inactive", "bob's daemon, until somebody comes")
    t.ok(echoes(agent, "bob"), "a program of bob's reaches the host's service, and starts the daemon by that")
    t.eq([state(f"{GUEST}.service"), state(f"{HOST}.service", "alice")], ["active"] * 2, "both daemons")
    t.ok(echoes(back, "alice"), "a program of alice's reaches bob's")
    sockets = [os.stat(path).st_ino for path in (agent, back)]
    for unit, user in ((f"{GUEST}.service", None), (f"{HOST}.service", "alice")):
        systemctl("restart", unit, user=user)
        t.ok(t.wait(lambda: echoes(agent, "bob"), "bob's program again"), f"after {unit} has been restarted")
        t.wait(lambda: echoes(back, "alice"), "alice's program again")
    t.eq([os.stat(path).st_ino for path in (agent, back)], sockets, "the sockets are systemd's: the same")
    t.ok(os.path.exists(DISPLAY), "the display has its own")


if __name__ == "__main__":
    set_up()
    main()
