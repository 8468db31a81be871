#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The pages for one task each (docs/): their lines are typed as they stand, host's and guest's, and windows appear.

Both sides are this machine. What it has not is replaced by programs before the real ones: VMs come by Unix sockets in the place
of vsock, so the daemons get "unix:" for "vsock:" and for a CID; systemctl starts what the unit would start; apt looks whether
there is such a package; firefox is a terminal of that name. ssh and sshd are real."""

import os
import re
import shlex
import subprocess

from harness import Skip, main, test
from harness.tap import Failure

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs")
CID = re.compile(r"^cid = (\d+)$", re.M)

# What the daemons are told instead of vsock: {dir}/cid-N is the way in for the VM with CID N.
HOST = """#!/usr/bin/python3
import os, re, sys
arguments, config, named, vsock = [], None, [], False
words = iter(sys.argv[1:])
for word in words:
    if word == "--config":
        config = next(words)
    elif word == "--vm":
        named.append(next(words))
    elif word == "--listen" and (where := next(words)).startswith("vsock:"):
        vsock = True
    elif word == "--listen":
        arguments += [word, where]
    else:
        arguments.append(word)
text = open(config).read() if config else ""
for vm in named:
    name, _, cid = vm.partition(":")
    if cid:
        text += f"[vm {name}]\\ncid = {cid}\\n"
    else:
        arguments += ["--vm", name]
text = re.sub(r"^cid = (\\d+)$", r"listen = unix:@DIR@/cid-\\1", text, flags=re.M)
if text:
    with open("@DIR@/host.conf", "w") as f:
        f.write(text)
    arguments += ["--config", "@DIR@/host.conf"]
os.execv("@HOST@", ["@HOST@", "--compositor", "@COMPOSITOR@", *arguments])
"""
GUEST = """#!/bin/sh
for word in "$@"; do
    shift
    [ "$word" = vsock:2:1100 ] && word=unix:@DIR@/cid-42
    set -- "$@" "$word"
done
exec @GUEST@ --gpu off "$@"
"""
SYSTEMCTL = """#!/bin/sh
case "$*" in
    "--user enable --now wayvsock-host.socket")
        setsid wayvsock-host --config ~/.config/wayvsock/host.conf --listen vsock:1100 >@DIR@/host.log 2>&1 & ;;
    "enable --now wayvsock-guest@alice.socket")
        setsid wayvsock-guest --connect unix:@DIR@/cid-42 --display @DIR@/display >@DIR@/guest.log 2>&1 & ;;
    *) echo "systemctl: no such line: $*" >&2; exit 1 ;;
