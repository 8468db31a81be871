/* SPDX-License-Identifier: MIT */
#pragma once
/* virtqueue: one split virtqueue, the device's side. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct guest_ram;
struct vring_desc;
struct vring_avail;
struct vring_used;

#define VIRTQUEUE_SIZE_MAX 1024u
#define VIRTQUEUE_PIECES_MAX                                                                       \
    2048u /* pieces of one request: a descriptor may lie across two regions */

struct virtqueue {
    uint32_t size; /* entries; a power of two */
    uint64_t desc_uaddr, avail_uaddr, used_uaddr;
    struct vring_desc *desc; /* in the guest's memory, NULL while not running */
    struct vring_avail *avail;
    struct vring_used *used;
    uint16_t last_avail; /* requests taken */
    uint16_t used_index; /* requests given back */
    uint16_t signalled;  /* used_index at the last notification */
    bool signalled_valid;
    bool event_index; /* VIRTIO_RING_F_EVENT_IDX was negotiated */
    bool broken; /* the guest's ring makes no sense: nothing is taken until it is set up again */
    int call;    /* owned; -1: the guest is not notified */
};

/* One request: what the guest wrote and where it waits for an answer, both in its memory. */
struct virtqueue_chain {
    uint16_t head;
    bool bad; /* not to be executed, only given back: loops, leaves the memory, wrong order, … */
    unsigned n_in, n_out;
    size_t in_size, out_size;
    struct iovec in[VIRTQUEUE_PIECES_MAX], out[VIRTQUEUE_PIECES_MAX];
};

void virtqueue_init(struct virtqueue *queue);
void virtqueue_finish(struct virtqueue *queue);
/* Finds the ring in memory. 0 or -EFAULT (not all of it there, or not aligned), -EINVAL (no size).
 */
int virtqueue_map(struct virtqueue *queue, const struct guest_ram *ram);
void virtqueue_unmap(struct virtqueue *queue);
/* From here on: @base requests have been taken. Takes the used index from memory. The ring is
 * mapped. */
void virtqueue_start(struct virtqueue *queue, uint16_t base);

/* Takes the next request. 1, 0: none, -EBADMSG: the ring is broken from now on. */
int virtqueue_pop(struct virtqueue *queue, const struct guest_ram *ram,
                  struct virtqueue_chain *ret_chain);
/* Puts the last @n requests that were taken, and not given back, into the ring again. */
void virtqueue_unpop(struct virtqueue *queue, uint16_t n);
/* Gives a request back, @written bytes of the answer being there. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);
/* Asks to be told of new requests; true if there are some already. */
bool virtqueue_listen(struct virtqueue *queue);
/* Notifies the guest if it wants to know of what has been given back. */
void virtqueue_notify(struct virtqueue *queue);

/* Copies between a request's pieces and @bytes. Returns how many. */
size_t virtqueue_gather(const struct virtqueue_chain *chain, void *bytes, size_t size);
size_t virtqueue_scatter(const struct iovec *out, unsigned n_out, const void *bytes, size_t size);
