# SPDX-License-Identifier: MIT
"""A fake compositor: a test double that shows exactly what the host daemon forwards and says what a real one never would.

It answers what every client needs (registry, sync, delete_id) by itself and records every request with its descriptors.
Tests add handlers, look at what came, and send events by hand."""

import mmap
import os
import selectors
import socket
import threading
import traceback

from .interfaces import INTERFACES
from .proc import wait_until
from .tap import Failure
from .wire import SERVER_ID, Wire

GLOBALS = [("wl_compositor", 5), ("wl_shm", 1), ("wl_seat", 7), ("wl_data_device_manager", 3), ("wl_subcompositor", 1),
           ("wl_output", 4), ("xdg_wm_base", 5), ("wp_viewporter", 1), ("wp_presentation", 1)]


class Peer(Wire):
    """One connection to the fake compositor."""

    def __init__(self, fake, sock, number):
        super().__init__(sock, is_server=True)
        self.fake = fake
        self.number = number
        self.log = []               # Message, in order
        self.registries = []
        self.next_server_id = SERVER_ID
        self.names = {}             # global name → id it was bound to, last one
        self.pools = {}             # id → (fd, size)
        self.buffers = {}           # id → (pool, offset, width, height, stride, format)
        self.pool_files = {}
        self.error = None
        self.serial = 0
        self.removals = []          # (registry, name) of a global_remove that is to be acknowledged
        self.context = None         # the security context that it came through

    def event(self, object_id, name, *args):
        with self.fake.lock:
            self.send(object_id, name, *args)

    def raw(self, data, fds=()):
        with self.fake.lock:
            self.send_raw(data, fds)

    def new_server_id(self, interface, version=1):
        new = self.next_server_id
        self.next_server_id += 1
        self.objects[new] = (interface, version)
        return new

    def bound(self, interface):
        """The id that the client bound this interface to; waits for it."""
        def find():
            with self.fake.lock:
                return next((i for i, (known, _) in self.objects.items() if known == interface), None)
        return wait_until(find, f"{interface} bound at the compositor")

    def find(self, interface, name, start=0):
        with self.fake.lock:
            return [m for m in self.log[start:] if m.interface == interface and m.name == name]

    def wait(self, interface, name, count=1, timeout=20):
        """Waits until that many such requests came; returns the last of them."""
        def enough():
            if self.error:
                raise Failure(f"at the fake compositor: {self.error}")
            found = self.find(interface, name)
            return found[count - 1] if len(found) >= count else None
        return wait_until(enough, f"{count} × {interface}.{name} at the compositor", timeout)

    def wait_gone(self, timeout=20):
        wait_until(lambda: self.closed, "the connection at the compositor closes", timeout)

    def requests(self):
        with self.fake.lock:
            return [f"{m.interface}.{m.name}" for m in self.log]

    def content(self, buffer_id):
        """The bytes of a wl_buffer as the compositor sees them now, rows joined by the stride."""
        with self.fake.lock:
            pool, offset, _, height, stride, _ = self.buffers[buffer_id]
            fd, size = self.pool_files[pool]
            if os.fstat(fd).st_size < offset + height * stride:
                raise Failure("the host's pool file is smaller than the buffer")
            with mmap.mmap(fd, size, prot=mmap.PROT_READ) as view:
                return bytes(view[offset:offset + height * stride])

    def write_content(self, buffer_id, data):
        with self.fake.lock:
            pool, offset, *_ = self.buffers[buffer_id]
            fd, size = self.pool_files[pool]
            with mmap.mmap(fd, size) as view:
                view[offset:offset + len(data)] = data

    # -- the default behaviour

    def handle(self, m):
        self.log.append(m)
        handler = self.fake.handlers.get((m.interface, m.name))
        if handler and handler(self, m) is not False:
            return
        if m.interface == "wl_display" and m.name == "sync":
            self.serial += 1
            self.send(m.args[0], "done", self.serial)
            self.send(1, "delete_id", m.args[0])
            self.objects.pop(m.args[0], None)
        elif m.interface == "wl_display" and m.name == "get_registry":
            self.registries.append(m.args[0])
            for name, (interface, version) in sorted(self.fake.globals.items()):
                if self.context and interface in self.fake.withheld:
                    continue
                self.send(m.args[0], "global", name, interface, version)
        elif m.interface == "wl_fixes" and m.name == "destroy_registry":
            self.registries.remove(m.args[0])
            self.removals = [r for r in self.removals if r[0] != m.args[0]]
            self.destroyed(m.args[0])
        elif m.interface == "wl_fixes" and m.name == "ack_global_remove":
            if tuple(m.args) not in self.removals:      # as libwayland's server
                self.send(1, "error", m.object, 0, f"the given registry did not announce global {m.args[1]}")
                raise Failure(f"ack_global_remove{tuple(m.args)}, which nobody waits for")
            self.removals.remove(tuple(m.args))
        elif m.interface == "wl_registry":
            name, (interface, version, new) = m.args
            self.names[name] = new
            if interface == "wl_shm":
                for fmt in self.fake.formats:
                    self.send(new, "format", fmt)
            elif interface == "wl_seat":
                self.send(new, "capabilities", 3)
                if version >= 2:
                    self.send(new, "name", "seat0")
        elif m.interface == "wl_shm" and m.name == "create_pool":
            self.pool_files[m.args[0]] = (m.args[1], m.args[2])
        elif m.interface == "wl_shm_pool" and m.name == "resize":
            self.pool_files[m.object] = (self.pool_files[m.object][0], m.args[0])
        elif m.interface == "wl_shm_pool" and m.name == "create_buffer":
            self.buffers[m.args[0]] = (m.object, *m.args[1:])
        elif m.interface == "wp_security_context_manager_v1" and m.name == "create_listener":
            self.fake.contexts[self, m.args[0]] = SecurityContext(os.dup(m.args[1]), os.dup(m.args[2]))
        elif m.interface == "wp_security_context_v1" and m.name != "destroy":
            context = self.fake.contexts[self, m.object]
            if m.name == "commit":
                self.fake.listen_for(context)
            else:
                context.metadata[m.name.removeprefix("set_")] = m.args[0]
        elif m.interface == "xdg_surface" and m.name == "get_toplevel":
            self.serial += 1
            self.send(m.args[0], "configure", 0, 0, b"")
            self.send(m.object, "configure", self.serial)
        entry = next(e for e in INTERFACES[m.interface].requests if e.name == m.name)
        if entry.destructor:
            self.destroyed(m.object)

    def destroyed(self, object_id):
        self.objects.pop(object_id, None)
        if object_id < SERVER_ID:
            self.send(1, "delete_id", object_id)


