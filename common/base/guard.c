/* SPDX-License-Identifier: MIT */
/* Behind the end of its file, a mapping answers a load with SIGBUS. pread() would answer with a
 * number, but takes up to four times as long, as it looks for each page anew. */
#include "common/base/guard.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

static struct {
    uint8_t *volatile map; /* NULL: nothing is being read */
    volatile size_t size;
    volatile sig_atomic_t fault;
} guarded;

static void on_sigbus(int signal_number, siginfo_t *info, void *context)
{
    const uint8_t *at = info->si_addr;
    (void)context;
    if (guarded.map && at >= guarded.map && at < guarded.map + guarded.size &&
        mmap(guarded.map, guarded.size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
        guarded.fault = 1;
        return; /* the load finds a zero now */
    }
    signal(signal_number, SIG_DFL); /* not ours: it comes again, and is the end */
}

int guard_init(void)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

int guard_read(void (*read)(void *user), void *user, uint8_t *map, size_t map_size)
{
    guarded.size = map_size;
    guarded.fault = 0;
    guarded.map = map;
    __asm__ volatile("" ::: "memory");
    read(user);
    __asm__ volatile("" ::: "memory");
    guarded.map = NULL;
    return guarded.fault ? -EFAULT : 0;
}

struct copy {
    void *to;
    const uint8_t *from;
    size_t size;
};

static void copy_bytes(void *user)
{
    const struct copy *copy = user;
    memcpy(copy->to, copy->from, copy->size);
}

int guard_copy(void *to, const uint8_t *from, size_t size, uint8_t *map, size_t map_size)
{
    struct copy copy = {to, from, size};
    return guard_read(copy_bytes, &copy, map, map_size);
}
