#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-guest --x11, what takes longer: large contents and the primary selection, and a Java program."""

import time

from harness import main, test
from harness.tools import plug_keyboard
from harness.x11 import both_ways, start

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
