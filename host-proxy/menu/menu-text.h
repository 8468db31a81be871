/* SPDX-License-Identifier: MIT */
#pragma once
/* menu-text: an entry of a VM's menu as a file of the host's. All of it but the id is somebody
 * else's text for people, and none of it is run. */
#include <stddef.h>
#include <stdint.h>

#include "protocol/run.h"

#define MENU_TEXT_MAX 8192
#define MENU_NAME_SIZE 32 /* of a file without its folder */

struct menu_style {
    const char *vm;            /* its name */
    const char *title_prefix;  /* before names, as before titles; NULL: (VM) stands behind them */
    const char *app_id_prefix; /* as its windows have it; NULL: none */
};

/* What the files of the entry with that id are called, before their suffix. */
void menu_text_name(const char *id, char name[MENU_NAME_SIZE]);
/* Writes the file's text for ITEM @item with its texts @data. @icon: the path of a picture of ours;
 * NULL: a general one. The number of bytes, or -EINVAL: its id is none. */
int menu_text_write(const struct menu_style *style, const struct run_item *item,
                    const uint8_t *data, uint32_t data_size, const char *icon,
                    char text[MENU_TEXT_MAX]);
