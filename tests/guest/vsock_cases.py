# SPDX-License-Identifier: MIT
"""Runs in a guest, by vsock_peer.py: what programs may ask of a vsock socket. Each function returns what it has seen."""

import ctypes
import errno
import fcntl
import select
import socket
import struct
import subprocess
import time

HOST = 2
SIOCOUTQ = 0x5411
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
libc = ctypes.CDLL(None, use_errno=True)
kept = []


def connect(port, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_VSOCK, kind)
    s.settimeout(60)
    s.connect((HOST, port))
    return s


def number(call, *args):
    """The error's number; 0: there is none."""
    try:
        call(*args)
        return 0
    except OSError as e:
        return e.errno


def all_of(s, size):
    data = b""
    while len(data) < size and (more := s.recv(size - len(data))):
        data += more
    return data.decode()


def bad_buffer(call, s, size, flags=0):
    """The error of a call whose buffer is no memory."""
    ctypes.set_errno(0)
    r = getattr(libc, call)(s.fileno(), ctypes.c_void_p(8), ctypes.c_size_t(size), flags)
    return ctypes.get_errno() if r < 0 else 0


def receive_within(s, seconds, microseconds):
    """Python gives vsock sockets numbers only as their options."""
    libc.setsockopt(s.fileno(), socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, microseconds), 16)


def peek(port, kind):
    """What MSG_PEEK shows is still there, in parts and as a whole."""
    with connect(port, kind) as s:
        s.sendall(b"?")
        first = s.recv(100, socket.MSG_PEEK).decode()
        return [first, s.recv(3, socket.MSG_PEEK).decode(), s.recv(100, socket.MSG_PEEK).decode(), s.recv(100).decode()]


def shut(port, how):
    """What reading and writing say after a shutdown, and what had come before it."""
    with connect(port) as s:
        s.sendall(b"?")
        came = all_of(s, 5)
        s.shutdown(how)
        writing = number(s.send, b"x")
        s.settimeout(2)
        try:
            reading = s.recv(10).decode() if how != socket.SHUT_WR else "not tried"
        except OSError as e:
            reading = type(e).__name__
        if how == socket.SHUT_RD:
            kept.append(s.dup())
        return [came, writing, reading]


def writes_after_the_end(port):
    """The other side has gone: writing fails in the end, and with EPIPE from then on."""
    with connect(port) as s:
        s.sendall(b"?")
        end = s.recv(10).decode()
        deadline = time.monotonic() + 20
        while (e := number(s.send, b"x")) == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        return [end, e in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN), number(s.send, b"x") == errno.EPIPE]


def low_water(port, mark):
    """poll() waits until SO_RCVLOWAT bytes are there; how many it sees at once."""
    with connect(port) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, mark)
        poll = select.poll()
        poll.register(s, select.POLLIN)
        s.sendall(b"1")
        early = poll.poll(500)
        s.sendall(b"2")
        poll.poll(20000)
        return [len(early), len(s.recv(mark, socket.MSG_PEEK))]


def room(port, size, mark):
    """A reader that wants much at once, with a buffer that just has it, hears of all of it."""
    with connect(port) as s:
        s.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_MAX_SIZE, mark)
        s.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_SIZE, mark)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, mark // 2)
        s.sendall(b"?")
        n = 0
        while data := s.recv(mark):
            n += len(data)
        return n == size


def bad_buffers(port, kind):
    """Memory that is none, for receiving and for sending; then, what the next bytes are."""
    with connect(port, kind) as s:
        s.sendall(b"?")
        s.recv(1, socket.MSG_PEEK)
        errors = [bad_buffer("recv", s, 100), bad_buffer("send", s, 100)]
        s.settimeout(1)
        try:
            while s.recv(100):
                pass
        except TimeoutError:
            pass
        s.settimeout(60)
        s.sendall(b"!")
        return [[e in (errno.EFAULT, errno.ENOMEM) for e in errors], all_of(s, 5) if kind == socket.SOCK_STREAM else s.recv(5).decode()]