class SecurityContext:
    """A listener that somebody else made: its connections are tagged, until the other descriptor hangs up."""

    def __init__(self, listener, close):
        self.listener = socket.socket(fileno=listener)
        self.close_fd = close
        self.metadata = {}
        self.committed = False


class FakeCompositor:
    def __init__(self, context, globals=None, formats=(0, 1), name="fake"):
        self.context = context
        self.socket = os.path.join(context.mkdir(name), "w")
        self.globals = {i: g for i, g in enumerate(globals or GLOBALS, 1)}
        self.formats = formats
        self.handlers = {}          # (interface, request) → f(peer, message); False: also the default
        self.lock = threading.RLock()
        self.peers = []
        self.contexts = {}          # (peer, id) → SecurityContext
        self.withheld = {"wp_security_context_manager_v1"}     # from connections of a context
        self.proc = None
        self._open()

    def _open(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.socket)
        self.listener.listen(512)
        self._wake, self._waker = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.selector.register(self._wake, selectors.EVENT_READ, "wake")
        self.running = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.running:
            for key, _ in self.selector.select():
                if key.data == "wake":
                    return
                with self.lock:
                    if key.data is None or isinstance(key.data, SecurityContext):
                        sock, _ = key.fileobj.accept()
                        sock.setblocking(True)
                        peer = Peer(self, sock, len(self.peers))
                        peer.context = key.data
                        self.peers.append(peer)
                        self.selector.register(sock, selectors.EVENT_READ, peer)
                    else:
                        self._serve(key.data)

    def _serve(self, peer):
        try:
            more = peer.read(0)
            while not peer.error and (m := peer.next()) is not None:
                peer.handle(m)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            more = True
        except Exception as e:
            peer.error = f"{e}" if isinstance(e, Failure) else traceback.format_exc()
            more = False
        if not more:
            self._drop(peer)

    def _drop(self, peer):
        try:
            self.selector.unregister(peer.socket)
        except (KeyError, ValueError):
            pass
        peer.close()
        for m in peer.log:
            for fd in m.fds:
                try:
                    os.close(fd)
                except OSError:
                    pass

    def drop(self, peer):
        """Closes the connection as a compositor does that disconnects a client."""
        with self.lock:
            self._drop(peer)

    def listen_for(self, context):
        context.committed = True
        self.selector.register(context.listener, selectors.EVENT_READ, context)

    def committed_contexts(self):
        with self.lock:
            return [c for c in self.contexts.values() if c.committed]

    def on(self, interface, name, handler):
        self.handlers[(interface, name)] = handler

    def peer_of(self, client):
        """The connection that belongs to a client: the newest that has a bound global or sent anything."""
        if client.registry is None:
            client.registry = client.get_registry()
        client.roundtrip()
        return self.newest()

    def newest(self):
        def find():
            with self.lock:
                for peer in reversed(self.peers):
                    if not peer.closed and peer.log:
                        return peer
            return None
        return wait_until(find, "a connection at the compositor")

    def add_global(self, interface, version):
        with self.lock:
            name = max(self.globals, default=0) + 1
            self.globals[name] = (interface, version)
            for peer in self.peers:
                if not peer.closed:
                    for registry in peer.registries:
                        peer.send(registry, "global", name, interface, version)
        return name

    def remove_global(self, name):
        with self.lock:
            del self.globals[name]
            for peer in self.peers:
                if not peer.closed:
                    for registry in peer.registries:
                        peer.removals.append((registry, name))
                        peer.send(registry, "global_remove", name)

    def open_peers(self):
        with self.lock:
            return [p for p in self.peers if not p.closed]

    def close(self):
        if not self.running:
            return
        self.running = False
        self._waker.send(b"x")
        self.thread.join(5)
        with self.lock:
            for peer in self.peers:
                if not peer.closed:
                    self._drop(peer)
        self.listener.close()
        for context in self.contexts.values():
            context.listener.close()
            os.close(context.close_fd)
        self._wake.close()
        self._waker.close()
        try:
            os.unlink(self.socket)
        except OSError:
            pass
