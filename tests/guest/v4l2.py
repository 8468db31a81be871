#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""v4l2.py SOCKET GENERATION…: as draw.py, but each generation is a frame that the driver vivid has captured, in a dmabuf of its own:
it is shown, and passed to the service at that socket. The file frame-GENERATION has its bytes."""

import fcntl
import glob
import mmap
import os
import socket
import struct
import sys

import dmabuf
import draw

WIDTH, HEIGHT, BUFFERS = 1280, 720, 4
CAPTURE, MMAP, XR24 = 1, 1, 0x34325258          # V4L2_BUF_TYPE_…, V4L2_MEMORY_…, V4L2_PIX_FMT_XBGR32: blue, green, red, none
QUERYCAP, S_FMT, REQBUFS, QUERYBUF, QBUF, EXPBUF, DQBUF, STREAMON, S_PARM = (
    0x80685600, 0xc0d05605, 0xc0145608, 0xc0585609, 0xc058560f, 0xc0405610, 0xc0585611, 0x40045612, 0xc0cc5616)


class Camera:
    """vivid's camera, which takes five pictures a second, each with the time in it. .frames: its buffers."""

    def __init__(self):
        self.fd = next((fd for fd in map(self._open, sorted(glob.glob("/dev/video*"))) if fd is not None), None)
        if self.fd is None:
            raise SystemExit("no vivid")
        form = bytearray(struct.pack("<I4x5I", CAPTURE, WIDTH, HEIGHT, XR24, 1, 0).ljust(208, b"\0"))
        fcntl.ioctl(self.fd, S_FMT, form)
        width, height, fourcc, _, stride, size = struct.unpack_from("<6I", form, 8)
        assert (width, height, fourcc, stride) == (WIDTH, HEIGHT, XR24, WIDTH * 4), (width, height, hex(fourcc), stride)
        fcntl.ioctl(self.fd, S_PARM, bytearray(struct.pack("<I4I", CAPTURE, 0, 0, 1, 5).ljust(204, b"\0")))
        fcntl.ioctl(self.fd, REQBUFS, bytearray(struct.pack("<5I", BUFFERS, CAPTURE, MMAP, 0, 0)))
        self.frames = [Frame(self.fd, index, size) for index in range(BUFFERS)]
        for frame in self.frames:
            self.give(frame)
        fcntl.ioctl(self.fd, STREAMON, struct.pack("<i", CAPTURE))

    @staticmethod
    def _open(path):
        fd = os.open(path, os.O_RDWR)
        capabilities = bytearray(104)
        fcntl.ioctl(fd, QUERYCAP, capabilities)
        if capabilities.startswith(b"vivid\0") and struct.unpack_from("<I", capabilities, 88)[0] & 1:
            return fd
        os.close(fd)
        return None

    def give(self, frame):
        fcntl.ioctl(self.fd, QBUF, buffer(frame.index))

    def take(self):
        taken = buffer(0)
        fcntl.ioctl(self.fd, DQBUF, taken)
        return self.frames[struct.unpack_from("<I", taken)[0]]


def buffer(index):
    return bytearray(struct.pack("<II52xI24x", index, CAPTURE, MMAP))


class Frame:
    def __init__(self, camera, index, size):
        self.index, self.offset, self.stride, self.wl = index, 0, WIDTH * 4, None
        where = buffer(index)
        fcntl.ioctl(camera, QUERYBUF, where)
        self.map = mmap.mmap(camera, size, offset=struct.unpack_from("<I", where, 64)[0])
        export = bytearray(struct.pack("<4Ii44x", CAPTURE, index, 0, os.O_RDWR | os.O_CLOEXEC, -1))
        fcntl.ioctl(camera, EXPBUF, export)
        self.fd = struct.unpack_from("<i", export, 16)[0]


class Window(dmabuf.Window):
    def __init__(self, client):
        super().__init__(client)
        self.camera, self.shown = Camera(), None
        self.service = socket.socket(socket.AF_UNIX)
        self.service.connect(sys.argv[1])

    def draw(self, generation):
        frame = self.camera.take()
        with open("frame", "wb") as f:
            f.write(frame.map[:WIDTH * HEIGHT * 4])
        os.rename("frame", f"frame-{generation}")
        if not frame.wl:
            frame.wl = self.buffer(frame, WIDTH, HEIGHT)
            assert not self.failed
        self.show(frame.wl, (0, 0, WIDTH, HEIGHT))
        socket.send_fds(self.service, [b"d"], [frame.fd])
        assert self.service.recv(1) == b"h"
        if self.shown:
            self.camera.give(self.shown)
        self.shown = frame
        print(f"drawn {generation}", flush=True)


if __name__ == "__main__":
    draw.main(Window, sys.argv[2:])
