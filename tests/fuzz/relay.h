/* SPDX-License-Identifier: MIT */
#pragma once
/* relay: one relay between two sockets whose other ends the fuzz target plays. */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/carrier/deliveries.h"
#include "common/wayland/relay-life.h"
#include "common/carrier/file-reader.h"
#include "guest-proxy/pixels/surfaces.h"
#include "tests/support/even.h"
#include "tests/support/send_fds.h"
#include "tests/support/wl_build.h"

static struct {
    struct loop *loop;
    struct deliveries deliveries;
    struct carrier_party party;
    struct loop_timer *timer;
    unsigned turns;
    struct relay *relay;
    int local, link; /* our ends */
    struct log_subject subject;
    unsigned threads;
} F;

static inline void fuzz_timer(void *user)
{
    (void)user;
    if (F.turns-- == 0)
        loop_stop(F.loop);
    else
        loop_timer_arm(F.timer, 0);
}

static inline void fuzz_drain(int fd)
{
    static uint8_t bytes[256 << 10];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct iovec iov = {bytes, sizeof(bytes)};
    for (;;) {
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        if (recvmsg(fd, &message, MSG_DONTWAIT) <= 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                int got;
                memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                close(got);
            }
        }
    }
}

static inline void fuzz_turn(unsigned turns)
{
    F.turns = turns;
    loop_timer_arm(F.timer, 0);
    if (loop_run(F.loop) < 0)
        abort();
    fuzz_drain(F.local);
    fuzz_drain(F.link);
}

/* Sends @size bytes with @fd (taken; -1: none), and lets the relay look at them. */
static inline void fuzz_send(int to, const void *bytes, size_t size, int fd)
{
    for (const uint8_t *at = bytes; size && F.relay;) {
        ssize_t n = send_fds(to, at, size, &fd, fd >= 0);
        if (n < 0 && errno != EAGAIN)
            break;
        if (n > 0) {
            fd = fd_close(fd);
            at += n;
            size -= (size_t)n;
        }
        fuzz_turn(2);
    }
    fd_close(fd);
}

/* @data in pieces of @words words of 8 bytes (0: in one), but no more than 32 of them. */
static inline void fuzz_send_pieces(int to, unsigned words, const uint8_t *data, size_t size)
{
    size_t step = words ? words * 8u : size;
    if (step <= size / 32)
        step = size / 32 + 1;
    for (size_t at = 0; at < size && F.relay; at += step)
        fuzz_send(to, data + at, size - at < step ? size - at : step, -1);
}

static inline void fuzz_send_link(const uint8_t *messages, size_t n)
{
    uint8_t frame[4096];
    link_header_encode(frame, LINK_WAYLAND, n);
    memcpy(frame + LINK_HEADER_SIZE, messages, n);
    fuzz_send(F.link, frame, LINK_HEADER_SIZE + n, -1);
}

static relay_hook *const fuzz_guest_hooks[_WL_HOOK_N] = {SURFACES_HOOKS};

static inline void fuzz_punched(struct relay *r, struct memory *memory, uint64_t offset,
                                uint64_t length)
{
    (void)r;
    surfaces_forget(memory, offset, length);
}

/* A GPU that has whatever is named: the pages of every second import, copies of the others. */
static inline int fuzz_import(void *user, const struct link_import *import)
{
    (void)user;
    (void)import;
    return 0;
}

static inline int fuzz_import_release(void *user, uint32_t id)
{
    struct relay *r = user;
    gpu_memory_released(&r->carrier.gpu, id);
    return 0;
}

static inline int fuzz_copy(void *user, struct memory *memory, const struct link_mem_copy *copy)
{
    (void)user;
    if (!memory_is_foreign(memory)) /* its bounds were checked */
        memory_map(memory)[copy->to.offset + (uint64_t)(copy->to.rows - 1) * copy->to.stride] = 1;
    return 0;
}

static inline struct memory *fuzz_import_memory(void *user, const struct link_mem_import *import)
{
    (void)user;
    return import->import % 2 ? memory_share(fd_memfd("pages", import->size), import->size, NULL)
                              : memory_create(import->size, NULL);
}

static inline enum relay_verdict fuzz_copy_back(struct relay *r, struct memory *memory,
                                                const struct link_mem_write *rows)
{
    (void)r;
    (void)rows;
    return memory_is_foreign(memory) ? RELAY_PASS : RELAY_DROP;
}

static inline int fuzz_copied_back(void *user, struct memory *memory,
                                   const struct link_mem_copy *copy)
{
    (void)user;
    (void)memory;
    (void)copy;
    return 0;
}

static inline void fuzz_ended(struct relay *r)
{
    F.relay = NULL;
    relay_destroy(r);
}

