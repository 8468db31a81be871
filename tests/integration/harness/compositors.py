# SPDX-License-Identifier: MIT
"""Real compositors, headless."""

import json
import os
import shutil
import subprocess

from .proc import wait_until
from .tap import Failure, Skip

NOBODY = 65534
FRAMEBUFFER = 1     # what to capture of weston

# Sway reads this at start; no borders or titles, so that a window is its client's pixels only.
SWAY_CONFIG = """\
seat seat0 fallback true
seat seat0 hide_cursor 1
output HEADLESS-1 resolution 1280x720 position 0 0 bg #203040 solid_color
default_border none
default_floating_border none
focus_follows_mouse no
"""


class Compositor:
    """Has .socket (the display's path) and .proc."""

    def __init__(self, context):
        self.context = context
        self.socket = None
        self.proc = None

    def env(self, **more):
        """For a program that talks to the compositor directly."""
        return self.context.env(WAYLAND_DISPLAY=self.socket, **more)

    def kill(self):
        self.proc.kill()


class Weston(Compositor):
    """parent: a display that weston shows its output on, as a window; without it, it is headless.  gl: draws with GL, in
    software, rather than with pixman.  shell: its desktop's part of weston, "kiosk" for one without panels.  config: weston.ini."""

    def __init__(self, context, width=1024, height=640, args=(), parent=None, gl=False, shell="desktop",
                 command="weston", config=None):
        super().__init__(context)
        context.need(command)
        run = context.mkdir("nested-weston" if parent else "weston")
        backend = "wayland" if parent else "headless"
        version = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=20).stdout
        if int(version.split()[1].split(".")[0]) < 12:     # once its parts had the names of their files
            backend, shell = backend + "-backend.so", shell + "-shell.so"
        self.proc = context.spawn(
            [command, f"--backend={backend}", f"--shell={shell}", *([] if gl else ["--use-pixman"]), f"--width={width}",
             f"--height={height}", "--socket=w", "--idle-time=0", *args,
             f"--config={context.write('weston.ini', config)}" if config else "--no-config"],
            context.env(XDG_RUNTIME_DIR=run, WAYLAND_DISPLAY=parent, LIBGL_ALWAYS_SOFTWARE="1" if gl else None), name="weston")
        self.proc.is_compositor = not parent
        self.socket = os.path.join(run, "w")
        wait_until(lambda: os.path.exists(self.socket) or not self.proc.alive, "weston's socket")
        if not self.proc.alive:
            raise Skip("weston does not run here")

    def grab(self):
        """A screenshot as the bytes of a PPM; of a weston from 12 on that was started with --debug."""
        from .client import Client, Pool
        with Client(self.socket) as client:
            source = client.create(client.bind("weston_capture_v1", 1), "create", client.bind("wl_output", 1), FRAMEBUFFER)
            fourcc, = client.wait_event("weston_capture_source_v1", "format").args
            width, height = client.wait_event("weston_capture_source_v1", "size").args
            pool = Pool(client, client.bind("wl_shm", 1), width * height * 4)
            name = fourcc.to_bytes(4, "little")
            buffer = pool.buffer(0, width, height, width * 4, {b"AR24": 0, b"XR24": 1}.get(name, fourcc))
            said = None
            while said != "complete":
                start = len(client.events)
                client.send(source, "capture", buffer)
                said = client.wait_for(lambda: next((m.name for m in client.events[start:] if m.name in
                                                     ("complete", "retry", "failed")), None), "weston's answer")
                if said == "failed":
                    raise Failure("weston takes no screenshot")
            pixels = pool.map[:]
            pool.close()
        rgb = bytearray(width * height * 3)
        for n, at in enumerate({b"R24": (2, 1, 0), b"B24": (0, 1, 2)}[name[1:]]):
            rgb[n::3] = pixels[at::4]
        return b"P6\n%d %d\n255\n" % (width, height) + bytes(rgb)


