#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The Debian packages, as a newcomer has them: installed into a fresh virtual machine and on a fresh host, each with a kernel
and a systemd of its own, enabled as the documentation says, upgraded while windows are open, and purged.

WAYVSOCK_PACKAGES names their folder; where WAYVSOCK_PICTURES names one, what is seen on the host goes there."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.stack import TOKEN  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "..", "..", "scripts")
PACKAGES = os.environ.get("WAYVSOCK_PACKAGES", "")
PICTURES = os.environ.get("WAYVSOCK_PICTURES")
PORT = 1100


def newer(source, folder):
    """The same package with a version that follows."""
    tree = os.path.join(folder, "tree")
    subprocess.run(["dpkg-deb", "-R", source, tree], check=True)
    with open(os.path.join(tree, "DEBIAN/control")) as f:
        control = re.sub(r"^(Version: .*)$", r"\1+newer", f.read(), flags=re.M)
    with open(os.path.join(tree, "DEBIAN/control"), "w") as f:
        f.write(control)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, folder], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)


class Bridge:
    """Leads what a VM sends to its host's port to that port of another VM, through both hybrid sockets."""

    def __init__(self, source, target):
        self.target = target
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{source}_{PORT}")
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, ours):
        theirs = socket.socket(socket.AF_UNIX)
        try:
            theirs.connect(self.target)
            theirs.sendall(f"CONNECT {PORT}\n".encode())
            answer = b""
            while not answer.endswith(b"\n"):
                byte = theirs.recv(1)
                if not byte:
                    raise OSError
                answer += byte
        except OSError:
            ours.close()
            return
        for pair in ((ours, theirs), (theirs, ours)):
            threading.Thread(target=self.forward, args=pair, daemon=True).start()

    @staticmethod
    def forward(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Machine:
    """One of both, in its kernel."""

    def __init__(self, t, name, packages):
        self.t, self.name = t, name
        root = subprocess.run([os.path.join(SCRIPTS, "root"), name, *packages], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()
        self.dir = t.mkdir(name, 0o755)
        for folder in ("packages", "newer"):
            os.mkdir(self.path(folder))
        for package in packages:
            shutil.copy(package, self.path("packages"))
            newer(package, self.path("newer"))
        with open(self.path("token"), "w") as f:
            f.write(TOKEN + "\n")
        shutil.copy(os.path.join(HERE, f"package_{name}.sh"), self.path("walk.sh"))
        self.proc = t.spawn([os.path.join(SCRIPTS, "guest"), "-R", root, "-s", "-v", "-m", "1536M", "-t", "1000", "-d", self.dir,
                             "--", "bash", self.path("walk.sh")], dict(os.environ), name=name)
        self.hybrid = self.path("vsock")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def touch(self, name):
        with open(self.path(name), "w"):
            pass

    def wait(self, name, what, timeout=300):
        self.t.wait(lambda: os.path.exists(self.path(name)) or not self.proc.alive, what, timeout)
        self.t.ok(os.path.exists(self.path(name)), f"{what}: the {self.name} has ended")

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()


def titles(host):
    """The windows on the host's desktop."""
    def walk(node):
        yield from ([node["name"]] if node.get("pid") else [])
        for child in (*node.get("nodes", ()), *node.get("floating_nodes", ())):
            yield from walk(child)
    try:
        return sorted(walk(json.loads(host.read("tree"))))
    except (OSError, ValueError):
        return []


def menu(host):
    """The host's menu of the VM: names, and the files' text."""
    try:
        entries = host.read("menu").split("[Desktop Entry]\n")[1:]
    except OSError:
        return {}
    return {re.search("^Name=(.*)$", entry, flags=re.M).group(1): entry for entry in entries}


def launch(host, entry):
    with open(host.path("launch.new"), "w") as f:
        f.write(entry)
    os.rename(host.path("launch.new"), host.path("launch"))


def picture(t, host, name):
    host.touch("shoot")
    t.wait(lambda: not os.path.exists(host.path("shoot")), "a picture of the host's desktop", 120)
    if PICTURES:
        shutil.copy(host.path("picture.png"), os.path.join(PICTURES, name))


@test(timeout=1500, direct=False)
def a_newcomers_walk(t):
    debs = sorted(glob.glob(os.path.join(os.path.abspath(PACKAGES), "*.deb")))
    t.eq([os.path.basename(deb).split("_")[0] for deb in debs],
         [*(f"wayvsock-{part}" for part in ("doc", "gpu", "guest", "host", "vsock")), "wayvsock"], "the packages")
    host = Machine(t, "host", debs)
    guest = Machine(t, "guest", [deb for deb in debs if "wayvsock-guest_" in deb or "/wayvsock_" in deb])
    Bridge(guest.hybrid, host.hybrid)
    host.wait("started", "the host's desktop")
    guest.wait("enabled", "the guest's display")
    guest.touch("show-first")
    shown = t.wait(lambda: titles(host) == ["first"] or not guest.proc.alive, "a window", 400)
    t.ok(shown and titles(host) == ["first"], "a window")
    picture(t, host, "package-first.png")
    host.touch("upgrade")
    host.wait("upgraded", "the host's upgrade")
    t.eq(titles(host), ["first"], "the windows after the host's upgrade")
    guest.touch("show-second")
    guest.wait("upgraded", "the guest's upgrade")
    t.wait(lambda: titles(host) == ["first", "second"], "both windows, after the guest's upgrade", 120)
    picture(t, host, "package-second.png")
    t.eq(menu(host), {}, "the menu of a guest that lets nobody start anything")
    guest.touch("allow")
    guest.wait("allowed", "programs may be started")
    t.wait(lambda: "Foot (work)" in menu(host), "the entry of a guest's program", 400)
    entry = menu(host)["Foot (work)"]
    t.ok(re.search("^Icon=/home/alice/.*[.]png$", entry, flags=re.M), f"its icon: {entry}")
    launch(host, entry)
    t.wait(lambda: len(titles(host)) == 3, "the window of an entry", 120)
    picture(t, host, "package-menu.png")
    guest.touch("remove")
    guest.wait("removed", "a package goes")
    t.wait(lambda: "Foot (work)" not in menu(host), "and its entry with it", 120)
    guest.touch("install")
    guest.wait("installed", "it comes back")
    t.wait(lambda: "Foot (work)" in menu(host), "and its entry", 120)
    guest.touch("down")
    guest.wait("is-down", "the VM goes")
    t.wait(lambda: not titles(host), "its windows as well", 120)
    t.eq(menu(host)["Foot (work)"], entry, "the entry, which stays")
    launch(host, entry)
    host.wait("alice/start", "the VM is started")
    t.eq(titles(host), [], "windows before it is there")
    guest.touch("start")
    t.wait(lambda: len(titles(host)) == 1, "the window of an entry whose VM was down", 120)
    picture(t, host, "package-started.png")
    for machine in (guest, host):
        machine.touch("end")
        machine.wait("purged", "purge")
        t.eq(machine.read("left"), "", f"what is left on the {machine.name}")
        t.eq(machine.proc.wait(60), 0, f"how the {machine.name} ended")


if __name__ == "__main__":
    if not PACKAGES:
        print("1..0 # SKIP scripts/test package runs this")
    else:
        main()
