/* SPDX-License-Identifier: MIT */
/* virtqueue: owns the descriptor that notifies the guest; the rings are the guest's, and there only
 * while they are mapped. They are shared with a guest that may change them at any moment: each
 * descriptor and index is read once, into our own memory, and checked there. */
#include "common/vhost-user/virtqueue.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include "common/base/fd.h"
#include "common/vhost-user/guest-ram.h"

void virtqueue_init(struct virtqueue *queue)
{
    *queue = (struct virtqueue){.call = -1};
}

void virtqueue_finish(struct virtqueue *queue)
{
    fd_close(queue->call);
    virtqueue_init(queue);
}

void virtqueue_unmap(struct virtqueue *queue)
{
    queue->desc = NULL;
    queue->avail = NULL;
    queue->used = NULL;
}

/* Both rings end with the index of the other side's event, which is there in any case. */
int virtqueue_map(struct virtqueue *queue, const struct guest_ram *ram)
{
    uint64_t n = queue->size;
    virtqueue_unmap(queue);
    if (n == 0)
        return -EINVAL;
    void *desc = guest_ram_at_uaddr(ram, queue->desc_uaddr, n * sizeof(struct vring_desc));
    void *avail = guest_ram_at_uaddr(ram, queue->avail_uaddr, 4 + 2 * n + 2);
    void *used =
        guest_ram_at_uaddr(ram, queue->used_uaddr, 4 + sizeof(struct vring_used_elem) * n + 2);
    if (!desc || !avail || !used || (uintptr_t)desc % 16 || (uintptr_t)avail % 2 ||
        (uintptr_t)used % 4)
        return -EFAULT;
    queue->desc = desc;
    queue->avail = avail;
    queue->used = used;
    return 0;
}

void virtqueue_start(struct virtqueue *queue, uint16_t base)
{
    queue->last_avail = base;
    queue->used_index = __atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE);
    queue->signalled_valid = false;
    queue->broken = false;
}

/* Adds a descriptor's memory to the chain. */
static bool chain_add(struct virtqueue_chain *chain, const struct guest_ram *ram,
                      const struct vring_desc *d)
{
    bool out = d->flags & VRING_DESC_F_WRITE;
    struct iovec *pieces = out ? chain->out : chain->in;
    unsigned *n = out ? &chain->n_out : &chain->n_in;
    uint64_t gpa = d->addr, left = d->len;
    if (!out && chain->n_out > 0) /* what is read comes before what is written */
        return false;
    if (gpa > UINT64_MAX - left)
        return false;
    while (left > 0) {
        const struct guest_region *r = guest_ram_find(ram, gpa);
        if (!r || *n == VIRTQUEUE_PIECES_MAX)
            return false;
        uint64_t size = r->size - (gpa - r->gpa);
        size = size < left ? size : left;
        pieces[(*n)++] = (struct iovec){.iov_base = r->bytes + (gpa - r->gpa), .iov_len = size};
        gpa += size;
        left -= size;
    }
    *(out ? &chain->out_size : &chain->in_size) += d->len;
    return true;
}

/* Walks a table; it is refused when it has more links than entries (a loop). */
static bool chain_walk(struct virtqueue_chain *chain, const struct guest_ram *ram,
                       const struct vring_desc *table, uint32_t entries, uint16_t first,
                       bool indirect)
{
    uint32_t i = first;
    for (uint32_t links = 0; links < entries; links++) {
        struct vring_desc d;
        if (i >= entries)
            return false;
        memcpy(&d, (const void *)&table[i], sizeof(d));
        if (d.flags & VRING_DESC_F_INDIRECT) {
            uint32_t n = d.len / sizeof(d);
            const struct vring_desc *inner;
            /* One level, at the start of the chain or its end, of whole descriptors. */
            if (indirect || d.flags & VRING_DESC_F_NEXT || d.len == 0 || d.len % sizeof(d) ||
                n > VIRTQUEUE_SIZE_MAX)
                return false;
            inner = guest_ram_at(ram, d.addr, d.len);
            return inner && chain_walk(chain, ram, inner, n, 0, true);
        }
        if (!chain_add(chain, ram, &d))
            return false;
        if (!(d.flags & VRING_DESC_F_NEXT))
            return true;
        i = d.next;
    }
    return false;
}