def unsent(port):
    """SIOCOUTQ: nothing waits once the other side has it. None: this kernel cannot tell."""
    with connect(port) as s:
        s.sendall(bytes(1000))
        s.recv(1)
        deadline = time.monotonic() + 20
        try:
            while (n := struct.unpack("i", fcntl.ioctl(s, SIOCOUTQ, bytes(4)))[0]) and time.monotonic() < deadline:
                time.sleep(0.01)
            return n
        except OSError:
            return None


def uncopied(port, sizes, kind):
    """MSG_ZEROCOPY. None: this kernel has none for vsock."""
    with connect(port, kind) as s:
        if number(s.setsockopt, socket.SOL_SOCKET, SO_ZEROCOPY, 1):
            return None
        good = []
        for size in sizes:
            data = bytes((i * 13 + size) & 255 for i in range(256)) * (size // 256 + 1)
            data, at, came = data[:size], 0, b""
            while at < size:
                at += s.send(data[at:], MSG_ZEROCOPY)
            while len(came) < size and (more := s.recv(size)):
                came += more
            good.append(came == data)
        return good


def source_port(port, mine):
    """A port of its own choice, which is taken then; what the host heard comes back."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s, socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as other:
        s.settimeout(60)
        s.bind((socket.VMADDR_CID_ANY, mine))
        s.connect((HOST, port))
        s.sendall(b"?")
        return [s.recv(5).decode(), number(other.bind, (socket.VMADDR_CID_ANY, mine))]


def again(port, there):
    """A connection that was refused may be tried again with the same socket."""
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    with s:                                     # and waits in connect()
        first = number(s.connect, (HOST, port))
        return [first, number(s.connect, (HOST, there))]


def at_once(port):
    """connect() that does not wait, and poll()."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        s.setblocking(False)
        first = s.connect_ex((HOST, port))
        poll = select.poll()
        poll.register(s, select.POLLOUT)
        poll.poll(20000)
        return [first in (0, errno.EINPROGRESS), s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]


def cut_message(port):
    """A message that is longer than the buffer is cut, its size told with MSG_TRUNC, and the next one whole."""
    with connect(port, socket.SOCK_SEQPACKET) as s:
        s.sendall(b"?")
        buffer = ctypes.create_string_buffer(4)
        s.recv(1, socket.MSG_PEEK)              # waits, which a call past Python does not
        n = libc.recv(s.fileno(), buffer, ctypes.c_size_t(4), socket.MSG_TRUNC)
        return [n, buffer.raw.decode(), s.recv(100).decode()]


def late_message(port):
    """SO_RCVTIMEO while nothing comes, and the message after all."""
    with connect(port, socket.SOCK_SEQPACKET) as s:
        s.settimeout(None)
        receive_within(s, 0, 300000)
        first = number(s.recv, 100)
        receive_within(s, 60, 0)
        s.sendall(b"?")
        return [first in (errno.EAGAIN, errno.ETIMEDOUT), s.recv(100).decode()]


def large_message(port):
    """One that is larger than the host has room for is refused where it is sent."""
    with connect(port, socket.SOCK_SEQPACKET) as s:
        e = number(s.send, bytes(4 << 20))
        s.sendall(b"small")
        return [e, s.recv(100).decode()]


def ends_of_messages(port):
    """Messages before an end all come, then the end."""
    with connect(port, socket.SOCK_SEQPACKET) as s:
        s.sendall(b"?")
        s.shutdown(socket.SHUT_WR)
        came = []
        while data := s.recv(100000):
            came.append(len(data))
        return came


def in_a_while(command):
    """A shell command that may take the connection away over which it was asked for."""
    subprocess.Popen(["sh", "-c", f"sleep 1; {command}"], stdin=subprocess.DEVNULL)
    return None


def held(port):
    """A connection that stays open meanwhile."""
    kept.append(connect(port))
    kept[-1].sendall(b"?")
    return all_of(kept[-1], 5)


def how_it_ended():
    """What reading from it says: an error's number, or "" for the end, or "more"."""
    s = kept.pop()
    try:
        return "more" if s.recv(10) else ""
    except OSError as e:
        return e.errno


def can(path):
    """What a file of the kernel's says, or "" if there is none."""
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def since_boot():
    with open("/proc/sys/kernel/random/boot_id") as f:
        return f.read()
