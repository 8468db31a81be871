#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Real programs of the guest on real compositors: their windows appear, and their pixels are the right ones."""

import os
import signal

from harness import Failure, main, test

# The shell waits until sway has given the window the whole screen: what was printed before would be wrapped again.
TEXT = r"""until [ "$(stty size | cut -d' ' -f1)" -gt 40 ]; do sleep 0.02; done
for i in $(seq 1 300); do printf '\033[3%dm%d the quick brown fox jumps over the lazy dog\n' $((i % 8)) $i; done
printf '\033[0m\033[10;20H\033[41m placed \033[0m\033[1;1H'; """


def app(name, argv, title=None, app_id=None, programs=(), **environment):
    """Registers a test that a program shows its window through the proxies and goes when told to."""
    def run(t):
        t.need(argv[0], *programs)
        sway = t.sway()
        stack = t.stack(sway)
        empty = sway.grab()
        proc = stack.spawn(*argv, **environment)
        window = sway.window(app_id=app_id, title=title)
        t.ok(window["rect"]["width"] > 0, "the window has a size")
        t.wait(lambda: sway.grab() != empty, "something is drawn")
        sway.msg(f"[con_id={window['id']}]", "kill")
        sway.no_windows()
        proc.kill()
    run.__name__ = f"app_{name}"
    run.__doc__ = f"{argv[0]} appears on sway"
    test(run)


app("foot", ["foot", "-e", "sh", "-c", TEXT + "exec sleep 1000"], app_id="foot")
app("weston_terminal", ["weston-terminal", "--shell=/bin/sh"], title="Wayland Terminal")
app("weston_presentation_shm", ["weston-presentation-shm"], title="presentation-shm: feedback [Delay 0 msecs]")
app("weston_subsurfaces", ["weston-subsurfaces"], title="Wayland Sub-surface Demo")
app("weston_flower", ["weston-flower"], title="Flower")
app("weston_clickdot", ["weston-clickdot"], title="Wayland ClickDot")
app("weston_eventdemo", ["weston-eventdemo"], title="EventDemo")
app("weston_smoke", ["weston-smoke"], title="smoke")
app("weston_image_scaler", ["weston-scaler"], title="Scaler Test Box")
app("weston_transformed", ["weston-transformed"], title="Transformed")
app("gtk4_widget_factory", ["gtk4-widget-factory"], app_id="gtk4-widget-factory", GSK_RENDERER="cairo",
    GDK_BACKEND="wayland", GDK_DEBUG="gl-disable")


@test
def frames_go_on(t):
    """Frame callbacks keep weston-simple-shm going.  It aborts on sway, with or without us: weston shows it, on a sway."""
    t.need("weston-simple-shm", "grim")
    sway = t.sway()
    # Sway's socket belongs to the user that sway runs as; weston, as root, may use it.
    weston = t.weston(parent=sway.socket)
    sway.wait_windows(1)
    stack = t.stack(weston)
    before = sway.still()
    proc = stack.spawn("weston-simple-shm")
    first = t.wait(lambda: (p := sway.grab()) != before and p, "the window is there")
    second = t.wait(lambda: (p := sway.grab()) not in (before, first) and p, "the picture changes")
    t.wait(lambda: sway.grab() not in (before, first, second), "and changes again")
    proc.signal(signal.SIGINT)
    t.eq(proc.wait(), 0, "simple-shm's status on SIGINT")
    sway.shows(before, "the window is gone")


@test
def several_apps_on_weston(t):
    """On weston, too: they start, live and end with status 0 or by our signal."""
    t.need("weston-simple-shm", "weston-flower", "weston-terminal")
    weston = t.weston()
    stack = t.stack(weston)
    procs = [stack.spawn("weston-simple-shm"), stack.spawn("weston-flower"),
             stack.spawn("weston-terminal", "--shell=/bin/sh")]
    with stack.client() as c:
        for _ in range(50):
            c.roundtrip()
            for p in procs:
                t.ok(p.alive, f"{p.name} lives: {p.log()[-300:]}")
    procs[0].signal(signal.SIGINT)
    t.eq(procs[0].wait(), 0, "simple-shm's status on SIGINT")


FOOT = ["foot", "--font=monospace:size=9", "-e", "sh", "-c", TEXT + "exec sleep 1000"]


@test
def same_pixels_as_direct(t):
    """foot with a page of colours: the host's screen is the same, to the pixel, as with foot connected directly."""
    t.need("foot", "grim")
    sway = t.sway()
    empty = sway.grab()
    proc = t.spawn(FOOT, sway.env())
    sway.window(app_id="foot")
    direct = sway.still(unlike=empty)
    proc.stop()
    sway.no_windows()
    stack = t.stack(sway)
    for attempt in range(3):
        proc = t.spawn(FOOT, stack.env())
        sway.window(app_id="foot")
        sway.shows(direct, f"run {attempt}")
        proc.stop()
        sway.no_windows()


