/* SPDX-License-Identifier: MIT */
/* Split rings as a driver may lay them out, in every wrong way too. */
#include "tests/unit/support.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <linux/virtio_ring.h>

#include "common/base/fd.h"
#include "common/vhost-user/guest-ram.h"
#include "common/vhost-user/virtqueue.h"

#define PAGE 4096u
#define SIZE (64 * PAGE)
#define GPA 0x10000u
#define UADDR 0x7f0000000000u
#define N 16u

/* Where things lie in the memory. */
enum { DESC = 0, AVAIL = PAGE, USED = 2 * PAGE, INDIRECT = 3 * PAGE, DATA = 8 * PAGE };

struct world {
    struct guest_ram ram;
    uint8_t *bytes;
    struct virtqueue queue;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
};

static struct virtqueue_chain chain;

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    int fd = fd_memfd("ram", SIZE);
    w->bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    /* Two regions that are neighbours for the guest: a descriptor may lie across them. */
    assert_int_equal(guest_ram_add(&w->ram, GPA, SIZE / 2, UADDR, 0, dup(fd)), 0);
    assert_int_equal(guest_ram_add(&w->ram, GPA + SIZE / 2, SIZE / 2, UADDR + SIZE, SIZE / 2, fd),
                     0);
    virtqueue_init(&w->queue);
    w->queue.size = N;
    w->queue.desc_uaddr = UADDR + DESC;
    w->queue.avail_uaddr = UADDR + AVAIL;
    w->queue.used_uaddr = UADDR + USED;
    w->desc = (void *)(w->bytes + DESC);
    w->avail = (void *)(w->bytes + AVAIL);
    w->used = (void *)(w->bytes + USED);
    w->queue.call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(virtqueue_map(&w->queue, &w->ram), 0);
    virtqueue_start(&w->queue, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    virtqueue_finish(&w->queue);
    guest_ram_finish(&w->ram);
    munmap(w->bytes, SIZE);
    free(w);
    return 0;
}

static void set(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
    *d = (struct vring_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

static void offer(struct world *w, uint16_t head)
{
    w->avail->ring[w->avail->idx % N] = head;
    w->avail->idx++;
}

static bool notified(struct world *w)
{
    uint64_t count;
    return read(w->queue.call, &count, sizeof(count)) == sizeof(count);
}

static void test_request_and_answer(void **state)
{
    struct world *w = *state;
    char text[16] = {0};
    for (unsigned round = 0; round < 70000; round++) { /* beyond the indices' 16 bits */
        memcpy(w->bytes + DATA, "question", 8);
        memset(w->bytes + DATA + PAGE, 0, 8);
        set(&w->desc[3], GPA + DATA, 5, VRING_DESC_F_NEXT, 7);
        set(&w->desc[7], GPA + DATA + 5, 3, VRING_DESC_F_NEXT, 1);
        set(&w->desc[1], GPA + DATA + PAGE, 4, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
        set(&w->desc[2], GPA + DATA + PAGE + 4, 4, VRING_DESC_F_WRITE, 0);
        offer(w, 3);
        assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 1);
        assert_false(chain.bad);
        assert_int_equal(chain.in_size, 8);
        assert_int_equal(chain.out_size, 8);
        assert_int_equal(virtqueue_gather(&chain, text, sizeof(text)), 8);
        assert_string_equal(text, "question");
        assert_int_equal(virtqueue_scatter(chain.out, chain.n_out, "answer", 6), 6);
        virtqueue_push(&w->queue, chain.head, 6);
        assert_memory_equal(w->bytes + DATA + PAGE, "answer\0", 7);
        assert_int_equal(w->used->idx, (uint16_t)(round + 1));
        assert_int_equal(w->used->ring[round % N].id, 3);
        assert_int_equal(w->used->ring[round % N].len, 6);
        assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 0);
    }
}

static void test_indirect(void **state)
{
    struct world *w = *state;
    struct vring_desc *table = (void *)(w->bytes + INDIRECT);
    for (unsigned i = 0; i < 40; i++) /* more than the ring has */
        set(&table[i], GPA + DATA + i, 1, i < 39 ? VRING_DESC_F_NEXT : VRING_DESC_F_WRITE,
            (uint16_t)(i + 1));
    set(&w->desc[0], GPA + INDIRECT, 40 * 16, VRING_DESC_F_INDIRECT, 0);
    offer(w, 0);
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 1);
    assert_false(chain.bad);
    assert_int_equal(chain.in_size, 39);
    assert_int_equal(chain.out_size, 1);
    /* After descriptors of its own. */
    set(&w->desc[0], GPA + DATA, 1, VRING_DESC_F_NEXT, 1);
    set(&w->desc[1], GPA + INDIRECT, 40 * 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
    offer(w, 0);
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 1);
    assert_false(chain.bad);
    assert_int_equal(chain.in_size, 40);
}