int virtqueue_pop(struct virtqueue *queue, const struct guest_ram *ram,
                  struct virtqueue_chain *chain)
{
    if (queue->broken || !queue->avail)
        return 0;
    uint16_t available = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE);
    uint16_t waiting = (uint16_t)(available - queue->last_avail);
    if (waiting == 0)
        return 0;
    uint16_t head =
        __atomic_load_n(&queue->avail->ring[queue->last_avail % queue->size], __ATOMIC_RELAXED);
    if (waiting > queue->size || head >= queue->size) {
        queue->broken = true;
        return -EBADMSG;
    }
    queue->last_avail++;
    chain->head = head;
    chain->n_in = chain->n_out = 0;
    chain->in_size = chain->out_size = 0;
    chain->bad = !chain_walk(chain, ram, queue->desc, queue->size, head, false);
    return 1;
}

void virtqueue_unpop(struct virtqueue *queue, uint16_t n)
{
    queue->last_avail = (uint16_t)(queue->last_avail - n);
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
    if (!queue->used)
        return;
    struct vring_used_elem *element = &queue->used->ring[queue->used_index % queue->size];
    element->id = head;
    element->len = written;
    queue->used_index++;
    __atomic_store_n(&queue->used->idx, queue->used_index, __ATOMIC_RELEASE);
}

bool virtqueue_listen(struct virtqueue *queue)
{
    if (queue->broken || !queue->avail)
        return false;
    if (queue->event_index) {
        uint16_t *event = (uint16_t *)(void *)&queue->used->ring[queue->size];
        __atomic_store_n(event, queue->last_avail, __ATOMIC_RELAXED);
    }
    /* What came before the guest could see that we listen would not be announced. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE) != queue->last_avail;
}

/* Never waits: a full pipe or counter means that a notification is on its way already. */
static void virtqueue_call(int fd)
{
    const uint64_t one = 1;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (fd >= 0 && poll(&p, 1, 0) == 1 && p.revents & POLLOUT && write(fd, &one, sizeof(one)) < 0)
        return;
}

void virtqueue_notify(struct virtqueue *queue)
{
    if (!queue->avail)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (queue->event_index) {
        uint16_t event = __atomic_load_n(&queue->avail->ring[queue->size], __ATOMIC_RELAXED);
        uint16_t now = queue->used_index, before = queue->signalled;
        bool valid = queue->signalled_valid;
        if (valid && now == before)
            return;
        queue->signalled = now;
        queue->signalled_valid = true;
        if (valid && !vring_need_event(event, now, before))
            return;
    } else if (__atomic_load_n(&queue->avail->flags, __ATOMIC_RELAXED) &
               VRING_AVAIL_F_NO_INTERRUPT) {
        return;
    }
    virtqueue_call(queue->call);
}

size_t virtqueue_gather(const struct virtqueue_chain *chain, void *bytes, size_t size)
{
    size_t done = 0;
    for (unsigned i = 0; i < chain->n_in && done < size; i++) {
        size_t n = chain->in[i].iov_len < size - done ? chain->in[i].iov_len : size - done;
        memcpy((uint8_t *)bytes + done, chain->in[i].iov_base, n);
        done += n;
    }
    return done;
}

size_t virtqueue_scatter(const struct iovec *out, unsigned n_out, const void *bytes, size_t size)
{
    size_t done = 0;
    for (unsigned i = 0; i < n_out && done < size; i++) {
        size_t n = out[i].iov_len < size - done ? out[i].iov_len : size - done;
        memcpy(out[i].iov_base, (const uint8_t *)bytes + done, n);
        done += n;
    }
    return done;
}
