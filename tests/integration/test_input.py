#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Keys, pointer and scroll of the host reach the guest's programs, on sway with its virtual devices."""

import os

from harness import main, test
from harness.client import Client, Pool, Window
from harness.pointer import BTN_LEFT, VirtualPointer


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def plug_keyboard(t, sway):
    """Keeps a keyboard on the host's seat: a client that gets its wl_keyboard only now would miss the first key."""
    t.spawn(["wtype", "-s", "1000000", "x"], sway.env())
    with Client(sway.socket) as c:
        c.bind("wl_seat", 5)
        c.wait_for(lambda: any(m.name == "capabilities" and m.args[0] & 2 for m in c.events), "a keyboard")


@test
def typed_text_arrives_in_foot(t):
    """What a virtual keyboard types on the host is what cat in the guest's foot reads."""
    t.need("foot", "wtype")
    sway = t.sway()
    plug_keyboard(t, sway)
    stack = t.stack(sway)
    out = t.path("typed")
    stack.spawn("foot", "-e", "sh", "-c", f"touch {out}.ready; exec cat > {out}")
    sway.window(app_id="foot")
    t.wait(lambda: os.path.exists(out + ".ready"), "the shell runs")
    t.wait(lambda: sway.window(app_id="foot")["focused"], "focus")
    lines = ["hello from the host", "SHIFT and digits 0123456789", "symbols !@#$%^&*()_+-=[]{};:,./<>?", "umlauts äöüß €"]
    for i, line in enumerate(lines):
        t.run(["wtype", line], sway.env())
        t.run(["wtype", "-k", "Return"], sway.env())
        t.wait(lambda: read(out) == "".join(x + "\n" for x in lines[:i + 1]), f"line {i}: {line}; there is {read(out)!r}")


@test
def typed_text_goes_to_the_focused_window(t):
    """Two clients: only the one with the focus reads."""
    t.need("foot", "wtype")
    sway = t.sway()
    plug_keyboard(t, sway)
    stack = t.stack(sway)
    for name in ("one", "two"):
        stack.spawn("foot", "--app-id", name, "-e", "sh", "-c", f"touch {t.path(name)}.ready; exec cat > {t.path(name)}")
        sway.window(app_id=name)
        t.wait(lambda: os.path.exists(t.path(name) + ".ready"), "the shell runs")
    for name in ("one", "two", "one"):
        sway.msg(f"[app_id={name}]", "focus")
        t.wait(lambda: sway.window(app_id=name)["focused"], "focus")
        before = read(t.path(name))
        t.run(["wtype", f"for {name}", "-k", "Return"], sway.env())
        t.wait(lambda: read(t.path(name)) == before + f"for {name}\n", f"{name} reads")
    t.eq(read(t.path("one")), "for one\nfor one\n", "one")
    t.eq(read(t.path("two")), "for two\n", "two")


@test
def keymap_is_the_compositors(t):
    """The keymap that a client in the guest maps is, byte for byte, the one that a direct client gets."""
    t.need("wtype")
    sway = t.sway()
    stack = t.stack(sway)
    plug_keyboard(t, sway)

    def keymap(display):
        with Client(display) as c:
            seat = c.bind("wl_seat", 5)
            c.wait_for(lambda: any(m.name == "capabilities" and m.args[0] & 2 for m in c.events), "a keyboard")
            c.create(seat, "get_keyboard")
            m = c.wait_event("wl_keyboard", "keymap")
            text = os.pread(m.fds[0], 1 << 20, 0)
            os.close(m.fds[0])
            return m.args[0], m.args[2], text[:m.args[2]]
    t.eq(keymap(stack.display), keymap(sway.socket), "the keymap")


def raw_window(t, stack, sway):
    client = stack.client()
    window = Window(client, app_id="raw")
    pool = Pool(client, window.shm, 1280 * 720 * 4)
    window.show(pool.buffer(0, 1280, 720, 5120))
    sway.window(app_id="raw")
    seat = client.bind("wl_seat", 5)
    client.wait_for(lambda: any(m.name == "capabilities" and m.args[0] & 1 for m in client.events), "a pointer")
    client.create(seat, "get_pointer")
    client.roundtrip()
    return client


@test
def pointer_motion_buttons_and_scroll(t):
    """A raw client in the guest gets exactly the events that the virtual pointer makes."""
    sway = t.sway()
    stack = t.stack(sway)
    pointer = VirtualPointer(t, sway)
    client = raw_window(t, stack, sway)
    pointer.to(400, 300)
    # It may have entered before, where it was then.
    client.wait_event("wl_pointer", "enter")
    client.wait_for(lambda: any(m.interface == "wl_pointer" and m.name in ("enter", "motion") and
                                m.args[-2:] == [400, 300] for m in client.events), "the pointer at 400,300")
    start = len(client.events)
    pointer.to(123, 45)
    m = client.wait_event("wl_pointer", "motion", start=start)
    t.eq((m.args[1], m.args[2]), (123, 45), "motion")
    for i in range(50):
        pointer.by(3, 1)
    client.wait_for(lambda: any(m.name == "motion" and m.args[1:] == [123 + 150, 45 + 50] for m in client.events),
                    "the sum of fifty motions")
    start = len(client.events)
    pointer.button(1)
    pointer.button(0)
    client.wait_for(lambda: client.count("wl_pointer", "button") == 2, "press and release")
    buttons = [m.args[2:] for m in client.events[start:] if m.name == "button"]
    t.eq(buttons, [[BTN_LEFT, 1], [BTN_LEFT, 0]], "the button")
    pointer.scroll(2)
    m = client.wait_event("wl_pointer", "axis", start=start)
    t.eq((m.args[1], m.args[2]), (0, 30), "the axis")
    t.eq(client.wait_event("wl_pointer", "axis_discrete", start=start).args, [0, 2], "its steps")