class Sway(Compositor):
    """Sway refuses to run as root: there it runs as nobody.

    parent: a display that sway shows its outputs on, as windows; without it, it is headless."""

    def __init__(self, context, config="", parent=None, outputs=1, command="sway"):
        super().__init__(context)
        context.need(command, "swaymsg")
        run = context.mkdir("nested" if parent else "sway")
        path = context.write("sway.config", SWAY_CONFIG + config, 0o644)
        argv = [command, "-c", path]
        if os.geteuid() == 0:
            context.need("setpriv")
            os.chown(run, NOBODY, NOBODY)
            argv = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *argv]
        backend = {"WLR_BACKENDS": "headless", "WLR_HEADLESS_OUTPUTS": outputs}
        if parent:
            backend = {"WLR_BACKENDS": "wayland", "WLR_WL_OUTPUTS": outputs, "WAYLAND_DISPLAY": parent}
        self.proc = context.spawn(
            argv, context.env(XDG_RUNTIME_DIR=run, HOME=run, WLR_RENDERER="pixman", WLR_LIBINPUT_NO_DEVICES="1",
                              **backend), name="sway")
        self.proc.is_compositor = True

        def ready():
            if not self.proc.alive:
                raise Skip("sway does not run here")
            names = os.listdir(run)
            display = [n for n in names if n.startswith("wayland-") and not n.endswith(".lock")]
            ipc = [n for n in names if n.startswith("sway-ipc")]
            if display and ipc:
                self.socket = os.path.join(run, display[0])
                self.ipc = os.path.join(run, ipc[0])
                return True
            return False
        wait_until(ready, "sway's sockets")
        wait_until(lambda: any(o["active"] for o in self.query("get_outputs")), "sway's output")

    def msg(self, *args):
        result = subprocess.run(["swaymsg", "-s", self.ipc, *args], capture_output=True, text=True, timeout=20)
        if result.returncode != 0:
            raise Failure(f"swaymsg {' '.join(args)}: {result.stdout}{result.stderr}")
        return result.stdout

    def query(self, what):
        result = subprocess.run(["swaymsg", "-s", self.ipc, "-r", "-t", what], capture_output=True, text=True,
                                timeout=20)
        return json.loads(result.stdout) if result.returncode == 0 else []

    def windows(self):
        """Every view in the tree."""
        found, todo = [], [self.query("get_tree")]
        while todo:
            node = todo.pop()
            if not node:
                continue
            if node.get("pid") and not node["nodes"] and node["type"] in ("con", "floating_con"):
                found.append(node)
            todo += node.get("nodes", []) + node.get("floating_nodes", [])
        return found

    def window(self, app_id=None, title=None, timeout=30):
        """Waits for a view with this app_id or title."""
        def find():
            for w in self.windows():
                if (app_id is None or w.get("app_id") == app_id) and (title is None or w.get("name") == title):
                    return w
            return None
        return wait_until(find, f"a window app_id={app_id} title={title} in sway, there are "
                          f"{[(w.get('app_id'), w.get('name')) for w in self.windows()]}", timeout)

    def wait_windows(self, count):
        wait_until(lambda: len(self.windows()) == count, f"{count} windows in sway")

    def no_windows(self):
        self.wait_windows(0)

    def shows(self, picture, what, timeout=20, geometry=None):
        """Waits until a direct screenshot is this picture."""
        last = None

        def same():
            nonlocal last
            last = self.grab(None, geometry)
            return last == picture
        try:
            wait_until(same, what, timeout)
        except Failure:
            off = [i for i, (a, b) in enumerate(zip(last, picture)) if a != b]
            folder = os.environ.get("WAYVSOCK_KEEP")
            for name, data in (("expected", picture), ("seen", last)) if folder else ():
                with open(os.path.join(folder, f"{self.context.name}-{name}.ppm"), "wb") as f:
                    f.write(data)
            raise Failure(f"{what}: {len(off)} of {len(picture)} bytes differ from the direct picture, from {off[:1]} to {off[-1:]};"
                          f" {len(set(last[16:]))} values of bytes, windows {[w['rect'] for w in self.windows()]}") from None

    def still(self, unlike=None):
        """A direct screenshot once a second of them agreed, so that nothing is still being drawn."""
        seen = []

        def same():
            now = self.grab()
            if seen and seen[0] != now or now == unlike:
                seen.clear()
            seen.append(now)
            return now if len(seen) > 12 else None
        return wait_until(same, "the screen comes to rest", 40)

    def grab(self, display=None, geometry=None, cursor=False):
        """A screenshot as the bytes of a PPM, taken through a display (default: directly)."""
        self.context.need("grim")
        argv = ["grim", "-t", "ppm"] + (["-c"] if cursor else [])
        if geometry:
            argv += ["-g", geometry]
        result = subprocess.run(argv + ["-"], capture_output=True, timeout=60,
                                env=self.context.env(WAYLAND_DISPLAY=display or self.socket))
        if result.returncode != 0:
            raise Failure(f"grim: {result.stderr.decode(errors='replace')}")
        return result.stdout


def have(program):
    return shutil.which(program) is not None
