/* SPDX-License-Identifier: MIT */
#include "tests/unit/services/pipewire_build.h"

#include <stdlib.h>

uint8_t pw_bytes[80 << 10];
struct pod_writer pw_w;
static size_t all;

void pw_message(void)
{
    pw_w = (struct pod_writer){.bytes = pw_bytes + PIPEWIRE_HEAD,
                               .room = sizeof(pw_bytes) - PIPEWIRE_HEAD};
    all = pod_begin_struct(&pw_w);
}

size_t pw_finish(uint32_t object, uint8_t opcode, uint32_t fds)
{
    pod_end_struct(&pw_w, all);
    struct pipewire_head head = {object, opcode, (uint32_t)pw_w.n, 9, fds};
    pipewire_head_write(pw_bytes, &head);
    if (pw_w.full)
        abort();
    return PIPEWIRE_HEAD + pw_w.n;
}

void pw_ints(const uint32_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pod_write_int(&pw_w, values[i]);
}

void pw_fd(int64_t i)
{
    pod_write(&pw_w, POD_FD, &i, sizeof(i));
}

void pw_id(uint32_t value)
{
    pod_write(&pw_w, POD_ID, &value, sizeof(value));
}

void pw_properties(const char *const *strings)
{
    size_t dict = pod_begin_struct(&pw_w);
    uint32_t n = 0;
    while (strings[2 * n])
        n++;
    pod_write_int(&pw_w, n);
    for (uint32_t i = 0; i < 2 * n; i++)
        pod_write_string(&pw_w, strings[i]);
    pod_end_struct(&pw_w, dict);
}