@test
def foot_scrolls_on_the_wheel(t):
    """The wheel of the host scrolls the guest's foot through its history: the screen changes, and changes back."""
    t.need("foot", "grim")
    sway = t.sway()
    stack = t.stack(sway)
    pointer = VirtualPointer(t, sway)
    empty = sway.grab()
    stack.spawn("foot", "-e", "sh", "-c", "until [ \"$(stty size | cut -d' ' -f1)\" -gt 40 ]; do sleep 0.02; done;"
                " seq 1 2000; exec sleep 1000")
    sway.window(app_id="foot")
    pointer.to(600, 400)
    bottom = sway.still(unlike=empty)
    for _ in range(5):
        pointer.scroll(-3)
    up = sway.still(unlike=bottom)
    t.ok(up != bottom, "the screen changed")
    for _ in range(8):
        pointer.scroll(3)
    sway.shows(bottom, "back at the bottom")


@test
def a_click_paints_in_clickdot(t):
    """weston-clickdot marks where it was clicked."""
    t.need("weston-clickdot", "grim")
    sway = t.sway()
    stack = t.stack(sway)
    pointer = VirtualPointer(t, sway)
    empty = sway.grab()
    stack.spawn("weston-clickdot")
    sway.window(title="Wayland ClickDot")
    pointer.to(100, 600)
    before = sway.still(unlike=empty)
    pointer.to(300, 300)
    pointer.button(1)
    pointer.button(0)
    t.wait(lambda: sway.grab() != before, "a dot")


@test
def sway_cursor_commands(t):
    """swaymsg's own cursor commands reach the client."""
    sway = t.sway()
    stack = t.stack(sway)
    keep = VirtualPointer(t, sway)
    client = raw_window(t, stack, sway)

    def arrived():
        # Again until the client's pointer object is there to be told.
        sway.msg("seat", "seat0", "cursor", "set", "200", "100")
        sway.msg("seat", "seat0", "cursor", "move", "5", "5")
        client.roundtrip()
        return any(m.interface == "wl_pointer" and m.name in ("motion", "enter") and m.args[-2:] == [205, 105]
                   for m in client.events)
    t.wait(arrived, "the pointer at 205,105")

    def clicked():
        # Again where sway arranged its window meanwhile: the pointer then leaves and enters, and the release is lost.
        sway.msg("seat", "seat0", "cursor", "press", "button1")
        sway.msg("seat", "seat0", "cursor", "release", "button1")
        client.roundtrip()
        states = [m.args[3] for m in client.events if (m.interface, m.name) == ("wl_pointer", "button")]
        return states[-2:] == [1, 0]
    t.wait(clicked, "press and release")
    keep.client.close()


@test
def seat_capabilities_come_and_go(t):
    """Keyboards and pointers that are plugged and unplugged on the host show on the guest's seat."""
    t.need("wtype")
    sway = t.sway()
    stack = t.stack(sway)
    client = stack.client()
    client.bind("wl_seat", 5)
    client.roundtrip()

    def capabilities():
        return [m.args[0] for m in client.events if m.interface == "wl_seat" and m.name == "capabilities"][-1:]
    t.eq(capabilities(), [0], "nothing is plugged in")
    pointer = VirtualPointer(t, sway)
    client.wait_for(lambda: capabilities() == [1], "a pointer")
    pointer.client.close()
    client.wait_for(lambda: capabilities() == [0], "no pointer")
    t.run(["wtype", "x"], sway.env())
    client.wait_for(lambda: any(m.name == "capabilities" and m.args[0] & 2 for m in client.events), "a keyboard")


@test(direct=False)
def guest_may_not_type_on_the_host(t):
    """Virtual input is hidden from the guest by default."""
    t.need("wtype")
    sway = t.sway()
    stack = t.stack(sway)
    proc = t.run(["wtype", "evil"], stack.env())
    t.ok(proc.popen.returncode != 0, "wtype fails in the guest")


@test
def virtual_keyboard_from_the_guest(t):
    """Where the policy allows it, wtype in the guest types: its keymap goes to the host as a read-once file."""
    t.need("wtype", "foot")
    sway = t.sway()
    plug_keyboard(t, sway)
    stack = t.stack(sway, host_args=["--allow", "zwp_virtual_keyboard_manager_v1"])
    out = t.path("typed")
    t.spawn(["foot", "-e", "sh", "-c", f"touch {out}.ready; exec cat > {out}"], sway.env())
    sway.window(app_id="foot")
    t.wait(lambda: os.path.exists(out + ".ready"), "the shell runs")
    t.run(["wtype", "from the guest", "-k", "Return"], stack.env())
    t.wait(lambda: read(out) == "from the guest\n", "the text")


if __name__ == "__main__":
    main()
