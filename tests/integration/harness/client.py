# SPDX-License-Identifier: MIT
"""A raw Wayland client.  Real clients are what the other tests use; this one says what they cannot."""

import mmap
import os
import socket
import time

from .tap import Failure
from .wire import Wire

XRGB8888 = 1
ARGB8888 = 0


class ProtocolError(Failure):
    """The wl_display.error that the client got."""

    def __init__(self, object_id, code, text):
        super().__init__(f"wl_display.error on object {object_id}, code {code}: {text}")
        self.object_id = object_id
        self.code = code
        self.text = text


class Client(Wire):
    def __init__(self, display, timeout=20, connect=True, sock=None):
        if sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if connect:
                sock.connect(display)
        super().__init__(sock, is_server=False)
        self.timeout = timeout
        self.next_id = 2
        self.free_ids = []
        self.globals = {}           # name → (interface, version)
        self.events = []            # every event but wl_display's, in order
        self.registry = None
        self.done = set()           # callbacks
        self.deleted = []           # ids of delete_id, in order
        self.listeners = {}         # (interface, event) → function(message)
        self.dead = set()           # destroyed, not yet deleted

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- objects

    def send(self, object_id, name, *args, interface=None):
        known = interface or self.objects[object_id][0]
        if self.signature(known, name, True)[1].destructor:
            self.dead.add(object_id)
        try:
            super().send(object_id, name, *args, interface=interface)
        except BrokenPipeError:
            pass            # what the display said before it closed is still to be read

    def new_id(self, interface, version=1):
        if self.free_ids:
            new = self.free_ids.pop(0)
        else:
            new = self.next_id
            self.next_id += 1
        self.objects[new] = (interface, version)
        return new

    def create(self, object_id, request, *args, version=None):
        """Sends a request that makes one object; its new_id is left out of args.  Returns the id."""
        interface, inherited = self.objects[object_id]
        _, m = self.signature(interface, request, True)
        at = m.signature.index("n")
        new = self.new_id(m.news[at], version or inherited)
        args = list(args)
        args.insert(at, new)
        self.send(object_id, request, *args)
        return new

    def get_registry(self):
        return self.create(1, "get_registry")

    def look(self):
        """Waits until all globals are known; once. The host may keep the id of the callback for itself."""
        if self.registry is None:
            self.registry = self.get_registry()
            callback = self.create(1, "sync")
            self.wait_for(lambda: callback in self.done, "all globals")

    def bind(self, interface, version=None, name=None, registry=None):
        """Binds the first such global (or the named one); returns the id."""
        self.look()
        if name is None:
            for name, (known, offered) in self.globals.items():
                if known == interface:
                    break
            else:
                raise Failure(f"no global {interface}; there are {sorted(g[0] for g in self.globals.values())}")
            version = version or offered
        new = self.new_id(interface, version)
        self.send(registry or self.registry, "bind", name, (interface, version, new))
        return new

    # -- events

    def handle(self, m):
        if m.object == 1 and m.name == "error":
            raise ProtocolError(*m.args)
        if m.object == 1 and m.name == "delete_id":
            self.deleted.append(m.args[0])
            self.dead.discard(m.args[0])
            if self.objects.pop(m.args[0], None):
                self.free_ids.append(m.args[0])
            return
        if m.interface == "wl_registry":
            if m.name == "global":
                self.globals[m.args[0]] = (m.args[1], m.args[2])
            else:
                self.globals.pop(m.args[0], None)
        if m.interface == "wl_callback":
            self.done.add(m.object)
        if m.interface == "xdg_wm_base" and m.name == "ping":
            self.send(m.object, "pong", m.args[0])
        self.events.append(m)
        listener = self.listeners.get((m.interface, m.name))
        if listener and m.object not in self.dead:
            listener(m)

    def dispatch(self, timeout=None):
        """Reads once and handles what is whole.  EOFError at the end."""
        while (m := self.next()) is not None:
            self.handle(m)
        if not self.read(timeout or self.timeout):
            raise EOFError("the display closed the connection")
        while (m := self.next()) is not None:
            self.handle(m)

    def wait_for(self, condition, what, timeout=None):
        """Handles events until condition() is true; returns its value."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure(f"the client never saw: {what}")
            try:
                self.dispatch(left)
            except TimeoutError:
                pass

    def wait_event(self, interface, name, timeout=None, start=0):
        """The first such event since position start."""
        def find():
            return next((m for m in self.events[start:] if m.interface == interface and m.name == name), None)
        return self.wait_for(find, f"{interface}.{name}", timeout)

    def roundtrip(self, timeout=None):
        callback = self.create(1, "sync")
        self.wait_for(lambda: callback in self.done and callback not in self.objects, "wl_callback.done", timeout)
        self.done.discard(callback)

    def expect_error(self, timeout=None):
        """Handles events until the error comes; returns it, and checks that the connection closes after it."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while time.monotonic() < deadline:
            try:
                self.dispatch(max(0.01, deadline - time.monotonic()))
            except ProtocolError as e:
                self.wait_closed(max(1, deadline - time.monotonic()))
                return e
            except EOFError:
                raise Failure("the connection closed without a wl_display.error") from None
            except (ConnectionResetError, BrokenPipeError):
                raise Failure("the connection was reset without a wl_display.error") from None
            except TimeoutError:
                pass
        raise Failure("no wl_display.error came")

    def count(self, interface, name):
        return sum(1 for m in self.events if m.interface == interface and m.name == name)


class Pool:
    """A wl_shm pool and the client's view of it."""

    def __init__(self, client, shm, size, fd=None):
        self.client = client
        self.size = size
        self.fd = os.memfd_create("pool") if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)
        self.id = client.create(shm, "create_pool", self.fd, size)

    def resize(self, size):
        if os.fstat(self.fd).st_size < size:
            os.ftruncate(self.fd, size)
        self.map.close()
        self.map = mmap.mmap(self.fd, size)
        self.size = size
        self.client.send(self.id, "resize", size)

    def buffer(self, offset, width, height, stride, fmt=XRGB8888):
        return self.client.create(self.id, "create_buffer", offset, width, height, stride, fmt)

    def close(self):
        self.map.close()
        os.close(self.fd)


class Window:
    """An xdg toplevel of the raw client, mapped by its first commit with a buffer."""

    def __init__(self, client, title="raw", app_id="raw.client"):
        self.client = client
        self.compositor = client.bind("wl_compositor", min(4, _offered(client, "wl_compositor")))
        self.shm = client.bind("wl_shm", 1)
        self.wm = client.bind("xdg_wm_base", 1)
        self.surface = client.create(self.compositor, "create_surface")
        self.xdg = client.create(self.wm, "get_xdg_surface", self.surface)
        self.toplevel = client.create(self.xdg, "get_toplevel")
        client.send(self.toplevel, "set_title", title)
        client.send(self.toplevel, "set_app_id", app_id)
        client.send(self.surface, "commit")
        self.configured = 0
        configure = client.wait_event("xdg_surface", "configure", start=0)
        client.send(self.xdg, "ack_configure", configure.args[0])
        client.listeners[("xdg_surface", "configure")] = \
            lambda m: client.send(m.object, "ack_configure", m.args[0])

    def show(self, buffer, damage=((0, 0, 1 << 30, 1 << 30),)):
        self.client.send(self.surface, "attach", buffer, 0, 0)
        for rectangle in damage:
            self.client.send(self.surface, "damage_buffer", *rectangle)
        self.client.send(self.surface, "commit")


def _offered(client, interface):
    client.look()
    return next((v for i, v in client.globals.values() if i == interface), 1)
