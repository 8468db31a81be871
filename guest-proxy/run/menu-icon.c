/* SPDX-License-Identifier: MIT */
/* menu-icon: of the theme that all others fall back to, the size that is nearest. A larger picture
 * is made smaller: each pixel is the mean of those that it stands for. */
#include "guest-proxy/run/menu-icon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "guest-proxy/run/desktop-list.h"

#define FILE_MAX (1u << 20) /* bytes of a PNG file */
#define EDGE_MAX 1024u      /* pixels of what is read */

static int open_png(const char *path)
{
    struct stat st;
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return -ENOENT;
    return fd_steal(&fd);
}

/* Owned, or -ENOENT. */
static int find_png(const char *name)
{
    static const char *const sizes[] = {"64x64", "72x72",   "96x96", "128x128",
                                        "48x48", "256x256", "32x32"};
    char data[PATH_MAX], path[2 * PATH_MAX];
    size_t at;
    if (*name == '/')
        return open_png(name);
    if (!*name || strchr(name, '/'))
        return -ENOENT;
    size_t n = strlen(name);
    const char *suffix = n > 4 && strcmp(name + n - 4, ".png") == 0 ? "" : ".png";
    for (size_t i = 0; i <= sizeof(sizes) / sizeof(*sizes); i++) {
        for (at = 0; desktop_next_data(&at, data, sizeof(data));) {
            if (i < sizeof(sizes) / sizeof(*sizes))
                snprintf(path, sizeof(path), "%s/icons/hicolor/%s/apps/%s%s", data, sizes[i], name,
                         suffix);
            else
                snprintf(path, sizeof(path), "%s/pixmaps/%s%s", data, name, suffix);
            int fd = open_png(path);
            if (fd >= 0)
                return fd;
        }
    }
    return -ENOENT;
}

/* The mean, in which a pixel counts as much as it covers. */
static void shrink(const uint8_t *from, uint32_t width, uint32_t height, struct menu_icon *to)
{
    for (uint32_t y = 0; y < to->height; y++) {
        for (uint32_t x = 0; x < to->width; x++) {
            uint32_t top = y * height / to->height, bottom = (y + 1) * height / to->height;
            uint32_t left = x * width / to->width, right = (x + 1) * width / to->width;
            uint64_t sum[4] = {0}, n = 0;
            for (uint32_t v = top; v < bottom; v++) {
                for (uint32_t u = left; u < right; u++, n++) {
                    const uint8_t *p = from + 4 * ((size_t)v * width + u);
                    for (int c = 0; c < 3; c++)
                        sum[c] += (uint64_t)p[c] * p[3];
                    sum[3] += p[3];
                }
            }
            uint8_t *p = to->pixels + 4 * ((size_t)y * to->width + x);
            for (int c = 0; c < 3; c++)
                p[c] = sum[3] ? (uint8_t)(sum[c] / sum[3]) : 0;
            p[3] = n ? (uint8_t)(sum[3] / n) : 0;
        }
    }
}

static uint16_t fit(uint32_t edge, uint32_t longest)
{
    uint32_t n = longest <= RUN_ICON_EDGE_MAX ? edge : edge * RUN_ICON_EDGE_MAX / longest;
    return (uint16_t)(n ? n : 1);
}

int menu_icon_read(const char *name, struct menu_icon *ret)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    int fd = find_png(name), r = -ENOENT;
    if (fd < 0)
        return fd;
    FILE *file = fdopen(fd, "r");
    if (!file) {
        fd_close(fd);
        return -ENOENT;
    }
    uint8_t *pixels = NULL;
    if (png_image_begin_read_from_stdio(&image, file) && image.width <= EDGE_MAX &&
        image.height <= EDGE_MAX) {
        image.format = PNG_FORMAT_RGBA;
        pixels = malloc(PNG_IMAGE_SIZE(image));
        if (pixels && png_image_finish_read(&image, NULL, pixels, 0, NULL)) {
            uint32_t longest = image.width > image.height ? image.width : image.height;
            ret->width = fit(image.width, longest);
            ret->height = fit(image.height, longest);
            shrink(pixels, image.width, image.height, ret);
            r = 0;
        }
    }
    png_image_free(&image);
    free(pixels);
    fclose(file);
    return r;
}
