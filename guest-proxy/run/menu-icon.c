/* SPDX-License-Identifier: MIT */
/* menu-icon: of the theme that all others fall back to, the size that is nearest, or a drawing. A
 * larger picture is made smaller: each pixel is the mean of those that it stands for. */
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
#include "guest-proxy/run/icon-cache.h"
#include "guest-proxy/run/svg-icon.h"

#define FILE_MAX (1u << 20) /* bytes of a file */
#define EDGE_MAX 1024u      /* pixels of what is read */

struct found {
    char path[2 * PATH_MAX];
    int fd; /* owned */
    struct stat st;
    bool drawn; /* it is an SVG file */
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* What is at its path. */
static int found_open(struct found *f)
{
    _cleanup_(fd_closep) int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &f->st) < 0 || !S_ISREG(f->st.st_mode) || f->st.st_size > FILE_MAX)
        return -ENOENT;
    f->drawn = ends_with(f->path, ".svg");
    f->fd = fd_steal(&fd);
    return 0;
}

/* Of sizes the nearest, less those where a drawing looks better. The last ones have what programs
 * of KDE and GNOME name and do not bring themselves: "utilities-terminal". */
static int find_icon(const char *name, struct found *f)
{
#define THEME(size) "icons/hicolor/" size "/apps"
    static const struct {
        const char *folder, *suffix;
    } places[] = {
        {THEME("64x64"), ".png"},
        {THEME("72x72"), ".png"},
        {THEME("96x96"), ".png"},
        {THEME("128x128"), ".png"},
        {THEME("48x48"), ".png"},
        {THEME("256x256"), ".png"},
        {THEME("512x512"), ".png"},
        {THEME("scalable"), ".svg"},
        {THEME("32x32"), ".png"},
        {THEME("24x24"), ".png"},
        {THEME("22x22"), ".png"},
        {THEME("16x16"), ".png"},
        {"pixmaps", ".png"},
        {"pixmaps", ".svg"},
        {"icons/breeze/apps/64", ".svg"},
        {"icons/breeze/apps/48", ".svg"},
        {"icons/Adwaita/48x48/legacy", ".png"},
        {"icons/Adwaita/256x256/legacy", ".png"},
    };
    char data[PATH_MAX];
    size_t at, n = strlen(name);
    if (*name == '/') {
        snprintf(f->path, sizeof(f->path), "%s", name);
        return found_open(f);
    }
    if (!*name || strchr(name, '/'))
        return -ENOENT;
    if (ends_with(name, ".png") || ends_with(name, ".svg") || ends_with(name, ".xpm"))
        n -= 4;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        for (at = 0; desktop_next_data(&at, data, sizeof(data));) {
            snprintf(f->path, sizeof(f->path), "%s/%s/%.*s%s", data, places[i].folder, (int)n, name,
                     places[i].suffix);
            if (found_open(f) == 0)
                return 0;
        }
    }
    return -ENOENT;
}

/* The mean, in which a pixel counts as much as it covers. */
static void shrink(const uint8_t *from, uint32_t width, uint32_t height, struct menu_icon *to)
{
    for (uint32_t y = 0; y < to->size.height; y++) {
        for (uint32_t x = 0; x < to->size.width; x++) {
            uint32_t top = y * height / to->size.height,
                     bottom = (y + 1) * height / to->size.height;
            uint32_t left = x * width / to->size.width, right = (x + 1) * width / to->size.width;
            uint64_t sum[4] = {0}, n = 0;
            for (uint32_t v = top; v < bottom; v++) {
                for (uint32_t u = left; u < right; u++, n++) {
                    const uint8_t *p = from + 4 * ((size_t)v * width + u);
                    for (int c = 0; c < 3; c++)
                        sum[c] += (uint64_t)p[c] * p[3];
                    sum[3] += p[3];
                }
            }
            uint8_t *p = to->pixels + 4 * ((size_t)y * to->size.width + x);
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

/* Takes @fd. 0 or -ENOENT. */
static int decode(int fd, struct menu_icon *ret)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    int r = -ENOENT;
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
            ret->size.width = fit(image.width, longest);
            ret->size.height = fit(image.height, longest);
            shrink(pixels, image.width, image.height, ret);
            r = 0;
        }
    }
    png_image_free(&image);
    free(pixels);
    fclose(file);
    return r;
}

int menu_icon_read(const char *name, struct menu_icon *ret)
{
    static struct found f;
    if (find_icon(name, &f) < 0)
        return -ENOENT;
    if (!f.drawn)
        return decode(f.fd, ret);
    fd_close(f.fd);
    if (!icon_cache_get(f.path, &f.st, &ret->size, ret->pixels)) {
        int png = svg_icon_draw(f.path);
        if (png < 0 || decode(png, ret) < 0)
            ret->size.width = ret->size.height = 0;
        icon_cache_put(f.path, &f.st, &ret->size, ret->pixels);
    }
    return ret->size.width ? 0 : -ENOENT;
}
