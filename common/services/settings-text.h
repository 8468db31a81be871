/* SPDX-License-Identifier: MIT */
#pragma once
/* settings-text: a service's settings as a person writes them. */
#include <stddef.h>

#include "common/services/settings.h"

/* The keys of a section, NULL-terminated. */
extern const char *const service_keys[];

/* Sets @key. 0, -ENOENT: there is no such key, or -EINVAL with what would be right in @error. */
int service_set(struct service_settings *settings, const char *key, const char *value, char *error,
                size_t error_size);
/* Lines of a preset. 0 or -EINVAL with a message. */
int service_set_lines(struct service_settings *settings, const char *lines, char *error,
                      size_t error_size);
/* What only the whole can show. 0 or -EINVAL with a message. */
int service_settings_check(const struct service_settings *settings, char *error, size_t error_size);
/* A path as it is written, for the VM called @vm: %t is XDG_RUNTIME_DIR, %v the VM, %% a percent
 * sign, and $NAME as a whole what the environment has. 0, or -errno with a message. */
int service_path(const char *written, const char *vm, char *path, size_t size, char *error,
                 size_t error_size);
/* "NAME", "NAME:TYPE", each with "=PATH", as on a command line, into settings that
 * service_settings_init() is called on; *ret_path: into @text, or NULL. 0 or -EINVAL with a
 * message. */
int service_parse(const char *text, struct service_settings *settings, const char **ret_path,
                  char *error, size_t error_size);
