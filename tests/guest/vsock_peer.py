#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs in a guest: does with its vsock what the host's test asks for, a line of JSON each, and answers with one."""

import errno
import hashlib
import json
import socket
import sys
import threading
import time

import vsock_cases

HOST, CONTROL, ECHO = 2, 2000, 2001


def connect(port, kind=socket.SOCK_STREAM, cid=HOST):
    s = socket.socket(socket.AF_VSOCK, kind)
    s.settimeout(60)
    s.connect((cid, port))
    return s


def pattern(size, seed):
    return bytes((i * 7 + seed + (i >> 8)) & 255 for i in range(4096)) * (size // 4096) + bytes(size % 4096)


def read_all(s):
    """Until the end; (bytes, their digest)."""
    n, digest = 0, hashlib.sha256()
    while data := s.recv(1 << 18):
        n += len(data)
        digest.update(data)
    return n, digest.hexdigest()


def refused(port, cid=HOST):
    """The error's number; 0: it was accepted."""
    try:
        connect(port, cid=cid).close()
        return 0
    except OSError as e:
        return e.errno


def question(port, text):
    """Sends, shuts its side, and reads the answer."""
    with connect(port) as s:
        s.sendall(text.encode())
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while data := s.recv(4096):
            answer += data
        return answer.decode()


def send(port, size, seed=1, shut=True):
    """Sends, and closes without waiting for anything."""
    with connect(port) as s:
        s.sendall(pattern(size, seed))
        if shut:
            s.shutdown(socket.SHUT_WR)
            s.recv(1)
    return hashlib.sha256(pattern(size, seed)).hexdigest()


def receive(port):
    with connect(port) as s:
        return read_all(s)


def both(port, size):
    """Sends and receives at once; (what was sent, what came)."""
    with connect(port) as s:
        sent = []
        sender = threading.Thread(target=lambda: (s.sendall(pattern(size, 3)), s.shutdown(socket.SHUT_WR), sent.append(1)))
        sender.start()
        came = read_all(s)
        sender.join()
    return hashlib.sha256(pattern(size, 3)).hexdigest(), came


def many(port, n):
    """So many connections at once; what each echoes."""
    sockets = [connect(port) for _ in range(n)]
    for i, s in enumerate(sockets):
        s.sendall(f"hello {i}".encode())
    good = sum(s.recv(100) == f"hello {i}".encode() for i, s in enumerate(sockets))
    for s in sockets:
        s.close()
    return good


def messages(port, sizes):
    """Messages of these sizes, which come back; what came."""
    with connect(port, socket.SOCK_SEQPACKET) as s:
        came = []
        for size in sizes:
            s.sendall(pattern(size, size))
            came.append(s.recv(1 << 20) == pattern(size, size))
        return came


def ping(port, n):
    with connect(port) as s:
        for _ in range(n):
            s.sendall(b"x" * 64)
            got = b""
            while len(got) < 64:
                data = s.recv(64 - len(got))
                if not data:                    # as Linux shows a reset to a reader
                    raise ConnectionResetError(errno.ECONNRESET, "the end instead of an answer")
                got += data
        return n


def stalled(port, size):
    """Sends to somebody who does not read yet: how much goes before it would wait."""
    s = connect(port)
    s.settimeout(1)
    sent = 0
    try:
        while sent < size:
            sent += s.send(bytes(4096))
    except TimeoutError:
        pass
    held.append(s)
    return sent


def release():
    """Closes what stalled() holds."""
    while held:
        held.pop().close()


def load(port, bulk):
    """From now on, until finish(): connections that talk for a while, and one that sends all the time."""
    def talk():
        while not ended.is_set():
            try:
                ping(port, 5)
                counts["talks"] += 1
            except OSError as e:
                counts["errors"].append(e.errno)

    def flood():
        while not ended.is_set():
            try:
                with connect(bulk) as s:
                    while not ended.is_set():
                        s.sendall(bytes(65536))
            except OSError as e:
                counts["errors"].append(e.errno)
    ended.clear()
    for work in (talk, talk, flood):
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()


def talks():
    return counts["talks"]


def finish():
    """The numbers of the errors that load() has seen, once each."""
    ended.set()
    while threads:
        threads.pop().join(60)
    return sorted(set(counts["errors"]))


counts, ended, threads = {"talks": 0, "errors": []}, threading.Event(), []
held = []


def echo(s):
    """What comes, and "end" when nothing more does."""
    with s:
        try:
            while data := s.recv(1 << 16):
                s.sendall(data)
            s.sendall(b"end")
        except OSError:
            pass


def serve(port, serve_one):
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((socket.VMADDR_CID_ANY, port))
    listener.listen(200)

    def run():
        while True:
            s = listener.accept()[0]
            threading.Thread(target=serve_one, args=(s,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()


def control(s):
    for line in s.makefile():
        name, args = json.loads(line)
        try:
            answer = (globals().get(name) or getattr(vsock_cases, name))(*args)
        except Exception as e:  # the test sees it
            answer = f"{type(e).__name__}: {e}"
        s.sendall((json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    serve(ECHO, echo)
    serve(CONTROL, control)
    print("ready", flush=True)
    time.sleep(float(sys.argv[1]))
