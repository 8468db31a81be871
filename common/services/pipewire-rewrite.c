/* SPDX-License-Identifier: MIT */
/* pipewire-rewrite: owns the one buffer that a message is written into: nothing that is called
 * meanwhile looks into another. */
#include "common/services/pipewire-rewrite.h"

#include <string.h>

bool pipewire_begin(struct pod_reader *in, const uint8_t *bytes, size_t size)
{
    struct pod_reader all = {bytes + PIPEWIRE_HEAD, bytes + size};
    return pod_read_struct(&all, in);
}

struct pipewire_rewrite *pipewire_rewrite_begin(const uint8_t *bytes, size_t size)
{
    static struct pipewire_rewrite r;
    r.all = (struct pod_reader){bytes + PIPEWIRE_HEAD, bytes + size};
    r.out = (struct pod_writer){.bytes = r.bytes, .room = sizeof(r.bytes)};
    if (!pod_read_struct(&r.all, &r.in))
        return NULL;
    r.begin = pod_begin_struct(&r.out);
    return &r;
}

bool pipewire_rewrite_keep(struct pod_reader *in, struct pod_writer *out, uint32_t n)
{
    struct pod pod;
    for (; n; n--) {
        if (!pod_read(in, &pod))
            return false;
        pod_write(out, pod.type, pod.body, pod.size);
    }
    return true;
}

int pipewire_rewrite_end(struct service_helper *h, struct pipewire_rewrite *r, uint8_t *bytes,
                         size_t *size, size_t room)
{
    struct pipewire_head head;
    struct pod pod;
    while (pod_read(&r->in, &pod))
        pod_write(&r->out, pod.type, pod.body, pod.size);
    pod_end_struct(&r->out, r->begin);
    while (pod_read(&r->all, &pod))
        pod_write(&r->out, pod.type, pod.body, pod.size);
    if (r->out.full || PIPEWIRE_HEAD + r->out.n > room)
        return helper_fail(h->sink, "pipewire: a message that is too long");
    pipewire_head_read(bytes, &head);
    head.size = (uint32_t)r->out.n;
    pipewire_head_write(bytes, &head);
    memcpy(bytes + PIPEWIRE_HEAD, r->out.bytes, r->out.n);
    *size = PIPEWIRE_HEAD + r->out.n;
    return SERVICE_PASS;
}
