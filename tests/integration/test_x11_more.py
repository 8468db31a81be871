#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-guest --x11, what takes longer: large contents and the primary selection, a Java program, and weston."""

import time

from harness import main, test
from harness.pointer import VirtualPointer
from harness.tools import plug_keyboard
from harness.x11 import Tk, X, both_ways, start

SWING = """
import javax.swing.*;
public class Window {
    public static void main(String[] args) {
        SwingUtilities.invokeLater(() -> {
            JFrame frame = new JFrame("swing");
            JMenuBar bar = new JMenuBar();
            JMenu menu = new JMenu("File");
            JMenuItem item = new JMenuItem("one");
            item.setBackground(java.awt.Color.RED);
            item.setOpaque(true);
            menu.add(item);
            bar.add(menu);
            frame.setJMenuBar(bar);
            JTextField field = new JTextField();
            field.addActionListener(e -> { System.out.println("typed " + field.getText()); menu.doClick(0); });
            frame.add(field);
            frame.setDefaultCloseOperation(JFrame.EXIT_ON_CLOSE);
            frame.setSize(400, 300);
            frame.setVisible(true);
        });
    }
}
"""
MIB = 1 << 20
PIXEL_RED = b"\xff\0\0"


@test(timeout=240)
def copy_and_paste_much(t):
    """Of any length, both ways: the clipboard."""
    both_ways(t, "clipboard", [5 * MIB + 17])


@test(timeout=240)
def copy_and_paste_primary(t):
    """The same with what is selected."""
    both_ways(t, "primary", [20, 5 * MIB + 17], "--primary")


def red(sway):
    return sway.grab().count(PIXEL_RED)


@test(timeout=240)
def on_weston(t):
    """Another compositor than the other tests': windows of their own size, keys, a menu, full screen, a shape."""
    t.need("wtype", "grim")
    sway = t.sway()
    plug_keyboard(t, sway)
    pointer = VirtualPointer(t, sway)
    weston = t.weston(parent=sway.socket)
    _, number, env = start(t, weston)
    tk = Tk(t, env)
    tk.said("size 300x200")

    def typed():
        t.run(["wtype", "hello"], sway.env())
        return "hello" in tk.ask("set typed")
    t.wait(typed, "what was typed")
    desktop = red(sway)                 # has little of it
    tk.do("tk_popup .m [expr [winfo rootx .]+50] [expr [winfo rooty .]+80]")
    t.wait(lambda: red(sway) > desktop + 200, "a menu")
    tk.do(".m unpost")
    t.wait(lambda: red(sway) < desktop + 100, "no menu")
    tk.do("wm attributes . -fullscreen 1")
    tk.said("size 1024x640")
    x = X(number)
    window = x.shaped_window(1, 200, 200, 0xff0000, [(0, 0, 50, 100)])
    t.wait(lambda: 4900 < red(sway) < 5100, "a window with a shape, and nothing of it outside")
    grab = sway.grab()[-1280 * 720 * 3:]
    left, top = min((i % 1280, i // 1280) for i in range(1280 * 720) if grab[3 * i:3 * i + 3] == PIXEL_RED)
    tk.do("bind . <Button> {say clicked}")

    def click(dx):
        for _ in range(2):
            pointer.to(left + dx, top + 20)
        pointer.button(1)
        pointer.button(0)

    def on_it():
        click(20)
        return x.pressed()
    t.wait(on_it, "a click on it")
    t.eq({w for w, *_ in x.pressed()}, {window}, "its window")
    t.lacks("clicked", tk.proc.log(), "the window behind")

    def beside():
        click(100)
        return "clicked" in tk.proc.log()
    t.wait(beside, "a click beside it, on what is behind")
    x.socket.close()
    tk.do("wm attributes . -fullscreen 0")
    t.wait(lambda: tk.ask("winfo width .") == "300", "its own size again")
    tk.do("exit")
    t.eq(tk.proc.wait(), 0, "the program ends")


@test(timeout=240)
def a_swing_program(t):
    """Java draws and takes keys without being told what kind of window manager there is."""
    t.need("java", "javac", "wtype", "grim")
    sway = t.sway()
    plug_keyboard(t, sway)
    _, _, env = start(t, sway)
    t.run(["javac", "-d", t.dir, t.write("Window.java", SWING)], timeout=100)
    swing = t.spawn(["java", "-cp", t.dir, "Window"], env)
    sway.window(title="swing", timeout=60)
    t.wait(lambda: len(set(sway.grab()[16:])) > 8, "it has drawn more than its background")

    def typed():
        # Again where Java was not ready; each of these brings a keymap, which it takes its time for.
        t.run(["wtype", "-d", "50", "a", "-k", "Return"], sway.env())
        time.sleep(2)
        return "typed a" in swing.log()
    t.wait(typed, "what was typed", timeout=60)
    t.wait(lambda: PIXEL_RED * 8 in sway.grab(), "its menu")
    sway.msg("[title=swing]", "kill")
    t.eq(swing.wait(), 0, "it closes")


if __name__ == "__main__":
    main()
