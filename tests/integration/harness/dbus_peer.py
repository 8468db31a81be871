#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program that is called over D-Bus, and one that calls it, by GDBus. Run by itself: it needs GLib's bindings, which the
system's python3 has.

dbus_peer.py serve ADDRESS      owns its names until it is stopped, and prints a line for each notification
dbus_peer.py CALL ADDRESS …     one of the functions below; prints what it saw as JSON"""

import json
import os
import socket
import sys
import threading

from gi.repository import Gio, GLib

NAME, PATH = "org.example.Peer", "/org/example/Peer"
INTERFACE = """<node>
  <interface name="org.example.Peer">
    <method name="Echo"><arg type="ay" direction="in"/><arg type="ay" direction="out"/></method>
    <method name="Read"><arg type="h" direction="in"/><arg type="s" direction="out"/></method>
    <method name="Write"><arg type="h" direction="in"/><arg type="s" direction="in"/></method>
    <method name="Give"><arg type="s" direction="in"/><arg type="h" direction="out"/></method>
    <method name="Connect"><arg type="h" direction="out"/></method>
    <method name="Tick"><arg type="u" direction="in"/><arg type="h" direction="out"/></method>
    <signal name="Ticked"><arg type="u"/></signal>
  </interface>
  <interface name="org.freedesktop.Notifications">
    <method name="Notify">
      <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
      <arg type="s" direction="in"/><arg type="as" direction="in"/><arg type="a{sv}" direction="in"/><arg type="i" direction="in"/>
      <arg type="u" direction="out"/>
    </method>
    <method name="GetServerInformation">
      <arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/>
    </method>
    <method name="GetCapabilities"><arg type="as" direction="out"/></method>
  </interface>
