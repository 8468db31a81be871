#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The guest's menu on the host: entries come, start programs and go, and nothing of them is more than a text."""

import configparser
import glob
import os
import shlex
import socket
import struct
import subprocess
import sys
import threading
import zlib

from harness import Failure, Skip, main, test
from harness.client import Client, Pool, Window
from harness.tools import ACTIVATE, plug_keyboard

ITEM, ICON, LISTED = 9, 10, 11     # protocol/run.h


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, pixel):
    rows = (b"\0" + bytes(pixel) * width) * height
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pixels_of(path):
    """Width, height and pixels of a PNG file of the host's."""
    with open(path, "rb") as f:
        data = f.read()
    at, parts = 8, {}
    while at < len(data):
        n, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + n]
        if struct.unpack_from(">I", data, at + 8 + n)[0] != zlib.crc32(kind + body):
            raise Failure(f"{path}: a wrong checksum")
        parts[kind] = body
        at += 12 + n
    width, height = struct.unpack_from(">II", parts[b"IHDR"])
    rows = zlib.decompress(parts[b"IDAT"])
    stride = 1 + 4 * width
    return width, height, b"".join(rows[y * stride + 1:(y + 1) * stride] for y in range(height))


class Menu:
    """Both daemons, and the folders of their menus."""

    def __init__(self, t, lines="menu = yes\n", vm="test", guest_args=("--allow-run",), compositor=None, guest_env=None,
                 host_env=None, **options):
        self.t, self.vm = t, vm
        self.guest = t.mkdir("guest-data")
        self.host = t.mkdir("host-data")
        self.programs = os.path.join(self.guest, "applications")
        self.folder = f"{self.host}/applications/wayvsock/vm-{vm}"
        os.makedirs(self.programs, exist_ok=True)
        self.stack = t.stack(compositor or t.fake(), start=False, config=f"[vm {vm}]\nlisten = @ADDRESS@\n{lines}", guest_args=guest_args,
                             guest_env={"XDG_DATA_HOME": self.guest, "XDG_DATA_DIRS": "/nowhere", **(guest_env or {})},
                             host_env={"XDG_DATA_HOME": self.host, **(host_env or {})}, **options)

    def add(self, name, **keys):
        lines = {"Type": "Application", "Name": name, "Exec": "true", **keys}
        path = os.path.join(self.programs, name + ".desktop")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".part", "w", encoding="utf-8") as f:
            f.write("[Desktop Entry]\n" + "".join(f"{key.replace('_', '')}={value}\n" for key, value in lines.items()))
        os.rename(path + ".part", path)
        return path

    def entries(self):
        """On the host: name → section."""
        found = {}
        for path in glob.glob(f"{self.folder}/*.desktop"):
            parser = configparser.RawConfigParser(strict=True, interpolation=None, delimiters="=", comment_prefixes=("#",))
            parser.optionxform = str
            try:
                parser.read(path, encoding="utf-8")
            except FileNotFoundError:
                continue
            if parser.sections() != ["Desktop Entry"]:
                raise Failure(f"{path}: {parser.sections()}")
            found[parser["Desktop Entry"]["Name"]] = parser["Desktop Entry"]
        return found

    def shows(self, *names):
        self.t.wait(lambda: sorted(self.entries()) == sorted(names), f"entries {names}; there are {sorted(self.entries())}")
        return self.entries()


def command_of(t, entry):
    words = shlex.split(entry["Exec"])
    t.eq(words[:2], ["wayvsock", "run"], "the command")
    return [os.environ["WAYVSOCK"], *words[1:]]


