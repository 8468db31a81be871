/* SPDX-License-Identifier: MIT */
/* pod: owns nothing. PipeWire takes some values in place of others (a choice of numbers for a
 * number); here each is what it has to be, or it is none. */
#include "common/services/pod.h"

#include <string.h>

#define HEAD 8u

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

bool pod_read(struct pod_reader *r, struct pod *ret)
{
    size_t left = (size_t)(r->end - r->at);
    uint32_t head[2];
    if (left < HEAD)
        return false;
    memcpy(head, r->at, HEAD);
    if (head[0] > left - HEAD)
        return false;
    *ret = (struct pod){.type = head[1], .body = r->at + HEAD, .size = head[0]};
    size_t whole = padded((size_t)HEAD + head[0]);
    r->at += whole < left ? whole : left;
    return true;
}

/* A value of that type, of @size bytes at least. */
static bool read_typed(struct pod_reader *r, uint32_t type, void *ret, uint32_t size)
{
    struct pod_reader at = *r;
    struct pod pod;
    if (!pod_read(&at, &pod) || pod.type != type || pod.size < size)
        return false;
    memcpy(ret, pod.body, size);
    *r = at;
    return true;
}

bool pod_read_int(struct pod_reader *r, uint32_t *ret)
{
    return read_typed(r, POD_INT, ret, sizeof(*ret));
}

bool pod_read_id(struct pod_reader *r, uint32_t *ret)
{
    return read_typed(r, POD_ID, ret, sizeof(*ret));
}

bool pod_read_long(struct pod_reader *r, uint64_t *ret)
{
    return read_typed(r, POD_LONG, ret, sizeof(*ret));
}

bool pod_read_fd(struct pod_reader *r, int64_t *ret)
{
    return read_typed(r, POD_FD, ret, sizeof(*ret));
}

bool pod_read_string(struct pod_reader *r, const char **ret)
{
    struct pod_reader at = *r;
    struct pod pod;
    if (!pod_read(&at, &pod) || pod.type != POD_STRING || !pod.size ||
        memchr(pod.body, 0, pod.size) != pod.body + pod.size - 1)
        return false;
    *ret = (const char *)pod.body;
    *r = at;
    return true;
}

bool pod_read_struct(struct pod_reader *r, struct pod_reader *ret)
{
    struct pod_reader at = *r;
    struct pod pod;
    if (!pod_read(&at, &pod) || pod.type != POD_STRUCT)
        return false;
    *ret = (struct pod_reader){pod.body, pod.body + pod.size};
    *r = at;
    return true;
}

void pod_write(struct pod_writer *w, uint32_t type, const void *body, uint32_t size)
{
    uint32_t head[2] = {size, type};
    size_t whole = padded((size_t)HEAD + size);
    if (w->full || whole > w->room - w->n) {
        w->full = true;
        return;
    }
    memset(w->bytes + w->n, 0, whole);
    memcpy(w->bytes + w->n, head, HEAD);
    if (size)
        memcpy(w->bytes + w->n + HEAD, body, size);
    w->n += whole;
}

void pod_write_int(struct pod_writer *w, uint32_t value)
{
    pod_write(w, POD_INT, &value, sizeof(value));
}

void pod_write_string(struct pod_writer *w, const char *text)
{
    pod_write(w, POD_STRING, text, (uint32_t)strlen(text) + 1);
}

size_t pod_begin_struct(struct pod_writer *w)
{
    size_t begin = w->n;
    pod_write(w, POD_STRUCT, NULL, 0);
    return begin;
}

void pod_end_struct(struct pod_writer *w, size_t begin)
{
    uint32_t size = (uint32_t)(w->n - begin - HEAD);
    if (!w->full)
        memcpy(w->bytes + begin, &size, sizeof(size));
}

void pod_patch_int(struct pod_writer *w, size_t at, uint32_t value)
{
    if (!w->full)
        memcpy(w->bytes + at + HEAD, &value, sizeof(value));
}