@test
def same_pixels_of_a_gtk_app(t):
    """A GTK 4 window, to the pixel, where nothing moves by itself."""
    t.need("gtk4-widget-factory", "grim")
    sway = t.sway()
    stack = t.stack(sway)
    settings = t.mkdir("home/.config/gtk-4.0")
    with open(os.path.join(settings, "settings.ini"), "w") as f:
        f.write("[Settings]\ngtk-enable-animations=0\ngtk-cursor-blink=0\n")
    part = "0,0 1280x44"

    def start(env):
        proc = t.spawn(["gtk4-widget-factory"], env(GSK_RENDERER="cairo", GDK_BACKEND="wayland",
                                                    GDK_DEBUG="gl-disable"))
        sway.window(app_id="gtk4-widget-factory")
        return proc
    empty = sway.grab(None, part)
    proc = start(sway.env)
    seen = []

    def still():
        now = sway.grab(None, part)
        if seen and seen[0] != now or now == empty:
            seen.clear()
        seen.append(now)
        return len(seen) > 20 and now
    direct = t.wait(still, "the header bar comes to rest")
    proc.kill()
    sway.no_windows()
    # On a busy machine GTK itself ends up with another picture now and then, connected directly, too: then it starts anew.
    failures = []
    while len(failures) < 3:
        proc = start(stack.env)
        try:
            sway.shows(direct, "the header bar", geometry=part)
            return
        except Failure as e:
            failures.append(str(e))
        proc.kill()
        sway.no_windows()
    raise Failure("; ".join(failures))


@test
def screenshot_through_the_proxies(t):
    """grim in the guest, where the policy allows it, takes the picture that grim on the host takes."""
    t.need("foot", "grim")
    sway = t.sway()
    stack = t.stack(sway, host_args=["--allow", "zwlr_screencopy_manager_v1"])
    empty = sway.grab()
    t.spawn(FOOT, sway.env())
    sway.window(app_id="foot")
    direct = sway.still(unlike=empty)
    for _ in range(3):
        t.ok(sway.grab(stack.display) == direct, "the same picture")
    part = "100,50 333x77"
    t.ok(sway.grab(stack.display, part) == sway.grab(None, part), "a region of it")


@test(direct=False)
def no_screenshot_without_allow(t):
    t.need("grim")
    sway = t.sway()
    stack = t.stack(sway)
    proc = t.run(["grim", t.path("x.png")], stack.env())
    t.ok(proc.popen.returncode != 0, "grim fails")
    t.has("screencopy", proc.log(), "grim's reason")


@test
def resize_storm(t):
    """A window that is resized a hundred times ends up with the right pixels."""
    t.need("foot", "grim")
    sway = t.sway()

    def resize(env):
        proc = t.spawn(["foot", "-e", "sh", "-c", "exec sleep 1000"], env)
        window = sway.window(app_id="foot")
        who = f"[con_id={window['id']}]"
        sway.msg(who, "floating", "enable")
        for i in range(100):
            sway.msg(who, "resize", "set", str(200 + i * 7 % 500), str(150 + i * 13 % 400))

        def last():
            # Sway may take a size that foot committed late for the one to keep: ask again.
            rect = sway.window(app_id="foot")["rect"]
            if (rect["width"], rect["height"]) == (600, 400):
                return True
            sway.msg(who, "resize", "set", "600", "400")
            return False
        t.wait(last, "the last size")
        sway.msg(who, "move", "position", "50", "60")
        return proc
    empty = sway.grab()
    proc = resize(sway.env())
    direct = sway.still(unlike=empty)
    proc.stop()
    sway.no_windows()
    resize(t.stack(sway).env())
    sway.shows(direct, "after a hundred sizes")


@test(timeout=120)
def over_every_transport(t):
    """foot and its pixels through a VMM's hybrid socket: bytes only, OK split or merged."""
    t.need("foot", "grim")
    sway = t.sway()
    empty = sway.grab()
    proc = t.spawn(FOOT, sway.env())
    sway.window(app_id="foot")
    direct = sway.still(unlike=empty)
    proc.stop()
    sway.no_windows()
    for style in ("plain", "bytes", "merged"):
        stack = t.stack(sway, transport="mux", ok_style=style, tag=style)
        proc = t.spawn(FOOT, stack.env())
        sway.window(app_id="foot")
        sway.shows(direct, f"the same picture, OK {style}")
        proc.stop()
        sway.no_windows()
        if not t.direct:
            stack.check_fds()
            stack.stop_guest()
            stack.stop_host()


if __name__ == "__main__":
    main()
