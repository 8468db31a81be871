#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As draw.py, but each generation is a frame that GStreamer's waylandsink shows: a dmabuf, by `create`. Its
messages go to the file "wire"."""

import os
import sys
import time

import gi
import dmabuf
import draw

gi.require_version("Gst", "1.0")
gi.require_version("GstAllocators", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstAllocators, GstApp, GstVideo  # noqa: E402,F401

SIZE = (1280, 720)


def frame(allocator, generation):
    width, height = SIZE
    memory = list(dmabuf.KINDS.values())[generation % len(dmabuf.KINDS)](width, height)
    pixels = draw.shm_pixels(width, height, generation)
    for y in range(height):
        at = memory.offset + y * memory.stride
        memory.map[at:at + width * 4] = pixels[y * width * 4:(y + 1) * width * 4]
    buffer = Gst.Buffer.new()
    buffer.append_memory(GstAllocators.DmaBufAllocator.alloc(allocator, os.dup(memory.fd), len(memory.map)))
    GstVideo.buffer_add_video_meta_full(buffer, GstVideo.VideoFrameFlags.NONE, GstVideo.VideoFormat.BGRX, width, height, 1,
                                        [memory.offset, 0, 0, 0], [memory.stride, 0, 0, 0])
    return buffer


def main():
    os.dup2(os.open("wire", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), 2)
    os.environ["WAYLAND_DEBUG"] = "client"
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "appsrc name=source format=time is-live=true caps=video/x-raw,format=BGRx,framerate=0/1,"
        f"width={SIZE[0]},height={SIZE[1]} ! waylandsink name=sink sync=false")
    source, allocator = pipeline.get_by_name("source"), GstAllocators.DmaBufAllocator.new()
    pipeline.set_state(Gst.State.PLAYING)
    bus = pipeline.get_bus()
    for generation in map(int, sys.argv[1:]):
        while not os.path.exists(str(generation)):
            message = bus.timed_pop_filtered(0, Gst.MessageType.ERROR)
            if message:
                raise SystemExit(message.parse_error())
            time.sleep(0.1)
        for _ in range(2):  # the second is for the size that the compositor wanted at the first
            source.emit("push-buffer", frame(allocator, generation))
            time.sleep(0.2)
    message = bus.timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR)
    raise SystemExit(message.parse_error())


if __name__ == "__main__":
    main()
