#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-guest --x11: each window of an X program is a window of the host, and copy and paste go both ways."""

import os
import shutil
import socket
import struct
import subprocess

from harness import main, test
from harness.compositors import NOBODY
from harness.pointer import VirtualPointer
from harness.tools import plug_keyboard
from harness.x11 import Tk, X, both_ways, need, start

PIXEL_RED, BACKGROUND = b"\xff\0\0", b"\x20\x30\x40"


def wait_size(t, sway, title, width, height):
    def size():
        rect = sway.window(title=title)["rect"]
        return rect["width"], rect["height"]
    t.wait(lambda: size() == (width, height), f"{title} is {width} x {height}")


@test(timeout=240)
def xterm_fills_its_window(t):
    """A command that is an X program: its window fills what the compositor gives it, has its title, and its status is ours."""
    need(t, "xterm", "grim")
    sway = t.sway()
    empty = sway.grab()
    stack = t.stack(sway, start=False, guest_args=["--x11"])
    stack.start_host()
    go = t.path("go")
    script = f'printf "\\033]0;in the VM\\007"; while [ ! -e {go} ]; do sleep 0.1; done; exit 7'
    guest = stack.start_guest(command=["sh", "-c", f"xterm -bg '#102030' -e sh -c '{script}'; exit 7"])
    guest.any_status = True
    window = sway.window(title="in the VM")
    t.eq(window["app_id"], "XTerm", "its app_id")
    t.eq((window["rect"]["width"], window["rect"]["height"]), (1280, 720), "it has the whole output")

    def fills():
        grab = sway.grab()
        return grab != empty and all(grab[16 + (y * 1280 + x) * 3:][:3] == b"\x10\x20\x30"
                                     for x, y in ((1270, 5), (5, 715), (1275, 715), (640, 360)))
    t.wait(fills, "its pixels reach all corners")
    with open(go, "w"):
        pass
    t.eq(guest.wait(60), 7, "the command's status")
    sway.no_windows()


@test(timeout=240)
def the_server_goes_with_the_command(t):
    """It would stay for a while after its last program; but the command has ended, and what it left behind is all that counts."""
    need(t, "xterm", "xclip", "wl-paste", "wtype")
    sway = t.sway()
    folder = t.mkdir("bin")
    real = shutil.which("Xwayland")
    t.write("bin/Xwayland", f'#!/bin/sh\nset -- "$@" end\nwhile [ "$1" != end ]; do a=$1; shift; [ "$p" != -terminate ] || a=1000; '
                            f'p=$a; set -- "$@" "$a"; done; shift; exec {real} "$@"\n', 0o755)
    stack = t.stack(sway, start=False, guest_args=["--x11"], guest_env={"PATH": f"{folder}:{os.environ['PATH']}"})
    stack.start_host()
    guest = stack.start_guest(command=["xterm", "-e", "true"])
    t.eq(guest.wait(60), 0, "the command's status")
    t.lacks("no X program shows windows", guest.log(), "the daemon's log")
    plug_keyboard(t, sway)
    go, pid = t.path("go"), t.path("pid")
    holder = t.write("holder", f"echo $$ >{pid}\nexec xclip -quiet {t.write('text', 'left')}\n")
    guest = stack.start_guest(command=["xterm", "-e", f"read x; setsid sh {holder} & while [ ! -e {go} ]; do sleep 0.1; done"])
    sway.window(app_id="XTerm")
    t.run(["wtype", "-k", "Return"], sway.env())
    def left():
        return subprocess.run(["wl-paste", "-n", "--primary"], env=sway.env(), capture_output=True, timeout=60).stdout == b"left"
    t.wait(left, "what was selected")
    with open(go, "w"):
        pass
    sway.no_windows()
    t.ok(left() and guest.alive, "it is there without a window, and the command")
    with open(pid, encoding="ascii") as f:
        os.kill(int(f.read()), 9)
    t.eq(guest.wait(60), 0, "the command's status when the last program has left")


