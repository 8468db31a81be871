/* SPDX-License-Identifier: MIT */
#pragma once
/* display: the sockets on which applications find us. */
#include <stdbool.h>
#include <stddef.h>

struct inherited;
struct loop;
struct display;

/* Listens on what is left of the sockets that systemd handed over (takes them), or on @name: a name
 * in XDG_RUNTIME_DIR, or a path; NULL: wayland-0, or with
 * @private_display one in a folder of its own. NULL with a message in @error. */
struct display *display_create(struct loop *loop, struct inherited *inherited, const char *name,
                               bool private_display, void (*accepted)(void *user, int fd),
                               void *user, char *error, size_t error_size);
void display_destroy(struct display *display); /* removes what it made; accepts NULL */
/* The folder that a private display has for itself, or "". */
const char *display_folder(const struct display *display);
/* What WAYLAND_DISPLAY is to be for our applications: an absolute path. */
const char *display_path(const struct display *display);
