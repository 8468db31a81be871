/* SPDX-License-Identifier: MIT */
#pragma once
/* virgl: the engine for Mesa's virgl driver; the only user of virglrenderer. */
#include <stddef.h>

struct loop;
struct engine;

/* Draws on @render_node (a path), or without it in software. There is one in a process, as the
 * library is global. Its memory is given back by ops->destroy(). NULL: errno, with a text. */
struct engine *virgl_create(struct loop *loop, const char *render_node, char *error,
                            size_t error_size);