</node>"""


def connect(address):
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    return Gio.DBusConnection.new_for_address_sync(address, flags, None, None)


def read_all(fd):
    with os.fdopen(fd, "rb") as f:
        return f.read()


def filled_pipe(text):
    """The end that is read from."""
    out, into = os.pipe()
    os.write(into, text.encode())
    os.close(into)
    return out


def fd_list(*fds):
    fds = list(fds)
    given = Gio.UnixFDList.new_from_array(fds)      # they are its own now
    return given


class Peer:
    def __init__(self, address):
        self.connection = connect(address)
        node = Gio.DBusNodeInfo.new_for_xml(INTERFACE)
        for path, interface in ((PATH, node.interfaces[0]), ("/org/freedesktop/Notifications", node.interfaces[1])):
            self.connection.register_object(path, interface, self.called, None, None)
        for name in (NAME, "org.freedesktop.Notifications"):
            Gio.bus_own_name_on_connection(self.connection, name, Gio.BusNameOwnerFlags.NONE,
                                           lambda _c, n: print("owns", n, flush=True), None)

    def called(self, _connection, _sender, _path, _interface, method, args, invocation):
        values = args.unpack()
        fds = invocation.get_message().get_unix_fd_list()

        def fd():
            return fds.steal_fds()[values[0]]       # the message keeps none open

        def answer(variant, out=None):
            invocation.return_value_with_unix_fd_list(variant, out)
        if method == "Echo":
            answer(args)
        elif method == "Read":
            own = fd()
            # Its writer may be the one who waits for this answer to be read.
            threading.Thread(target=lambda: answer(GLib.Variant("(s)", (read_all(own).decode(),)))).start()
        elif method == "Write":
            with os.fdopen(fd(), "wb") as f:
                f.write(values[1].encode())
            answer(None)
        elif method == "Give":
            answer(GLib.Variant("(h)", (0,)), fd_list(filled_pipe(values[0])))
        elif method == "Connect":
            mine, theirs = socket.socketpair()

            def echo():
                while data := mine.recv(4096):
                    mine.sendall(data.upper())
                mine.close()
            threading.Thread(target=echo).start()
            answer(GLib.Variant("(h)", (0,)), fd_list(theirs.detach()))
        elif method == "Tick":
            for i in range(values[0]):
                self.connection.emit_signal(None, PATH, NAME, "Ticked", GLib.Variant("(u)", (i,)))
            answer(GLib.Variant("(h)", (0,)), fd_list(filled_pipe("after the ticks")))
        elif method == "Notify":
            print("notified", json.dumps([values[0], values[3], values[4]]), flush=True)
            answer(GLib.Variant("(u)", (1,)))
        elif method == "GetServerInformation":
            answer(GLib.Variant("(ssss)", ("peer", "example", "1", "1.2")))
        elif method == "GetCapabilities":
            answer(GLib.Variant("(as)", (["body"],)))


def call(connection, method, args, fds=None, name=NAME):
    return connection.call_with_unix_fd_list_sync(name, PATH, NAME, method, args, None, Gio.DBusCallFlags.NONE, 60000, fds, None)


def echo(connection, size):
    data = os.urandom(int(size))
    result, _ = call(connection, "Echo", GLib.Variant("(ay)", (data,)))
    return bytes(result.unpack()[0]) == data


def pipes(connection):
    """A pipe that the other one reads, one that it writes, and one that it gives: what came out of each."""
    seen = []
    result, _ = call(connection, "Read", GLib.Variant("(h)", (0,)), fd_list(filled_pipe("read this")))
    seen.append(result.unpack()[0])
    out, into = os.pipe()
    fds = fd_list(into)
    call(connection, "Write", GLib.Variant("(hs)", (0, "a secret")), fds)
    for fd in fds.steal_fds():      # or else it would be closed some time
        os.close(fd)
    seen.append(read_all(out).decode())
    _, fds = call(connection, "Give", GLib.Variant("(s)", ("given",)))
    seen.append(read_all(fds.get(0)).decode())
    return seen


def files(connection, path):
    """A file and a memory that the other one reads."""
    seen = []
    result, _ = call(connection, "Read", GLib.Variant("(h)", (0,)), fd_list(os.open(path, os.O_RDONLY)))
    seen.append(result.unpack()[0])
    memory = os.memfd_create("memory")
    os.write(memory, b"in memory")
    os.lseek(memory, 0, os.SEEK_SET)
    result, _ = call(connection, "Read", GLib.Variant("(h)", (0,)), fd_list(memory))
    seen.append(result.unpack()[0])
    return seen


def sockets(connection):
    """A socket that the other one gives, and answers on."""
    _, fds = call(connection, "Connect", None)
    with socket.socket(fileno=fds.get(0)) as s:
        seen = []
        for word in (b"one", b"two"):
            s.sendall(word)
            seen.append(s.recv(100).decode())
        return seen


def ticks(connection, calls, signals):
    """Calls that are answered by signals and then a descriptor: how many got theirs, and how many signals came."""
    heard, right = [], 0
    context = GLib.MainContext.default()
    connection.signal_subscribe(None, NAME, "Ticked", PATH, None, Gio.DBusSignalFlags.NONE, lambda *a: heard.append(a[5].unpack()[0]))
    for _ in range(int(calls)):
        _, fds = call(connection, "Tick", GLib.Variant("(u)", (int(signals),)))
        right += fds is not None and fds.get_length() == 1 and read_all(fds.get(0)) == b"after the ticks"
    while len(heard) < int(calls) * int(signals):
        context.iteration(True)
    return [right, heard == list(range(int(signals))) * int(calls)]


def main():
    what, address, *args = sys.argv[1:]
    if what == "serve":
        peer = Peer(address)
        peer.connection.connect("closed", lambda *_: os._exit(1))
        GLib.MainLoop().run()
    print(json.dumps({"echo": echo, "pipes": pipes, "files": files, "sockets": sockets, "ticks": ticks}[what](connect(address), *args)))


if __name__ == "__main__":
    main()
