#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""mask.py BIT,… PROGRAM [ARG…] --socket-path PATH: a vhost-user device, seen by its frontend without some features.

As under a frontend that does not know them.  PROGRAM gets the connection with --fd."""

import os
import socket
import struct
import subprocess
import sys
import threading

GET_FEATURES = 1
HEADER = struct.Struct("<III")      # request, flags, size


def pump(source, to, change=None):
    """Everything, descriptors with the bytes that they came with, until the end; change sees whole messages."""
    waiting = b""
    while True:
        try:
            data, fds, _, _ = socket.recv_fds(source, 65536, 32)
        except ConnectionResetError:
            data = b""
        if not data:
            break
        if change:
            waiting += data
            data = b""
            while len(waiting) >= HEADER.size:
                request, _, size = HEADER.unpack_from(waiting)
                if len(waiting) < HEADER.size + size:
                    break
                data += change(request, waiting[:HEADER.size + size])
                waiting = waiting[HEADER.size + size:]
        if data or fds:
            sent = socket.send_fds(to, [data], fds)
            to.sendall(data[sent:])
        for fd in fds:
            os.close(fd)
    to.shutdown(socket.SHUT_WR)


def main():
    bits, *program, option, path = sys.argv[1:]
    mask = sum(1 << int(b) for b in bits.split(","))
    assert option == "--socket-path"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + ".new")
    listener.listen(1)
    os.rename(path + ".new", path)      # whoever sees it can connect
    ours, theirs = socket.socketpair()
    device = subprocess.Popen([*program, "--fd", str(theirs.fileno())], pass_fds=[theirs.fileno()])
    theirs.close()
    frontend, _ = listener.accept()

    def answer(request, message):
        if request != GET_FEATURES:
            return message
        return message[:HEADER.size] + struct.pack("<Q", struct.unpack_from("<Q", message, HEADER.size)[0] & ~mask)

    threading.Thread(target=pump, args=(frontend, ours), daemon=True).start()
    threading.Thread(target=pump, args=(ours, frontend, answer), daemon=True).start()
    sys.exit(device.wait())


if __name__ == "__main__":
    main()