static inline unsigned fuzz_threads(void)
{
    unsigned n = 0;
    DIR *folder = opendir("/proc/self/task");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

/* The cache of keymaps keeps descriptors: it is full before anybody counts. */
__attribute__((constructor)) static void fuzz_fill_cache(void)
{
    for (uint8_t i = 0; i < 32; i++) {
        struct memory *m = memory_create(16, NULL);
        memset(m->map, 0xf0 + i % 16, 8);
        memset(m->map + 8, i, 8);
        close(file_share(m));
        memory_unref(m);
    }
}

/* The globals that the compositor of these targets has; object 3 + i is bound to each of them. */
static const char *const fuzz_globals[] = {
    "wl_compositor",  "wl_shm",           "wl_seat",       "wl_data_device_manager",
    "wl_output",      "wl_subcompositor", "wp_viewporter", "zwlr_screencopy_manager_v1",
    "wp_presentation"};
#define FUZZ_GLOBALS_N (sizeof(fuzz_globals) / sizeof(*fuzz_globals))

/* A relay whose client has bound all globals that this build knows. */
static inline void fuzz_start(enum carrier_side side)
{
    static const struct link_ops none;
    static const struct gpu_memory_ops host_gpu = {.import = fuzz_import,
                                                   .release = fuzz_import_release,
                                                   .memory = fuzz_import_memory,
                                                   .copy = fuzz_copy},
                                       guest_gpu = {.copied_back = fuzz_copied_back};
    static const struct relay_ops host_ops = {.ended = fuzz_ended,
                                              .gpu = &host_gpu,
                                              .copy_back = fuzz_copy_back},
                                  guest_ops = {.hooks = fuzz_guest_hooks,
                                               .punched = fuzz_punched,
                                               .ended = fuzz_ended,
                                               .gpu = &guest_gpu};
    F.party = (struct carrier_party){
        .deliveries = &F.deliveries, .budget = budget_create(NULL), .queue = 1 << 20};
    F.party.budget->limit[BUDGET_FDS] = 100;
    F.party.budget->limit[BUDGET_MEMORY] = 64 << 20;
    int local[2], link[2];
    uint8_t bytes[4096];
    signal(SIGPIPE, SIG_IGN);
    log_init("fuzz", getenv("FUZZ_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    F.threads = fuzz_threads();
    F.loop = loop_create();
    F.timer = loop_timer_create(F.loop, fuzz_timer, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, local) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, link) < 0)
        abort();
    F.local = local[0];
    F.link = link[0];
    F.relay = relay_create(F.loop, side, local[1], link_create(F.loop, link[1], true, &none, NULL),
                           &F.party, side == CARRIER_HOST ? &host_ops : &guest_ops, NULL, NULL,
                           &F.subject);
    size_t n = wl_build(bytes, 1, 1, "u", 2);
    if (side == CARRIER_GUEST)
        fuzz_send(F.local, bytes, n, -1);
    else
        fuzz_send_link(bytes, n);
    n = 0;
    for (uint32_t i = 0; i < FUZZ_GLOBALS_N; i++)
        n += wl_build(bytes + n, 2, 0, "usu", i + 1, fuzz_globals[i], 4);
    if (side == CARRIER_GUEST)
        fuzz_send_link(bytes, n);
    else
        fuzz_send(F.local, bytes, n, -1);
    n = 0;
    for (uint32_t i = 0, id = 3; i < FUZZ_GLOBALS_N; i++) {
        const struct wl_iface *iface = wl_iface_find(fuzz_globals[i], strlen(fuzz_globals[i]));
        if (iface)
            n += wl_build(bytes + n, 2, 0, "uN", i + 1, fuzz_globals[i],
                          iface->version < 4 ? iface->version : 4, id++);
    }
    if (side == CARRIER_GUEST)
        fuzz_send(F.local, bytes, n, -1);
    else
        fuzz_send_link(bytes, n);
    if (!F.relay)
        abort(); /* nothing of this is wrong */
}

/* Two objects of ours, one of them destroyed by the client: ids are translated from now on. */
static inline void fuzz_make_objects(void)
{
    struct wl_id_pair first, second;
    uint8_t bytes[8];
    const struct wl_iface *iface = wl_iface_find("wl_buffer", 9);
    if (wl_ids_add(&F.relay->ids, &F.relay->objects, iface, 1, &first) != WL_IDS_OK ||
        wl_ids_add(&F.relay->ids, &F.relay->objects, iface, 1, &second) != WL_IDS_OK)
        abort();
    fuzz_send(F.local, bytes, wl_build(bytes, second.application, 0, ""), -1);
}

static inline void fuzz_stop(void)
{
    shutdown(F.local, SHUT_RDWR);
    fuzz_turn(3);
    relay_destroy(F.relay);
    F.relay = NULL;
    fuzz_turn(1);
    loop_timer_destroy(F.timer);
    deliveries_finish(&F.deliveries);
    loop_destroy(F.loop);
    if (!budget_is_even(F.party.budget))
        abort();
    close(F.local);
    close(F.link);
    while (fuzz_threads() > F.threads)
        sched_yield();
}