esac
"""
APT = """#!/bin/sh
[ "$1" = install ] || exit 1
for package in "$@"; do
    case $package in
        ./wayvsock-*_\\*.deb) package=${package#./}; grep -q "^Package: ${package%%_*}$" @CONTROL@ || exit 1 ;;
    esac
done
"""
FIREFOX = """#!/bin/sh
exec foot --title=firefox sleep 1000
"""


class Page:
    """What a page says to type, in its order."""

    def __init__(self, t, name):
        t.need("foot", "python3", "openssl")
        self.t = t
        self.sway = t.sway()
        self.home, self.runtime = t.mkdir("home"), t.mkdir("run")
        self.commands = t.mkdir("commands")
        with open(os.path.join(DOCS, name)) as f:
            self.text = f.read()
        for program, text in (("wayvsock-host", HOST), ("wayvsock-guest", GUEST), ("systemctl", SYSTEMCTL), ("apt", APT),
                              ("firefox", FIREFOX)):
            self.program(program, text)
        self.running = []

    def program(self, name, text):
        for key, value in (("@DIR@", self.t.dir), ("@HOST@", os.environ["WAYVSOCK_HOST"]), ("@GUEST@", os.environ["WAYVSOCK_GUEST"]),
                           ("@COMPOSITOR@", self.sway.socket), ("@CONTROL@", os.path.join(DOCS, "../packaging/debian/control"))):
            text = text.replace(key, value)
        self.t.write(f"commands/{name}", text, 0o755)

    def env(self, **more):
        return self.t.env(PATH=f"{self.commands}:{os.environ['PATH']}", HOME=self.home, XDG_RUNTIME_DIR=self.runtime, **more)

    def own(self, text):
        return text.replace("/home/alice", self.home).replace("/run/user/1000", self.runtime)

    def blocks(self):
        return [self.own(block) for block in re.findall(r"^```\n(.*?)^```$", self.text, re.M | re.S)]

    def configure(self):
        """The page's host.conf becomes ours."""
        config = next(block for block in self.blocks() if "[vm " in block)
        self.t.mkdir("home/.config/wayvsock")
        self.t.write("home/.config/wayvsock/host.conf", config)

    def lines(self):
        """(side, command) of all that is typed."""
        typed = re.findall(r"^(host|guest)[$#] +(.*)$", "\n".join(self.blocks()), re.M)
        return [(side, command) for side, command in typed]

    def type(self, side, command, stays=None):
        """Runs one line. stays: a condition that holds while it goes on; without it, it has to end, and well."""
        more = {"WAYLAND_DISPLAY": self.t.path("display")} if side == "guest" else {}
        proc = self.t.spawn(["bash", "-c", command], self.env(**more), name=shlex.split(command)[0].rpartition("/")[2])
        if stays:
            self.t.wait(lambda: stays() or not proc.alive, f"{side}$ {command}", 60)
            self.t.ok(stays(), f"{side}$ {command}: it has ended\n{proc.log()}")
            self.running.append(proc)
        else:
            status = proc.wait(60)
            if status:
                raise Failure(f"{side}$ {command}: status {status}\n{proc.log()}")

    def shows(self, title):
        return lambda: title in [w.get("name") for w in self.sway.windows()]

    def listens(self, *names):
        return lambda: all(os.path.exists(self.own(name) if name[0] == "/" else self.t.path(name)) for name in names)

    def stop(self, proc):
        proc.signal(15)
        proc.wait(30)


@test(direct=False, timeout=120)
def a_browser(t):
    page = Page(t, "browser.md")
    page.configure()
    lines = page.lines()
    # Host and guest in whatever order: the page begins with the guest.
    for side, command in lines:
        if command == "firefox":
            t.wait(page.listens("display", "cid-42"), "both daemons")
        page.type(side, command, page.shows("[browser] firefox") if command == "firefox" else None)
    t.eq(lines[-1], ("guest", "firefox"), "the page's last line")


@test(direct=False, timeout=120)
def several_vms(t):
    page = Page(t, "several-vms.md")
    page.configure()
    *service, by_hand = page.lines()
    for side, command in service:
        page.type(side, command)
    t.wait(page.listens("cid-42", "cid-43", "/run/user/1000/fire/v.sock_1100"), "the host's daemon")
    token = ["--token", page.own("/home/alice/.config/wayvsock/fire.token")]
    for title, address, *proof in (("[work] one", f"unix:{t.path('cid-42')}"), ("[play] two", f"unix:{t.path('cid-43')}"),
                                   ("three", f"unix:{page.runtime}/fire/v.sock_1100", *token)):
        t.spawn([os.path.join(page.commands, "wayvsock-guest"), "--connect", address, *proof, "--", "foot",
                 f"--title={title.split()[-1]}", "sleep", "1000"], page.env())
        t.wait(page.shows(title), f"the window {title}", 60)
    t.has("wayvsock-host --listen vsock:1100 --vm work:42 --vm play:43", by_hand[1], "the last line")


@test(direct=False, timeout=120)
def several_users(t):
    page = Page(t, "several-users.md")
    page.configure()
    (side, sockets), *lines = page.lines()
    t.eq((side, sockets.split()[-2:]), ("guest", ["wayvsock-guest@ann.socket", "wayvsock-guest@ben.socket"]), "one for each")
    for side, command in lines:
        if side == "guest":
            t.wait(page.listens("cid-42"), "the host's daemon")
            name = command.rpartition("=")[2]
            with open(os.path.join(page.home, f".config/wayvsock/{name}.token")) as f:
                t.write(f"home/{name}.token", f.read(), 0o600)
            command = f"cd {page.home} && WAYLAND_DISPLAY= {command}"
            page.type(side, command, page.shows(f"[shared] {name}"))
        else:
            page.type(side, command)
    t.eq(len([w for w in page.sway.windows() if w["name"].startswith("[shared] ")]), 2, "windows, side by side")


@test(direct=False, timeout=180)
def over_ssh(t):
    t.need("ssh", "scp")
    sshd = "/usr/sbin/sshd"
    if not os.access(sshd, os.X_OK) or os.geteuid():
        raise Skip("it takes an sshd that root starts")
    page = Page(t, "ssh.md")
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", t.path(key)], check=True)
    os.makedirs("/run/sshd", exist_ok=True)
    t.write("authorized", t_read(t.path("user.pub")))
    config = t.write("sshd.conf", f"""
HostKey {t.path("host")}
AuthorizedKeysFile {t.path("authorized")}
StrictModes no
UsePAM no
PidFile none
PermitUserEnvironment no
SetEnv PATH={page.commands}:{os.environ["PATH"]} XDG_RUNTIME_DIR={t.mkdir("vm-run")} LC_ALL=C.UTF-8
Subsystem sftp internal-sftp
""")
    # One connection by its standard input and output, so that there is no port to choose.
    ssh_config = t.write("ssh.conf", f"""
Host vm
ProxyCommand {sshd} -i -f {config}
IdentityFile {t.path("user")}
UserKnownHostsFile {t.path("known")}
StrictHostKeyChecking no
LogLevel ERROR
""")
    for program in ("ssh", "scp"):
        page.program(program, f'#!/bin/sh\nexec /usr/bin/{program} -F {ssh_config} "$@"\n')
    left = os.path.expanduser("~root/.wayvsock.token")
    if os.path.exists(left) or os.path.exists("/tmp/wayvsock-dev"):
        raise Skip(f"{left} or /tmp/wayvsock-dev is somebody's")
    t.closers.append(lambda: [os.unlink(f) for f in (left, "/tmp/wayvsock-dev") if os.path.exists(f)])
    for side, command in page.lines():
        if "-- foot" in command:
            page.type(side, command, lambda: bool(page.sway.windows()))
        elif command.endswith("&"):
            page.type(side, command.removesuffix("&"), page.listens("run/wayvsock-dev"))
        else:
            page.type(side, command)
    t.ok(page.sway.windows(), "the terminal is shown")


@test(direct=False, timeout=120)
def x11(t):
    """Its first line; that X programs are seen then is test_x11's."""
    t.need("Xwayland")
    page = Page(t, "x11.md")
    side, command = next(line for line in page.lines() if "Xwayland" in line[1])
    t.spawn([os.path.join(page.commands, "wayvsock-host"), "--listen", "vsock:1100", "--vm", "vm:42"], page.env())
    t.wait(page.listens("cid-42"), "the host's daemon")
    number = next(n for n in range(100, 200) if not os.path.exists(f"/tmp/.X{n}-lock"))
    command = command.removesuffix("&").replace("vsock:2:1100", f"unix:{t.path('cid-42')}").replace(":1 ", f":{number} ")
    page.type(side, command, lambda: bool(page.sway.windows()))


def t_read(path):
    with open(path) as f:
        return f.read()


if __name__ == "__main__":
    main()
