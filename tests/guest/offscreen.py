#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws on the VM's GPU without a window, and looks at what it gets, until the file "enough" is there: offscreen.py FILE writes
how often all was right into FILE, each time.  With "check" as the second argument, it ends with 1 where something was not."""

import ctypes
import os
import sys

import gl
from gl import GL

GL_RGBA, GL_RGB, GL_UNSIGNED_BYTE, GL_NO_ERROR = 0x1908, 0x1907, 0x1401, 0
GL_ANY_SAMPLES_PASSED, GL_QUERY_RESULT, GL_UNPACK_ALIGNMENT = 0x8c2f, 0x8866, 0xcf5
SIZE = 96


def expected(generation):
    """gl.FRAGMENT's colours, the lowest row first."""
    out = bytearray()
    for y in range(SIZE):
        for x in range(SIZE):
            out += bytes(((x * 7 + generation * 31) & 255, (y * 5 + generation) & 255, (x ^ generation ^ y) & 255, 255))
    return bytes(out)


def drawn(picture, generation):
    """Draws, and reads it back: whether the pixels are right, and a query's answer."""
    query, passed = ctypes.c_uint(), ctypes.c_uint()
    GL.glGenQueries(1, ctypes.byref(query))
    GL.glBeginQuery(GL_ANY_SAMPLES_PASSED, query)
    picture.draw(generation)
    GL.glEndQuery(GL_ANY_SAMPLES_PASSED)
    pixels = ctypes.create_string_buffer(SIZE * SIZE * 4)
    GL.glReadPixels(0, 0, SIZE, SIZE, GL_RGBA, GL_UNSIGNED_BYTE, pixels)
    GL.glGetQueryObjectuiv(query, GL_QUERY_RESULT, ctypes.byref(passed))
    GL.glDeleteQueries(1, ctypes.byref(query))
    right = bytes(b | 255 if n % 4 == 3 else b for n, b in enumerate(pixels.raw)) == expected(generation)
    return right and passed.value == 1


def uploaded(width, height, form, size):
    """Gives a texture pixels, a part of them anew, and reads them back."""
    texture, target = ctypes.c_uint(), ctypes.c_uint()
    pixels = bytes((n * 37 + width) & 255 for n in range(width * height * size))
    GL.glPixelStorei(GL_UNPACK_ALIGNMENT, 1)
    GL.glGenTextures(1, ctypes.byref(texture))
    GL.glBindTexture(gl.GL_TEXTURE_2D, texture)
    GL.glTexImage2D(gl.GL_TEXTURE_2D, 0, form, width, height, 0, form, GL_UNSIGNED_BYTE, pixels)
    part = bytes(7 for _ in range(4 * 3 * size))
    GL.glTexSubImage2D(gl.GL_TEXTURE_2D, 0, 5, 6, 4, 3, form, GL_UNSIGNED_BYTE, part)
    GL.glGenFramebuffers(1, ctypes.byref(target))
    GL.glBindFramebuffer(gl.GL_FRAMEBUFFER, target)
    GL.glFramebufferTexture2D(gl.GL_FRAMEBUFFER, gl.GL_COLOR_ATTACHMENT0, gl.GL_TEXTURE_2D, texture, 0)
    back = ctypes.create_string_buffer(width * height * 4)
    GL.glReadPixels(0, 0, width, height, GL_RGBA, GL_UNSIGNED_BYTE, back)
    GL.glDeleteFramebuffers(1, ctypes.byref(target))
    GL.glDeleteTextures(1, ctypes.byref(texture))
    for y in range(height):
        for x in range(width):
            inside = 5 <= x < 9 and 6 <= y < 9
            at = (y * width + x) * size
            wanted = part[:size] if inside else pixels[at:at + size]
            if back.raw[(y * width + x) * 4:][:size] != wanted:
                return False
    return True


def main():
    gpu = gl.Gpu()
    picture = gl.Picture(gpu, SIZE, SIZE)
    right = generation = 0
    while not os.path.exists("enough"):
        generation += 1
        good = drawn(picture, generation) and uploaded(64 + generation % 40, 20, GL_RGBA, 4) and uploaded(33, 31, GL_RGB, 3)
        if not good and sys.argv[2:] == ["check"]:
            raise SystemExit(f"round {generation} is wrong")
        right += good
        with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
            f.write(str(right))
        os.rename(sys.argv[1] + ".new", sys.argv[1])


if __name__ == "__main__":
    main()
