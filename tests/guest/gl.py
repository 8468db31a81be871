#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As draw.py, but the pattern is drawn by the VM's GPU (GLES, virgl), and never in the guest's memory."""

import ctypes

import dmabuf
import draw

EGL = ctypes.CDLL("libEGL.so.1")
GBM = ctypes.CDLL("libgbm.so.1")
GL = ctypes.CDLL("libGLESv2.so.2")
POINTER = ctypes.c_void_p
for function in (GBM.gbm_create_device, GBM.gbm_bo_create, EGL.eglGetPlatformDisplay, EGL.eglCreateContext, EGL.eglGetProcAddress,
                 EGL.eglCreateImage):
    function.restype = POINTER
GL.glGetString.restype = ctypes.c_char_p

EGL_NONE, EGL_PLATFORM_GBM, EGL_OPENGL_ES_API, EGL_CONTEXT_CLIENT_VERSION = 0x3038, 0x31d7, 0x30a0, 0x3098
EGL_LINUX_DMA_BUF, EGL_WIDTH, EGL_HEIGHT, EGL_FOURCC, EGL_FD, EGL_OFFSET, EGL_PITCH = (
    0x3270, 0x3057, 0x3056, 0x3271, 0x3272, 0x3273, 0x3274)
GBM_RENDERING = 4
GL_TEXTURE_2D, GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_FRAMEBUFFER_COMPLETE = 0xde1, 0x8d40, 0x8ce0, 0x8cd5
GL_VERTEX_SHADER, GL_FRAGMENT_SHADER, GL_TRIANGLES, GL_RENDERER, GL_LINK_STATUS = 0x8b31, 0x8b30, 4, 0x1f01, 0x8b82

# One triangle over everything; draw.channels() in another language.
VERTEX = b"""#version 300 es
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1); }
"""
FRAGMENT = b"""#version 300 es
precision highp float;
precision highp int;
uniform int generation;
out vec4 colour;
void main()
{
    ivec2 p = ivec2(gl_FragCoord.xy);
    ivec3 c = ivec3(p.x * 7 + generation * 31, p.y * 5 + generation, p.x ^ generation ^ p.y) & 255;
    colour = vec4(vec3(c) / 255.0, 1);
}
"""


def egl_list(cls, *values):
    return (cls * (len(values) + 1))(*values, EGL_NONE)


class Gpu:
    """A context on the VM's virtio-gpu."""

    def __init__(self):
        self.gbm = POINTER(GBM.gbm_create_device(dmabuf.card("virtio_gpu", "renderD")))
        self.display = POINTER(EGL.eglGetPlatformDisplay(EGL_PLATFORM_GBM, self.gbm, None))
        if not EGL.eglInitialize(self.display, None, None) or not EGL.eglBindAPI(EGL_OPENGL_ES_API):
            raise SystemExit("no EGL")
        context = POINTER(EGL.eglCreateContext(self.display, None, None, egl_list(ctypes.c_int, EGL_CONTEXT_CLIENT_VERSION, 3)))
        if not EGL.eglMakeCurrent(self.display, None, None, context):
            raise SystemExit("no context")
        self.renderer = GL.glGetString(GL_RENDERER).decode()
        self.image_target = ctypes.CFUNCTYPE(None, ctypes.c_uint, POINTER)(
            EGL.eglGetProcAddress(b"glEGLImageTargetTexture2DOES"))
        program = GL.glCreateProgram()
        for kind, source in ((GL_VERTEX_SHADER, VERTEX), (GL_FRAGMENT_SHADER, FRAGMENT)):
            shader = GL.glCreateShader(kind)
            GL.glShaderSource(shader, 1, ctypes.byref(ctypes.c_char_p(source)), None)
            GL.glCompileShader(shader)
            GL.glAttachShader(program, shader)
        GL.glLinkProgram(program)
        linked = ctypes.c_int()
        GL.glGetProgramiv(program, GL_LINK_STATUS, ctypes.byref(linked))
        if not linked.value:
            raise SystemExit("the shader does not compile")
        GL.glUseProgram(program)
        self.generation = GL.glGetUniformLocation(program, b"generation")


class Picture:
    """A buffer of the GPU to draw on, as a dmabuf."""

    def __init__(self, gpu, width, height):
        self.gpu, self.width, self.height = gpu, width, height
        bo = POINTER(GBM.gbm_bo_create(gpu.gbm, width, height, dmabuf.XR24, GBM_RENDERING))
        self.fd, self.stride, self.offset = GBM.gbm_bo_get_fd(bo), GBM.gbm_bo_get_stride(bo), 0
        image = POINTER(EGL.eglCreateImage(gpu.display, None, EGL_LINUX_DMA_BUF, None, egl_list(
            ctypes.c_ssize_t, EGL_WIDTH, width, EGL_HEIGHT, height, EGL_FOURCC, dmabuf.XR24, EGL_FD, self.fd, EGL_OFFSET, 0,
            EGL_PITCH, self.stride)))
        texture, self.target = ctypes.c_uint(), ctypes.c_uint()
        GL.glGenTextures(1, ctypes.byref(texture))
        GL.glBindTexture(GL_TEXTURE_2D, texture)
        gpu.image_target(GL_TEXTURE_2D, image)
        GL.glGenFramebuffers(1, ctypes.byref(self.target))
        self.bind()
        GL.glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0)
        if GL.glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE:
            raise SystemExit("the GPU does not draw on its own buffer")

    def bind(self):
        GL.glBindFramebuffer(GL_FRAMEBUFFER, self.target)
        GL.glViewport(0, 0, self.width, self.height)

    def draw(self, generation):
        """Begins to; whoever reads the dmabuf has to wait for its fence."""
        self.bind()
        GL.glUniform1i(self.gpu.generation, generation)
        GL.glDrawArrays(GL_TRIANGLES, 0, 3)
        GL.glFlush()


class Window(dmabuf.Window):
    def __init__(self, client):
        super().__init__(client)
        self.gpu = Gpu()
        self.pictures = {}
        print("renderer", self.gpu.renderer, flush=True)

    def draw(self, generation):
        width, height = self.size
        if self.size not in self.pictures:
            picture = Picture(self.gpu, width, height)
            self.pictures[self.size] = picture, self.buffer(picture, width, height)
        picture, buffer = self.pictures[self.size]
        picture.draw(generation)
        self.show(buffer, (0, 0, width, height))
        print(f"drawn {generation} {width}x{height}", flush=True)


if __name__ == "__main__":
    draw.main(Window)
