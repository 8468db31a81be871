# SPDX-License-Identifier: MIT
"""A test double: no VMM runs here, so this stands in for one's hybrid vsock socket."""

import os
import select
import socket
import threading


class HybridVmm:
    """Takes CONNECT <port> on a path, connects to PATH_<port>, answers OK and relays bytes, never descriptors.

    ok_style is how the answer arrives: "plain", "bytes" (one at a time) or "merged" (in one piece with what follows, where
    something follows soon)."""

    def __init__(self, path, ok_style="plain"):
        self.path = path
        self.ok_style = ok_style
        self.connections = 0
        self.to_host = self.to_guest = 0        # bytes relayed so far
        self.sockets = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line = b""
            while not line.endswith(b"\n"):
                byte = client.recv(1)
                if not byte or len(line) > 32:
                    raise OSError("no CONNECT line")
                line += byte
            command, port = line.split()
            if command != b"CONNECT":
                raise OSError("no CONNECT line")
            server.connect(f"{self.path}_{int(port)}")
        except (OSError, ValueError):
            client.close()
            server.close()
            return
        self.connections += 1
        self.sockets += [client, server]
        answer = b"OK 1073741824\n"
        try:
            if self.ok_style == "bytes":
                for i in range(len(answer)):
                    client.sendall(answer[i:i + 1])
            elif self.ok_style == "merged":
                if select.select([server], [], [], 0.2)[0]:
                    answer += server.recv(65536)
                client.sendall(answer)
            else:
                client.sendall(answer)
        except OSError:
            pass
        other = threading.Thread(target=self._relay, args=(client, server, "to_host"), daemon=True)
        other.start()
        self._relay(server, client, "to_guest")
        other.join()
        for s in (client, server):
            self.sockets.remove(s)
            s.close()

    def _relay(self, source, sink, counter):
        try:
            while True:
                data = source.recv(262144)
                if not data:
                    break
                setattr(self, counter, getattr(self, counter) + len(data))
                sink.sendall(data)
        except OSError:
            pass
        # No half-close on these: either end closes both directions.
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        try:
            os.unlink(self.path)
        except OSError:
            pass