@test(timeout=240)
def windows_and_their_sizes(t):
    """Title and size follow, whoever changes them; a dialog belongs to its window; closing asks the program."""
    sway = t.sway()
    plug_keyboard(t, sway)
    _, _, env = start(t, sway)
    tk = Tk(t, env)
    sway.window(title="first", app_id="Program.tcl")
    tk.do("wm title . [encoding convertfrom utf-8 \\xe2\\x82\\xac]")
    sway.window(title="€")
    tk.do("wm title . second")
    sway.window(title="second")
    tk.said("size 1280x720")
    sway.msg("[title=second]", "floating", "enable")
    # sway takes a picture of the size before for a wish of the program's, whoever it is.
    t.wait(lambda: sway.window(title="second")["geometry"]["width"] == 300, "its own size, which sway has seen")
    sway.msg("[title=second]", "resize", "set", "500", "400")
    tk.said("size 500x400")
    tk.do("wm geometry . 640x300")
    tk.said("size 640x300")
    wait_size(t, sway, "second", 640, 300)

    tk.do("toplevel .d; wm title .d dialog; wm transient .d .; wm resizable .d 0 0; wm geometry .d 200x100; "
          "wm protocol .d WM_DELETE_WINDOW {say closing; destroy .d}")
    wait_size(t, sway, "dialog", 200, 100)
    t.eq(sway.window(title="dialog")["type"], "floating_con", "a dialog of a fixed size")
    sway.msg("[title=dialog]", "kill")
    tk.said("closing")
    sway.wait_windows(1)

    mark = len(tk.proc.log())
    sway.msg("[title=second]", "floating", "disable")
    tk.said("size 1280x720", mark)
    tk.do("wm attributes . -fullscreen 1")
    t.wait(lambda: sway.window(title="second")["fullscreen_mode"] == 1, "full screen")
    t.wait(lambda: tk.ask("wm attributes . -fullscreen") == "1", "the program knows")
    tk.do("wm attributes . -fullscreen 0")
    t.wait(lambda: sway.window(title="second")["fullscreen_mode"] == 0, "no full screen")
    tk.do("wm withdraw .")
    sway.no_windows()
    tk.do("wm deiconify .")
    sway.window(title="second")
    sway.msg("[title=second]", "kill")
    tk.said("asked")
    t.eq(tk.proc.wait(), 0, "the program ends by itself")
    sway.no_windows()


@test(timeout=240)
def keys_menus_and_the_focus(t):
    """Keys reach the window that has the focus; a menu opens in its place, takes a click, and is gone."""
    t.need("wtype", "grim")
    sway = t.sway()
    plug_keyboard(t, sway)
    pointer = VirtualPointer(t, sway)
    _, _, env = start(t, sway)
    tk = Tk(t, env)
    sway.window(title="first")
    tk.said("size 1280x720")
    tk.said("focus")
    t.run(["wtype", "hello"], sway.env())
    t.wait(lambda: tk.ask("set typed") == "hello", "what was typed")

    def red(x, y, width=40, height=10):
        return sway.grab(geometry=f"{x},{y} {width}x{height}").count(PIXEL_RED) > width * height // 2
    for x, y in ((200, 300), (600, 500)):
        t.ok(not red(x + 2, y + 4), "no menu yet")
        tk.do(f"tk_popup .m [expr [winfo rootx .]+{x}] [expr [winfo rooty .]+{y}]")
        t.wait(lambda: red(x + 2, y + 4), f"a menu at {x},{y}")
        mark = len(tk.proc.log())
        pointer.to(x + 20, y + 12)
        pointer.to(x + 30, y + 12)      # Tk looks at what moves within
        pointer.button(1)
        pointer.button(0)
        tk.said("chosen", mark)
        t.wait(lambda: not red(x + 2, y + 4), "the menu is gone")

    # Two windows: the keys go where the compositor says.
    tk.do("toplevel .o; wm title .o other; entry .o.e -textvariable second; pack .o.e; focus .o.e")
    for title, field, name, text in (("other", ".o.e", "second", "there"), ("first", ".e", "typed", "again")):
        sway.window(title=title)
        sway.msg(f"[title={title}]", "focus")
        t.wait(lambda: tk.ask("focus") == field, f"{title} has the focus: {tk.ask('focus')}")
        tk.do(f"set {name} {{}}")
        t.run(["wtype", text], sway.env())
        t.wait(lambda: tk.ask(f"set {name}") == text, f"{title} has what was typed: {tk.ask('set typed')} {tk.ask('set second')}")


