#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program that draws with EGL and, as most do, never says which part of its window is new.

gl_program.py WIDTH HEIGHT FRAMES: one colour, so many times; then a square of another one."""

import ctypes
import sys

WAYLAND = ctypes.CDLL("libwayland-client.so.0")
WINDOW = ctypes.CDLL("libwayland-egl.so.1")
EGL = ctypes.CDLL("libEGL.so.1")
GL = ctypes.CDLL("libGLESv2.so.2")
POINTER = ctypes.c_void_p
for function in (WAYLAND.wl_display_connect, WAYLAND.wl_proxy_marshal_flags, WINDOW.wl_egl_window_create,
                 EGL.eglGetPlatformDisplay, EGL.eglCreateContext, EGL.eglCreateWindowSurface):
    function.restype = POINTER

EGL_PLATFORM_WAYLAND, EGL_OPENGL_ES_API, EGL_NONE, EGL_CONTEXT_CLIENT_VERSION = 0x31d8, 0x30a0, 0x3038, 0x3098
EGL_RED_SIZE, EGL_GREEN_SIZE, EGL_BLUE_SIZE, EGL_SURFACE_TYPE, EGL_WINDOW_BIT = 0x3024, 0x3023, 0x3022, 0x3033, 4
GL_COLOR_BUFFER_BIT, GL_SCISSOR_TEST = 0x4000, 0x0c11
GET_REGISTRY, BIND, CREATE_SURFACE = 1, 0, 0
SQUARE = (16, 16, 32, 32)                   # from below, as GL counts
GLOBAL = ctypes.CFUNCTYPE(None, POINTER, POINTER, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint32)
REMOVE = ctypes.CFUNCTYPE(None, POINTER, POINTER, ctypes.c_uint32)


def create(proxy, opcode, interface, version, *args):
    description = POINTER.in_dll(WAYLAND, f"{interface}_interface")
    return POINTER(WAYLAND.wl_proxy_marshal_flags(proxy, opcode, ctypes.byref(description), version, 0, *args))


def compositor_of(display):
    registry, found = create(display, GET_REGISTRY, "wl_registry", 1, None), []

    def seen(_data, _registry, name, interface, _version):
        if interface == b"wl_compositor":
            found.append(name)
    listener = (ctypes.c_void_p * 2)(ctypes.cast(keep_global := GLOBAL(seen), POINTER),
                                     ctypes.cast(keep_remove := REMOVE(lambda *_: None), POINTER))
    WAYLAND.wl_proxy_add_listener(registry, listener, None)
    WAYLAND.wl_display_roundtrip(display)
    compositor = create(registry, BIND, "wl_compositor", 1, ctypes.c_uint32(found[0]), ctypes.c_char_p(b"wl_compositor"),
                        ctypes.c_uint32(1), None)
    return compositor, (registry, listener, keep_global, keep_remove)


def main():
    width, height, frames = (int(word) for word in sys.argv[1:])
    display = POINTER(WAYLAND.wl_display_connect(None))
    compositor, _keep = compositor_of(display)
    window = POINTER(WINDOW.wl_egl_window_create(create(compositor, CREATE_SURFACE, "wl_surface", 1, None), width, height))
    egl, config, n = POINTER(EGL.eglGetPlatformDisplay(EGL_PLATFORM_WAYLAND, display, None)), POINTER(), ctypes.c_int()
    if not EGL.eglInitialize(egl, None, None) or not EGL.eglBindAPI(EGL_OPENGL_ES_API):
        raise SystemExit("no EGL")
    wanted = (ctypes.c_int * 9)(EGL_SURFACE_TYPE, EGL_WINDOW_BIT, EGL_RED_SIZE, 8, EGL_GREEN_SIZE, 8, EGL_BLUE_SIZE, 8, EGL_NONE)
    EGL.eglChooseConfig(egl, wanted, ctypes.byref(config), 1, ctypes.byref(n))
    context = POINTER(EGL.eglCreateContext(egl, config, None, (ctypes.c_int * 3)(EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE)))
    surface = POINTER(EGL.eglCreateWindowSurface(egl, config, window, None))
    if not EGL.eglMakeCurrent(egl, surface, surface, context):
        raise SystemExit("no context")
    EGL.eglSwapInterval(egl, 0)
    for frame in range(frames + 1):
        GL.glDisable(GL_SCISSOR_TEST)
        GL.glClearColor(*(ctypes.c_float(c) for c in (0, 0, 1, 1)))
        GL.glClear(GL_COLOR_BUFFER_BIT)
        if frame == frames:
            GL.glEnable(GL_SCISSOR_TEST)
            GL.glScissor(*SQUARE)
            GL.glClearColor(*(ctypes.c_float(c) for c in (1, 0, 0, 1)))
            GL.glClear(GL_COLOR_BUFFER_BIT)
        if not EGL.eglSwapBuffers(egl, surface):
            raise SystemExit("a frame cannot be shown")
    WAYLAND.wl_display_roundtrip(display)
    print("drawn", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