static void test_across_regions(void **state)
{
    struct world *w = *state;
    char text[8] = {0};
    memcpy(w->bytes + SIZE / 2 - 3, "abcdef", 6);
    set(&w->desc[0], GPA + SIZE / 2 - 3, 6, 0, 0);
    offer(w, 0);
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 1);
    assert_false(chain.bad);
    assert_int_equal(chain.n_in, 2);
    virtqueue_gather(&chain, text, sizeof(text));
    assert_string_equal(text, "abcdef");
}

static void test_bad_chains(void **state)
{
    struct world *w = *state;
    struct vring_desc *table = (void *)(w->bytes + INDIRECT);
    const struct vring_desc plain = {.addr = GPA + DATA, .len = 8};
    struct {
        const char *what;
        struct vring_desc d[3], t[3];
    } cases[] = {
        {"its own successor", {{GPA + DATA, 8, VRING_DESC_F_NEXT, 0}}, {plain}},
        {"a circle",
         {{GPA + DATA, 8, VRING_DESC_F_NEXT, 1}, {GPA + DATA, 8, VRING_DESC_F_NEXT, 0}},
         {plain}},
        {"a successor beyond the table", {{GPA + DATA, 8, VRING_DESC_F_NEXT, N}}, {plain}},
        {"outside of the memory", {{GPA - 8, 8, 0, 0}}, {plain}},
        {"over the end of the memory", {{GPA + SIZE - 4, 8, 0, 0}}, {plain}},
        {"around the end of the addresses", {{UINT64_MAX - 3, 8, 0, 0}}, {plain}},
        {"all there is", {{0, UINT32_MAX, 0, 0}}, {plain}},
        {"read after write",
         {{GPA + DATA, 8, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1}, {GPA + DATA, 8, 0, 0}},
         {plain}},
        {"an indirect table of half a descriptor",
         {{GPA + INDIRECT, 24, VRING_DESC_F_INDIRECT, 0}},
         {plain}},
        {"an empty indirect table", {{GPA + INDIRECT, 0, VRING_DESC_F_INDIRECT, 0}}, {plain}},
        {"an indirect table outside of the memory",
         {{GPA + SIZE, 16, VRING_DESC_F_INDIRECT, 0}},
         {plain}},
        {"an indirect table that is too large",
         {{GPA + INDIRECT, 16 * (VIRTQUEUE_SIZE_MAX + 1), VRING_DESC_F_INDIRECT, 0}},
         {plain}},
        {"more after an indirect table",
         {{GPA + INDIRECT, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1}, plain},
         {plain}},
        {"indirect in indirect",
         {{GPA + INDIRECT, 32, VRING_DESC_F_INDIRECT, 0}},
         {{GPA + INDIRECT, 16, VRING_DESC_F_INDIRECT, 0}}},
        {"a circle in an indirect table",
         {{GPA + INDIRECT, 32, VRING_DESC_F_INDIRECT, 0}},
         {{GPA + DATA, 1, VRING_DESC_F_NEXT, 0}}},
        {"a successor beyond an indirect table",
         {{GPA + INDIRECT, 16, VRING_DESC_F_INDIRECT, 0}},
         {{GPA + DATA, 1, VRING_DESC_F_NEXT, 1}}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        memcpy(w->desc, cases[i].d, sizeof(cases[i].d));
        memcpy(table, cases[i].t, sizeof(cases[i].t));
        offer(w, 0);
        assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 1);
        if (!chain.bad)
            fail_msg("%s is taken", cases[i].what);
        assert_int_equal(chain.head, 0);
        virtqueue_push(&w->queue, chain.head, 0);
    }
    /* The queue goes on. */
    w->desc[0] = plain;
    offer(w, 0);
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 1);
    assert_false(chain.bad);
}