@test(timeout=240)
def a_window_with_a_shape(t):
    """Beside it is what is behind, also when it has become smaller; clicks and titles are as with others."""
    t.need("grim", "xeyes")
    sway = t.sway(config="for_window [app_id=.*] floating enable\n")
    pointer = VirtualPointer(t, sway)
    _, number, env = start(t, sway)
    x = X(number)
    window = x.shaped_window(1, 300, 200, 0xff0000, [(0, 0, 100, 200), (100, 150, 100, 50)])
    sway.window(title="shaped")
    def at(dx, dy):
        rect = sway.window(title="shaped")["rect"]
        return sway.grab(geometry=f"{rect['x'] + dx},{rect['y'] + dy} 1x1")[-3:]
    def looks(width, height):
        rect = sway.window(title="shaped")["rect"]
        outside = [at(x, y) for x, y in ((105, 2), (105, 145), (width - 2, height - 2))]
        return (rect["width"], rect["height"]) == (width, height) and set(outside) == {BACKGROUND} and \
            at(2, 2) == PIXEL_RED and at(95, height - 5) == PIXEL_RED
    t.wait(lambda: looks(300, 200) and at(190, 190) == PIXEL_RED, "its shape")
    sway.msg("[title=shaped]", "resize", "set", "250", "180")
    t.wait(lambda: looks(250, 180), "its shape in a smaller window")
    rect = sway.window(title="shaped")["rect"]
    for dx in (150, 20):                                    # beside it, and on it
        pointer.to(rect["x"] + dx, rect["y"] + 20)
        pointer.button(1)
        pointer.button(0)
    t.wait(x.pressed, "a click")
    t.eq(x.pressed(), [(window, 20, 20)], "what was clicked on")
    x.socket.sendall(struct.pack("<BxHI", 10, 2, window))   # unmap, and map again
    sway.no_windows()
    x.socket.sendall(struct.pack("<BxHI", 8, 2, window))
    sway.window(title="shaped")
    x.socket.sendall(struct.pack("<BxHIIhh", 7, 4, window, x.root, 0, 0))   # out of the frame that it has, and shown anew
    x.sync()
    sway.window(title="shaped")
    x.socket.close()
    sway.no_windows()
    t.spawn(["xeyes"], env)
    sway.window(app_id="XEyes")
    for width, height in ((150, 100), (400, 300), (200, 200)):      # its own size, first
        sway.msg("[app_id=XEyes]", "resize", "set", str(width), str(height))
        def eyes(width=width, height=height):
            rect = sway.window(app_id="XEyes")["rect"]
            grab = sway.grab(geometry=f"{rect['x']},{rect['y']} {rect['width']}x{rect['height']}")
            rows = [grab[-3 * rect["width"] * (i + 1):][:3 * rect["width"]] for i in range(rect["height"])]
            corners = [row[3 * i:][:3] for row in (rows[0], rows[-1]) for i in (0, width // 2, width - 1)]
            return (rect["width"], rect["height"]) == (width, height) and set(corners) == {BACKGROUND} and \
                b"\xff\xff\xff" in rows[height // 2]
        t.wait(eyes, f"eyes of {width} x {height} and nothing else")


@test(timeout=240)
def the_server_comes_and_goes(t):
    """No X server before the first program or after the last one, and one that dies is the loss of its programs only."""
    t.need("xeyes")
    sway = t.sway()
    stack, number, env = start(t, sway)
    paths = [f"/tmp/.X11-unix/X{number}", f"/tmp/.X{number}-lock"]
    t.ok(all(os.path.exists(path) for path in paths), "the display's socket and lock")

    def servers():
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and is_server(pid, number)]
    t.eq(servers(), [], "no server yet")
    for _ in range(2):
        eyes = t.spawn(["xeyes"], env)
        sway.window(app_id="XEyes")
        t.eq(len(servers()), 1, "a server")
        eyes.stop()
        sway.no_windows()
        t.wait(lambda: not servers(), "the server ends")
    eyes = t.spawn(["xeyes"], env)
    eyes.expected_exit = True
    sway.window(app_id="XEyes")
    os.kill(int(servers()[0]), 9)
    eyes.wait()
    sway.no_windows()
    eyes = t.spawn(["xeyes"], env)
    sway.window(app_id="XEyes")
    eyes.expected_exit = True
    stack.stop_guest()
    t.wait(lambda: not servers() and not any(os.path.exists(path) for path in paths), "nothing is left of the display")


def is_server(pid, number):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read().split(b"\0")
            return any(word.endswith(b"Xwayland") and after == f":{number}".encode() for word, after in zip(words, words[1:]))
    except OSError:
        return False


def connects(path):
    """True if the X server at a socket lets this process in."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        return s.recv(8)[:1] == b"\1"


@test(timeout=120)
def other_users_stay_out(t):
    """The display is its user's, in the abstract as well."""
    sway = t.sway()
    _, number, _ = start(t, sway)
    keep = X(number)
    t.ok(connects(f"/tmp/.X11-unix/X{number}") and connects(f"\0/tmp/.X11-unix/X{number}"), "its user may")
    child = os.fork()
    if child == 0:
        status = 0
        try:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            for path in (f"/tmp/.X11-unix/X{number}", f"\0/tmp/.X11-unix/X{number}"):
                try:
                    status |= connects(path)
                except OSError:
                    pass
        finally:
            os._exit(status)
    t.eq(os.waitpid(child, 0)[1], 0, "another user is turned away")
    keep.socket.close()


@test(timeout=120)
def three_thousand_pixmaps(t):
    """So many are no more than a program's due."""
    sway = t.sway()
    stack, number, _ = start(t, sway)
    x = X(number)
    for _ in range(3):
        x.pixmaps(1000, 64, 64)
        x.base += 1000
    stack.client().roundtrip()
    x.socket.close()


@test(timeout=240)
def copy_and_paste(t):
    """Both ways; test_x11_more.py has the rest of it."""
    both_ways(t, "clipboard", [20])


@test(timeout=240)
def nonsense(t):
    """What an X program says of its windows may be anything; others go on."""
    t.need("xeyes", "xterm")
    sway = t.sway()
    _, number, env = start(t, sway)
    t.spawn(["xeyes"], env)
    sway.window(app_id="XEyes")
    x = X(number)

    def window(n, width=50, height=50):
        x.socket.sendall(struct.pack("<BBHIIhhHHHHIII", 1, 0, 9, x.base + n, x.root, 0, 0, width, height, 0, 1, 0, 2, 0xff00))
        return x.base + n

    def prop(w, name, kind, form, data):
        units = len(data) * 8 // form
        data += b"\0" * (-len(data) % 4)
        x.socket.sendall(struct.pack("<BBHIIIBxxxI", 18, 0, 6 + len(data) // 4, w, name, kind, form, units) + data)

    def message(w, name, *words):
        event = struct.pack("<BBHII5I", 33, 32, 0, w, name, *(list(words) + [0] * 5)[:5])
        x.socket.sendall(struct.pack("<BBHII", 25, 0, 11, x.root, 0x180000) + event)

    def sync():
        x.socket.sendall(struct.pack("<BxH", 43, 1))
        while x._read(32)[0] != 1:
            pass

    def atom(name):
        x.socket.sendall(struct.pack("<BBHHxx", 16, 0, 2 + (len(name) + 3) // 4, len(name)) + name.encode() + b"\0" * (-len(name) % 4))
        while True:
            answer = x._read(32)
            if answer[0] == 1:
                return struct.unpack_from("<I", answer, 8)[0]
    names = {39: None, 67: None, 40: None, 35: None, 68: None}      # WM_NAME, WM_CLASS, WM_NORMAL_HINTS, WM_HINTS, WM_TRANSIENT_FOR
    for name in ("_NET_WM_NAME", "WM_PROTOCOLS", "_MOTIF_WM_HINTS", "_NET_WM_STATE"):
        names[atom(name)] = name
    surface_id, state, moveresize = atom("WL_SURFACE_ID"), atom("_NET_WM_STATE"), atom("_NET_WM_MOVERESIZE")
    for n in range(40):
        w = window(100 + n, *((1, 1), (32767, 3), (50, 50))[n % 3])
        for name in names:
            prop(w, name, (31, 6, 4)[n % 3], (8, 16, 32)[n % 3], os.urandom((0, 4, 4000, 60)[n % 4]))
        prop(w, 68, 33, 32, struct.pack("<I", w if n % 2 else x.base + 100 + (n + 1) % 40))     # of itself, of each other
        x.socket.sendall(struct.pack("<BxHI", 8, 2, w))                                        # map
        for words in ((1, 2, 3), (0xffffffff,) * 5):
            message(w, surface_id, words[0])
            message(w, state, *words)
            message(w, moveresize, *words)
        if n % 3 == 0:
            x.socket.sendall(struct.pack("<BxHI", 10 if n % 2 else 4, 2, w))                    # unmap, destroy
        sync()
    x.socket.close()
    t.wait(lambda: [w["app_id"] for w in sway.windows()] == ["XEyes"], "only the other program's window is left")
    t.spawn(["xterm"], env)
    sway.window(app_id="XTerm")


@test(timeout=120)
def without_xwayland(t):
    """The log says what is missing, --check as well, and X programs are turned away at once."""
    t.need("xeyes")
    sway = t.sway()
    folder = t.mkdir("bin")
    stack, _, env = start(t, sway, guest_env={"PATH": folder})
    eyes = t.spawn(["xeyes"], env)
    t.ok(eyes.wait() != 0, "it does not wait for ever")
    t.wait(lambda: "is Xwayland installed?" in stack.guest.log(), "the log says so")
    said = subprocess.run(stack.guest_argv() + ["--display", t.path("other"), "--check"], capture_output=True, text=True, timeout=60,
                          env=t.env(PATH=folder))
    t.has("install the package xwayland", said.stdout, "--check")
    t.ok(said.returncode != 0, "its status")


if __name__ == "__main__":
    main()
