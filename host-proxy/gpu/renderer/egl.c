/* SPDX-License-Identifier: MIT */
/* egl: owns nothing; an image lives during one call, with the renderer's context current.
 * virglrenderer can export a texture, too, but its older versions do not tell the modifier, and all
 * of them have room for one plane only, whatever EGL writes. */
#include "host-proxy/gpu/renderer/egl.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/renderer/engine.h"

/* EGL writes as many of each as an image has planes; no format of DRM has more. */
#define PLANES RENDER_PLANES_MAX

struct functions {
    PFNEGLCREATEIMAGEKHRPROC create_image;
    PFNEGLDESTROYIMAGEKHRPROC destroy_image;
    PFNEGLEXPORTDMABUFIMAGEQUERYMESAPROC query;
    PFNEGLEXPORTDMABUFIMAGEMESAPROC export;
};

static bool egl_has(const char *extensions, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = extensions; at && (at = strstr(at, name)); at += length) {
        if ((at == extensions || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return true;
    }
    return false;
}

/* EGL has a function of every name, but not everything behind it. */
static bool egl_find_functions(EGLDisplay display, struct functions *ret)
{
    const char *extensions = eglQueryString(display, EGL_EXTENSIONS);
    if (!egl_has(extensions, "EGL_KHR_image_base") ||
        !egl_has(extensions, "EGL_KHR_gl_texture_2D_image") ||
        !egl_has(extensions, "EGL_MESA_image_dma_buf_export"))
        return false;
    ret->create_image = (PFNEGLCREATEIMAGEKHRPROC)eglGetProcAddress("eglCreateImageKHR");
    ret->destroy_image = (PFNEGLDESTROYIMAGEKHRPROC)eglGetProcAddress("eglDestroyImageKHR");
    ret->query =
        (PFNEGLEXPORTDMABUFIMAGEQUERYMESAPROC)eglGetProcAddress("eglExportDMABUFImageQueryMESA");
    ret->export = (PFNEGLEXPORTDMABUFIMAGEMESAPROC)eglGetProcAddress("eglExportDMABUFImageMESA");
    return ret->create_image && ret->destroy_image && ret->query && ret->export;
}

/* A descriptor, or -1. */
static int egl_export_image(const struct functions *f, EGLDisplay display, EGLImageKHR image,
                            struct render_layout *ret_layout)
{
    int fourcc = 0, planes = 0, fds[PLANES] = {-1, -1, -1, -1};
    EGLuint64KHR modifiers[PLANES] = {0};
    EGLint strides[PLANES] = {0}, offsets[PLANES] = {0};
    if (!f->query(display, image, &fourcc, &planes, NULL) || planes != 1 ||
        !f->query(display, image, &fourcc, &planes, modifiers) || planes != 1 ||
        !f->export(display, image, fds, strides, offsets))
        return -1;
    if (fds[0] < 0 || fds[1] >= 0 || strides[0] <= 0 || offsets[0] < 0) {
        for (unsigned i = 0; i < PLANES; i++)
            fd_close(fds[i]);
        return -1;
    }
    *ret_layout = (struct render_layout){.fourcc = (uint32_t)fourcc,
                                         .modifier = modifiers[0],
                                         .n_planes = 1,
                                         .offset = {(uint32_t)offsets[0]},
                                         .stride = {(uint32_t)strides[0]}};
    return fds[0];
}

int egl_export(uint32_t texture, struct render_layout *ret_layout)
{
    static const EGLint attributes[] = {EGL_IMAGE_PRESERVED_KHR, EGL_TRUE, EGL_NONE};
    EGLDisplay display = eglGetCurrentDisplay();
    struct functions f;
    if (display == EGL_NO_DISPLAY || !egl_find_functions(display, &f))
        return -ENOTSUP;
    EGLImageKHR image = f.create_image(display, eglGetCurrentContext(), EGL_GL_TEXTURE_2D_KHR,
                                       (EGLClientBuffer)(uintptr_t)texture, attributes);
    if (image == EGL_NO_IMAGE_KHR)
        return -ENOTSUP;
    int fd = egl_export_image(&f, display, image, ret_layout);
    f.destroy_image(display, image);
    return fd < 0 ? -ENOTSUP : fd;
}
