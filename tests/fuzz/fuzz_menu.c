/* SPDX-License-Identifier: MIT */
/* Entries of a VM's menu as the host writes them: whatever the VM says, a file has one group, each
 * key once, and a command of ours. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-proxy/menu/menu-png.h"
#include "host-proxy/menu/menu-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *line, size_t n, unsigned *seen)
{
    static const char *const keys[] = {"[Desktop Entry]",
                                       "Type=Application",
                                       "Name=",
                                       "GenericName=",
                                       "Comment=",
                                       "Categories=",
                                       "Keywords=",
                                       "TryExec=wayvsock",
                                       "Exec=wayvsock run vm --entry ",
                                       "Icon=",
                                       "Terminal=",
                                       "StartupWMClass=",
                                       "StartupNotify=true",
                                       "X-Wayvsock-VM=vm"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (strncmp(line, keys[i], strlen(keys[i])) != 0)
            continue;
        if (*seen & 1u << i)
            abort();
        *seen |= 1u << i;
        for (size_t k = 0; k < n; k++)
            if ((unsigned char)line[k] < 0x20 || line[k] == 0x7f)
                abort();
        return;
    }
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t png[MENU_PNG_MAX];
    static char text[MENU_TEXT_MAX];
    const struct menu_style style = {.vm = "vm",
                                     .title_prefix = size & 1 ? "[vm] " : NULL,
                                     .app_id_prefix = size & 2 ? "vm." : NULL};
    while (size >= RUN_HEADER_SIZE) {
        unsigned type, seen = 0;
        uint32_t n, rest;
        union run_message m;
        const uint8_t *more;
        if (run_decode_header(data, &type, &n) != RUN_E_OK || n > size - RUN_HEADER_SIZE)
            return 0;
        int e = run_decode(type, data + RUN_HEADER_SIZE, n, &m, &more, &rest);
        if (e == RUN_E_OK && type == RUN_ICON &&
            menu_png_write(more, m.icon.width, m.icon.height, png) > sizeof(png))
            abort();
        if (e == RUN_E_OK && type == RUN_ITEM) {
            int length = menu_text_write(&style, &m.item, more, rest, NULL, text);
            if (length >= 0 && (strlen(text) != (size_t)length || text[length - 1] != '\n'))
                abort();
            for (char *at = text, *end; length > 0 && (end = strchr(at, '\n')); at = end + 1)
                check_line(at, (size_t)(end - at), &seen);
            if (length > 0 && (seen & 0x7) != 0x7)
                abort();
        }
        data += RUN_HEADER_SIZE + n;
        size -= RUN_HEADER_SIZE + n;
    }
    return 0;
}