static void test_broken_rings(void **state)
{
    struct world *w = *state;
    offer(w, N); /* no such descriptor */
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), -EBADMSG);
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), 0);
    assert_false(virtqueue_listen(&w->queue));
    w->avail->idx = 0;
    virtqueue_start(&w->queue, 0);
    w->avail->idx = N + 1; /* more than there can be */
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), -EBADMSG);
    w->avail->idx = UINT16_MAX; /* backwards */
    virtqueue_start(&w->queue, 0);
    assert_int_equal(virtqueue_pop(&w->queue, &w->ram, &chain), -EBADMSG);
}

static void test_mapping(void **state)
{
    struct world *w = *state;
    struct virtqueue q = w->queue;
    q.desc_uaddr = UADDR + 8;
    assert_int_equal(virtqueue_map(&q, &w->ram), -EFAULT);
    q = w->queue;
    q.avail_uaddr = UADDR + SIZE / 2 - 4 - 2 * N; /* all but the event index */
    assert_int_equal(virtqueue_map(&q, &w->ram), -EFAULT);
    q.avail_uaddr -= 2;
    assert_int_equal(virtqueue_map(&q, &w->ram), 0);
    q.used_uaddr = UADDR + SIZE / 2;
    assert_int_equal(virtqueue_map(&q, &w->ram), -EFAULT);
    assert_null(q.avail);
    q.size = 0;
    assert_int_equal(virtqueue_map(&q, &w->ram), -EINVAL);
}

static void test_notifications(void **state)
{
    struct world *w = *state;
    virtqueue_push(&w->queue, 0, 0);
    virtqueue_notify(&w->queue);
    assert_true(notified(w));
    w->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
    virtqueue_push(&w->queue, 0, 0);
    virtqueue_notify(&w->queue);
    assert_false(notified(w));
}

static void test_event_index(void **state)
{
    struct world *w = *state;
    uint16_t *used_event = &w->avail->ring[N];
    uint16_t *avail_event = (uint16_t *)(void *)&w->used->ring[N];
    w->queue.event_index = true;
    *avail_event = 99;
    assert_false(virtqueue_listen(&w->queue));
    assert_int_equal(*avail_event, 0);
    set(&w->desc[0], GPA + DATA, 8, 0, 0);
    offer(w, 0);
    assert_true(virtqueue_listen(&w->queue));
    virtqueue_pop(&w->queue, &w->ram, &chain);
    virtqueue_listen(&w->queue);
    assert_int_equal(*avail_event, 1);

    *used_event = 0; /* tell me when the first one is there */
    virtqueue_push(&w->queue, 0, 0);
    virtqueue_notify(&w->queue);
    assert_true(notified(w));
    virtqueue_push(&w->queue, 0, 0); /* not asked for */
    virtqueue_notify(&w->queue);
    assert_false(notified(w));
    *used_event = 3;
    virtqueue_push(&w->queue, 0, 0);
    virtqueue_notify(&w->queue);
    assert_false(notified(w));
    virtqueue_push(&w->queue, 0, 0);
    virtqueue_notify(&w->queue);
    assert_true(notified(w));
    virtqueue_notify(&w->queue); /* nothing new */
    assert_false(notified(w));
    /* The flag of the other way does not count. */
    w->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
    *used_event = 4;
    virtqueue_push(&w->queue, 0, 0);
    virtqueue_notify(&w->queue);
    assert_true(notified(w));
}

static void test_full_pipe(void **state)
{
    struct world *w = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fd_close(w->queue.call);
    w->queue.call = ends[1];
    for (unsigned i = 0; i < 20000; i++) { /* more than it takes; the writing end blocks */
        virtqueue_push(&w->queue, 0, 0);
        virtqueue_notify(&w->queue);
    }
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 1);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_request_and_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_across_regions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_chains, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_rings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mapping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notifications, setup, teardown),
        cmocka_unit_test_setup_teardown(test_event_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_pipe, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
