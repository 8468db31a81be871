/* SPDX-License-Identifier: MIT */
/* vsock-record: owns the mapping of a memfd that the keeper has too. It is our own, but perhaps an
 * older version's, which is not taken up. A pair is written before its connection is known to the
 * guest, its type last, and removed when the guest knows nothing of it any more. */
#include "host-proxy/vsock/vsock-record.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/fd.h"

#define NAME "record"
#define VERSION (1ull << 32 | sizeof(struct vsock_record_memory))

int vsock_record_open(struct vsock_record *r, struct keeper *keeper)
{
    struct stat st;
    *r = (struct vsock_record){0};
    _cleanup_(fd_closep) int fd = keeper_take(keeper, NAME);
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(*r->memory)))
        fd = fd_close(fd);
    if (fd < 0) {
        fd = fd_memfd(NAME, sizeof(*r->memory));
        if (fd < 0)
            return fd;
        keeper_forget(NAME);
        keeper_keep(NAME, fd);
    }
    r->memory = mmap(NULL, sizeof(*r->memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (r->memory == MAP_FAILED) {
        r->memory = NULL;
        return -errno;
    }
    if (r->memory->version != VERSION)
        memset(r->memory, 0, sizeof(*r->memory));
    r->memory->version = VERSION;
    r->store.record = &r->memory->frontend;
    for (unsigned i = VSOCK_PAIRS_MAX; i-- > 0;) {
        if (!r->memory->pairs[i].type)
            r->free[r->n_free++] = (uint16_t)i;
    }
    return 0;
}

void vsock_record_close(struct vsock_record *r)
{
    if (r->memory)
        munmap(r->memory, sizeof(*r->memory));
    r->memory = NULL;
}

int vsock_record_add(struct vsock_record *r, uint32_t guest, uint32_t host, uint16_t type)
{
    if (r->n_free == 0)
        return -1;
    int index = r->free[--r->n_free];
    struct vsock_pair *pair = &r->memory->pairs[index];
    pair->guest = guest;
    pair->host = host;
    __atomic_store_n(&pair->type, type, __ATOMIC_RELEASE);
    return index;
}

void vsock_record_remove(struct vsock_record *r, int index)
{
    r->memory->pairs[index].type = 0;
    r->free[r->n_free++] = (uint16_t)index;
}
