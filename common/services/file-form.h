/* SPDX-License-Identifier: MIT */
#pragma once
/* file-form: what a file or memfd is besides its content: seals, access mode, offset. */
#include "protocol/frames.h"

struct memory;

/* What @fd, a readable file, is like. @ret has no id. */
void file_form_of(int fd, struct link_vfd_form *ret);
/* A memfd like that with the content of @memory: owned, or -errno. */
int file_form_make(const struct memory *memory, const struct link_vfd_form *form);