def run_entry(t, entry, **options):
    """What its command does."""
    return subprocess.run(command_of(t, entry), env=t.env(), stdin=subprocess.DEVNULL, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@test(direct=False)
def come_and_go(t):
    menu = Menu(t, "menu = yes\napp-id-prefix = vm.\n")
    menu.add("editor", GenericName="Text Editor", Comment="Edits; or not", Categories="TextEditor;Utility;Qt;", Keywords="a;b;",
             Exec='sh -c "echo \\\\"edits\\\\" %% $0" x%F', Terminal="true")
    menu.add("windowed", StartupWMClass="Windowed")
    menu.add("hidden", NoDisplay="true")
    menu.add("not-there", TryExec="/no/such/program")
    menu.add("sub/konsole", Name="Konsole")
    stack = menu.stack.start_before_clients()
    entries = menu.shows("editor (test)", "windowed (test)", "Konsole (test)")
    editor = entries["editor (test)"]
    t.eq({k: v for k, v in editor.items() if k != "Name"},
         {"Type": "Application", "GenericName": "Text Editor", "Comment": "Edits, or not", "Categories": "Utility;", "Keywords": "a;b;",
          "TryExec": "wayvsock", "Exec": "wayvsock run test --entry editor.desktop", "Icon": "application-x-executable", "Terminal": "true",
          "StartupWMClass": "vm.editor", "StartupNotify": "true", "X-Wayvsock-VM": "test"}, "the entry")
    t.eq(entries["windowed (test)"]["StartupWMClass"], "vm.Windowed", "the other's application id")
    t.eq(entries["Konsole (test)"]["Exec"], "wayvsock run test --entry sub-konsole.desktop", "one of a folder")
    if os.path.exists("/usr/bin/desktop-file-validate"):
        for path in glob.glob(f"{menu.folder}/*.desktop"):
            checked = subprocess.run(["desktop-file-validate", path], capture_output=True, text=True, check=False)
            t.eq(checked.stdout, "", "what a validator says")
    done = run_entry(t, editor)
    t.eq((done.stdout, done.stderr, done.returncode), ("edits % x\n", "", 0), "what it does")
    menu.add("new")
    menu.shows("editor (test)", "windowed (test)", "Konsole (test)", "new (test)")
    os.unlink(os.path.join(menu.programs, "editor.desktop"))
    menu.shows("windowed (test)", "Konsole (test)", "new (test)")
    gone = run_entry(t, editor)
    t.eq(gone.returncode, 127, "the status of one that is gone")
    t.has("the menu has no such entry any more", gone.stderr, "what is said")
    writer = next(p for p in stack.host.family if p.name == "wayvsock-menu")
    with open(f"/proc/{writer.pid}/status", encoding="utf-8") as f:
        limits = dict(line.split(":\t", 1) for line in f.read().splitlines())
    if not os.environ.get("WAYVSOCK_SANITIZED"):
        t.eq((limits["NoNewPrivs"], limits["Seccomp"]), ("1", "2"), "what the process that writes may do")
    stack.stop_guest()
    stack.stop_host()
    t.eq(len(menu.entries()), 3, "entries without the VM: they would start it")


@test(direct=False)
def the_folder_comes_and_goes(t):
    """It goes with its last entry, and comes with the first one."""
    menu = Menu(t)
    os.rmdir(menu.programs)
    stack = menu.stack.start_before_clients()
    t.wait(lambda: "menu: 0 entries" in stack.host.log(), "no menu")
    for name in ("one", "two"):
        menu.add(name)
        menu.shows(f"{name} (test)")
        os.unlink(os.path.join(menu.programs, f"{name}.desktop"))
        os.rmdir(menu.programs)
        menu.shows()


@test(direct=False)
def the_vm_is_started_first(t):
    menu = Menu(t, f"menu = yes\ntitle-prefix = \"[work] \"\nstart = sh {t.path('start')}\n")
    menu.add("seven", Exec="sh -c 'exit 7'")
    menu.add("other", Exec="sh -c \"exit 7\"")
    menu.stack.start_before_clients()
    entry = menu.shows("[work] other", "[work] seven")["[work] other"]
    menu.stack.stop_guest()
    environment = " ".join(f"{k}={v}" for k, v in menu.stack.guest_env.items())
    t.write("start", f"exec >/dev/null 2>&1\nenv {environment} {' '.join(menu.stack.guest_argv())} & echo $! >{t.path('pid')}\n")
    t.eq(run_entry(t, entry).returncode, 7, "the program is started, and the VM before it")
    with open(t.path("pid"), encoding="utf-8") as f:
        os.kill(int(f.read()), 15)


class Launcher:
    """A program of the host's whose window has the focus, and which starts others."""

    def __init__(self, t, sway):
        self.client = Client(sway.socket)
        t.closers.append(self.client.close)
        self.seat = self.client.bind("wl_seat", 5)
        self.client.create(self.seat, "get_keyboard")
        self.window = Window(self.client, title="launcher", app_id="launcher")
        pool = Pool(self.client, self.window.shm, 64 * 64 * 4)
        self.window.show(pool.buffer(0, 64, 64, 64 * 4))
        self.serial = self.client.wait_event("wl_keyboard", "enter").args[0]

    def token(self):
        """As launchers ask for one: with what the user did last in their window."""
        token = self.client.create(self.client.bind("xdg_activation_v1", 1), "get_activation_token")
        self.client.send(token, "set_serial", self.serial, self.seat)
        self.client.send(token, "set_surface", self.window.surface)
        self.client.send(token, "commit")
        return self.client.wait_for(lambda: next((m.args[0] for m in self.client.events if (m.object, m.name) == (token, "done")), None),
                                    "the token")


@test(direct=False)
def the_focus(t):
    """A new window has it by the token that the launcher has set; without one, as the compositor likes: this one does not."""
    sway = t.sway(config='no_focus [app_id="activated"]\nfocus_on_window_activation focus\n')
    plug_keyboard(t, sway)
    menu = Menu(t, 'menu = yes\ntitle-prefix = "[test] "\n', compositor=sway)
    menu.add("activated", Exec=f"{sys.executable} {os.path.dirname(os.path.abspath(__file__))}/harness/activated.py activated")
    menu.stack.start_before_clients()
    entry = menu.shows("[test] activated")["[test] activated"]
    launcher = Launcher(t, sway)
    for token, focused in ((None, "launcher"), ("made-up", "launcher"), (launcher.token(), "activated")):
        started = t.spawn(command_of(t, entry), t.env(XDG_ACTIVATION_TOKEN=token))
        window = sway.window(app_id="activated", title="[test] has asked")
        t.eq([w["app_id"] for w in sway.windows() if w["focused"]], [focused], f"who has the focus with the token {token}")
        sway.msg(f"[con_id={window['id']}]", "kill")
        sway.wait_windows(1)
        t.eq(started.wait(30), 0, "the program's end")


@test(direct=False)
def on_weston(t):
    """The window of an entry's program is seen, and goes with the program."""
    command = os.environ.get("WAYVSOCK_NEWER_WESTON")
    if not command:
        raise Skip("WAYVSOCK_NEWER_WESTON does not name one")
    t.need("foot")
    weston = t.weston(gl=True, shell="kiosk", command=command, args=("--debug", "--fake-seat", "--renderer=pixman"),
                      config="[shell]\nbackground-color=0xff336699\n")
    menu = Menu(t, compositor=weston)
    menu.add("terminal", Exec='foot -o dpi-aware=no sh -c "seq 1000; exec sleep 1000"')
    menu.stack.start_before_clients()
    entry = menu.shows("terminal (test)")["terminal (test)"]
    empty = t.wait(lambda: (picture := weston.grab()) == weston.grab() and picture, "the desktop comes to rest")
    started = t.spawn(command_of(t, entry), t.env())
    t.wait(lambda: len(set(weston.grab()[16:])) > len(set(empty[16:])), "the window, with what is written in it")
    started.popen.terminate()
    t.wait(lambda: weston.grab() == empty, "it goes")
    started.wait(30)


@test(direct=False)
def gone_with_the_configuration(t):
    menu = Menu(t)
    menu.add("editor")
    menu.stack.start_before_clients()
    menu.shows("editor (test)")
    menu.stack.stop_host()
    other = f"{menu.host}/applications/wayvsock/vm-other"
    os.makedirs(other)
    open(f"{other}/x.desktop", "w", encoding="utf-8").close()
    own = f"{menu.host}/applications/mine.desktop"
    open(own, "w", encoding="utf-8").close()
    menu.stack.start_host()
    t.eq((os.path.exists(other), os.path.exists(own)), (False, True), "the menu of a VM that nobody names, and what is not ours")
    menu.shows("editor (test)")
    menu.stack.stop_host()
    menu.stack.config = menu.stack.config.replace("menu = yes", "menu = no")
    menu.stack.start_host()
    t.ok(not os.path.exists(menu.folder), "menu = no removes it")


@test(direct=False)
def not_without_run(t):
    menu = Menu(t, guest_args=("--serve", "x=/nowhere"))
    menu.add("editor")
    stack = menu.stack.start_before_clients()
    t.wait(lambda: "menu: the host may start no programs here" in stack.host.log(), "why there is no menu")
    t.eq(menu.entries(), {}, "entries")


@test(direct=False)
def allowed_later(t):
    """By the unit that starts programs, while the daemon is there."""
    path = t.path("run-socket")
    menu = Menu(t, guest_args=("--serve", f"wayvsock.run={path}"))
    menu.add("editor")
    stack = menu.stack.start_before_clients()
    t.wait(lambda: "would let the host start programs" in stack.host.log(), "why there is no menu")
    t.spawn([sys.executable, "-c", ACTIVATE, path, os.environ["WAYVSOCK_GUEST"], "--run-service"], t.env(**stack.guest_env))
    t.wait(lambda: os.path.exists(path), "the unit")
    menu.shows("editor (test)")


@test(direct=False)
def icons(t):
    menu = Menu(t)
    theme = f"{menu.guest}/icons/hicolor"
    red, half = (255, 0, 0, 255), (0, 0, 255, 128)

    def put(path, data):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path
    put(f"{theme}/48x48/apps/small.png", png(48, 48, red))
    put(f"{theme}/256x256/apps/large.png", png(256, 128, half))
    path = put(f"{menu.guest}/by-path.png", png(64, 64, red))
    put(f"{theme}/64x64/apps/broken.png", png(64, 64, red)[:60])
    put(f"{theme}/64x64/apps/huge.png", png(4000, 4000, red))
    with open(put(f"{theme}/64x64/apps/gigabyte.png", png(64, 64, red)), "ab") as f:
        f.truncate(1 << 30)
    os.symlink("loop.png", f"{theme}/64x64/apps/loop.png")
    os.mkfifo(f"{theme}/64x64/apps/fifo.png")
    for folder, name in (("pixmaps", "old"), ("icons/Adwaita/48x48/legacy", "named")):
        put(f"{menu.guest}/{folder}/{name}.png", png(32, 32, red))
        menu.add(name, Icon=f"{name}.png" if name == "old" else name)
    names = ("small", "large", "broken", "huge", "gigabyte", "loop", "fifo", "../../../by-path")
    for name in names:
        menu.add(name.rsplit("/", 1)[-1], Icon=name)
    menu.add("whole", Icon=path)
    menu.stack.start_before_clients()
    entries = menu.shows(*(f"{n} (test)" for n in ("small", "large", "broken", "huge", "gigabyte", "loop", "fifo", "by-path", "whole", "old", "named")))
    for name in ("broken", "huge", "gigabyte", "loop", "fifo", "by-path"):
        t.eq(entries[f"{name} (test)"]["Icon"], "application-x-executable", f"the icon of {name}")
    for name, size, pixel in (("small", (48, 48), red), ("large", (64, 32), half), ("whole", (64, 64), red), ("old", (32, 32), red),
                              ("named", (32, 32), red)):
        icon = entries[f"{name} (test)"]["Icon"]
        t.eq(os.path.dirname(icon), menu.folder, f"where the icon of {name} is")
        t.eq(pixels_of(icon), (*size, bytes(pixel) * (size[0] * size[1])), f"the icon of {name}")


RED_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="16" height="16" fill="#f00"/></svg>'


def put_svg(menu, name, text=RED_SVG):
    path = f"{menu.guest}/icons/hicolor/scalable/apps/{name}.svg"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


@test(direct=False)
def drawn_icons(t):
    """An SVG file is drawn by a program of the guest's, once."""
    programs, called = t.mkdir("programs"), t.path("called")
    with open(t.path("drawn.png"), "wb") as f:
        f.write(png(64, 64, (0, 255, 0, 255)))
    t.write("programs/rsvg-convert", f"""#!/bin/sh
for path; do :; done
echo "${{path##*/}}" >>{called}
case $path in
    */broken.svg) exit 1 ;;
    */endless.svg) exec cat /dev/zero ;;
    */no-png.svg) exec echo nonsense ;;
    */hangs.svg) exec sleep 1000 ;;
esac
exec cat {t.path("drawn.png")}
""", 0o755)
    menu = Menu(t, guest_env={"PATH": f"{programs}:{os.environ['PATH']}"})
    names = ("good", "broken", "endless", "no-png")
    for name in names:
        put_svg(menu, name)
        menu.add(name, Icon=name)
    stack = menu.stack.start_before_clients()
    good = menu.shows(*(f"{name} (test)" for name in names))["good (test)"]["Icon"]
    t.eq(pixels_of(good), (64, 64, bytes((0, 255, 0, 255)) * 4096), "what was drawn")
    for name in names[1:]:
        t.eq(menu.entries()[f"{name} (test)"]["Icon"], "application-x-executable", f"the icon of {name}")

    def calls():
        with open(called, encoding="utf-8") as f:
            return sorted(line.strip() for line in f)
    t.wait(lambda: "menu: 4 entries" in stack.host.log(), "the whole list")
    t.eq(calls(), sorted(f"{name}.svg" for name in names), "what was drawn, and not")
    put_svg(menu, "good", RED_SVG + "<!-- another one -->")
    menu.add("hangs", Icon="hangs")
    put_svg(menu, "hangs")
    t.wait(lambda: "menu: 5 entries" in stack.host.log(), "one that takes too long has an end")
    t.eq(calls(), sorted([*(f"{name}.svg" for name in names), "good.svg", "hangs.svg"]), "only what is new is drawn")
    t.eq(menu.entries()["hangs (test)"]["Icon"], "application-x-executable", "its icon")


@test(direct=False)
def really_drawn_icons(t):
    """By what is installed."""
    t.need("gdk-pixbuf-thumbnailer")
    menu = Menu(t)
    os.symlink("/usr/share/mime", f"{menu.guest}/mime")     # by which it tells what a file is
    put_svg(menu, "red")
    menu.add("red", Icon="red")
    menu.stack.start_before_clients()
    icon = menu.shows("red (test)")["red (test)"]["Icon"]
    width, height, pixels = pixels_of(icon)
    t.eq((width, height, pixels[2000:2004]), (64, 64, bytes((255, 0, 0, 255))), "the icon, as large as it can be")


@test(direct=False)
def languages(t):
    """The guest's, in which its programs speak as well; not that of who looks at the menu."""
    menu = Menu(t, guest_env={"LC_ALL": "", "LC_MESSAGES": "", "LANG": "de_AT.UTF-8"}, host_env={"LC_ALL": "fr_FR.UTF-8"})
    path = menu.add("calculator", Comment="Counts")
    with open(path, "a", encoding="utf-8") as f:
        f.write("Name[fr]=Calculatrice\nName[de]=Taschenrechner\nComment[de]=Zählt\nKeywords[de]=zählen;rechnen;\n")
    menu.add("long", **{"Name[de]": "ä" * 400})
    menu.stack.start_before_clients()
    t.wait(lambda: len(menu.entries()) == 2, "both entries")
    entry = menu.entries()["Taschenrechner (test)"]
    t.eq((entry["Comment"], entry["Keywords"]), ("Zählt", "zählen;rechnen;"), "the other texts")
    t.has("ä" * 127 + " (test)", menu.entries(), "a long name, cut between characters")


@test(direct=False)
def odd_names(t):
    """What is in the guest's folders may be anything."""
    menu = Menu(t)
    menu.add("evil", Name="A\\nExec=evil\\n[Desktop Entry]\\s", Comment="\u202eback\u202c \\\\ \x1b[31m", Exec="true",
             Categories="Core;Utility\\n;", StartupWMClass="x\\nExec=evil")
    menu.add("blank", Name="\u200b")
    menu.add("name with spaces")
    menu.add("-dash")
    menu.add("semi;colon")
    menu.add("long", Name="x" * 1000)
    menu.add("too-long", Name="x" * 5000)
    with open(menu.add("no-group"), "w", encoding="utf-8") as f:
        f.write("Name=x\nExec=true\nType=Application\n")
    with open(menu.add("binary"), "wb") as f:
        f.write(bytes(range(256)) * 10)
    with open(menu.add("large"), "w", encoding="utf-8") as f:
        f.write("[Desktop Entry]\nType=Application\nName=large\nExec=true\n#" + "x" * 70000)
    os.symlink("loop.desktop", f"{menu.programs}/loop.desktop")
    os.symlink("..", f"{menu.programs}/circle")
    os.mkfifo(f"{menu.programs}/fifo.desktop")
    os.symlink("/dev/zero", f"{menu.programs}/zero.desktop")
    menu.stack.start_before_clients()
    t.wait(lambda: len(menu.entries()) == 3, "the entries that can be shown")
    entries = menu.entries()
    evil = next(e for e in entries.values() if "evil.desktop" in e["Exec"])
    t.eq(evil["Name"], "A Exec=evil [Desktop Entry] (test)", "a name with lines")
    t.eq(evil["Comment"], "back \\\\  [31m", "a comment that turns around")
    t.eq((evil["StartupWMClass"], evil["Exec"]), ("x Exec=evil", "wayvsock run test --entry evil.desktop"), "the rest")
    t.ok("Categories" not in evil, "no category that is none")
    t.has("blank.desktop (test)", list(entries), "a name of nothing")
    t.ok(all(len(name) < 300 for name in entries), "names have an end")


@test(direct=False)
def many(t):
    menu = Menu(t)
    for i in range(3000):
        with open(f"{menu.programs}/e{i:06}.desktop", "w", encoding="utf-8") as f:
            f.write(f"[Desktop Entry]\nType=Application\nName=e{i}\nExec=true\n")
    stack = menu.stack.start_before_clients()
    t.wait(lambda: "menu: 1024 entries" in stack.host.log(), "as many as there may be", 60)
    t.wait(lambda: "1976 entries of the menu were left out" in stack.guest.log(), "what the guest's log tells")
    t.eq(len(glob.glob(f"{menu.folder}/*.desktop")), 1024, "files")


class Liar:
    """What the guest's daemon leads the host's requests to: it tells a menu that no daemon of ours would."""

    def __init__(self, t, name, *messages):
        self.path = t.path(f"liar-{name}")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(4)
        t.closers.append(self.socket.close)
        self.messages = b"".join(messages)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.sendall(self.messages)
                    while peer.recv(4096):
                        pass
                except OSError:
                    pass


def message(kind, payload=bytes(8)):
    return struct.pack("<IHH", len(payload), kind, 0) + payload


def item(ident, name="x", app_id="x"):
    return message(ITEM, bytes(8) + b"".join(text.encode() + b"\0" for text in (ident, name, "", "", "", "", app_id)))


def icon(width, height, size=None):
    return message(ICON, struct.pack("<HHI", width, height, 0) + bytes(size if size is not None else width * height * 4))


@test(direct=False)
def a_hostile_guest(t):
    good = [item("good.desktop"), message(LISTED)]
    bad_ids = [item(name) for name in ("../../evil.desktop", "a b.desktop", "-x.desktop", ".desktop", "x", "a\nExec=evil.desktop",
                                       "%f.desktop", "$(evil).desktop", "x;evil.desktop", "a" * 250 + ".desktop")]
    cases = {
        "ids": ([*bad_ids, *good], "10 entries have no proper id", 1),
        "too-many": ([item(f"{i}.desktop") for i in range(1100)], "it has more than 1024 entries", None),
        "pixels": ([item("a.desktop"), icon(8, 8, 12), *good], "what makes no sense", None),
        "edge": ([item("a.desktop"), icon(65, 1), *good], "what makes no sense", None),
        "gigabyte": ([item("a.desktop"), struct.pack("<IHH", 1 << 30, ICON, 0)], "what makes no sense", None),
        "texts": ([message(ITEM, bytes(8) + b"a.desktop\0x\0"), *good], "what makes no sense", None),
        "type": ([message(77), *good], "what makes no sense", None),
        "loose": ([icon(1, 1), *good, *good], "menu: 1 entries", 1),
    }
    compositor = t.fake()
    for name, (messages, told, entries) in cases.items():
        liar = Liar(t, name, *messages)
        menu = Menu(t, vm=name, guest_args=("--serve", f"wayvsock.run={liar.path}"), compositor=compositor, tag=name)
        stack = menu.stack.start_before_clients()
        t.wait(lambda told=told, stack=stack: told in stack.host.log(), f"{name}: the host's log says {told}")
        if entries is not None:
            t.wait(lambda menu=menu, n=entries: len(menu.entries()) == n, f"{name}: {entries} entries")
        outside = [p for p in glob.glob(f"{menu.host}/**", recursive=True) if os.path.isfile(p) and "/applications/wayvsock/vm-" not in p]
        t.eq(outside, [], f"{name}: files outside our folder")
        t.ok(stack.usable(), f"{name}: applications get through")
        stack.stop_guest()
        stack.stop_host()


main()
