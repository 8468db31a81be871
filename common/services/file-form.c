/* SPDX-License-Identifier: MIT */
/* file-form: a copy is sealed only when it is complete. A seal against execution brings seals
 * against writing on an executable file, so such a copy is made as one that cannot be executed. */
#include "common/services/file-form.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/memory.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

static const struct {
    int ours;
    uint16_t wire;
} seals[] = {
    {F_SEAL_SEAL, LINK_SEAL_SEAL},
    {F_SEAL_SHRINK, LINK_SEAL_SHRINK},
    {F_SEAL_GROW, LINK_SEAL_GROW},
    {F_SEAL_WRITE, LINK_SEAL_WRITE},
    {F_SEAL_FUTURE_WRITE, LINK_SEAL_FUTURE_WRITE},
    {F_SEAL_EXEC, LINK_SEAL_EXEC},
};
#define SEALS_N (sizeof(seals) / sizeof(*seals))

void file_form_of(int fd, struct link_vfd_form *ret)
{
    int set = fcntl(fd, F_GET_SEALS), mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    off_t at = lseek(fd, 0, SEEK_CUR);
    *ret = (struct link_vfd_form){.access = mode == O_RDWR ? LINK_ACCESS_BOTH : LINK_ACCESS_READ,
                                  .offset = at > 0 ? (uint64_t)at : 0};
    for (size_t i = 0; i < SEALS_N && set > 0; i++)
        ret->seals |= set & seals[i].ours ? seals[i].wire : 0;
}

static int fill(int fd, const struct memory *memory)
{
    const uint8_t *bytes = memory_map(memory);
    for (uint64_t done = 0; done < memory->size;) {
        ssize_t n = pwrite(fd, bytes + done, memory->size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (uint64_t)n;
    }
    return 0;
}

/* Takes @fd. Opened anew in any case: the kernel does not tell when one that memfd_create() made is
 * closed (closings). */
static int with_access(int fd, uint16_t access)
{
    static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR};
    int again = fd_reopen(fd, modes[access & LINK_ACCESS_BOTH]);
    fd_close(fd);
    return again;
}

int file_form_make(const struct memory *memory, const struct link_vfd_form *form)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    unsigned no_code = form->seals & LINK_SEAL_EXEC ? MFD_NOEXEC_SEAL : 0;
    int set = 0, fd = memfd_create("wayvsock-file", flags | no_code);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3, which has no such seal either */
        fd = memfd_create("wayvsock-file", flags);
    int e = fd < 0 ? -errno : fill(fd, memory);
    for (size_t i = 0; i < SEALS_N; i++)
        set |= form->seals & seals[i].wire ? seals[i].ours : 0;
    set &= ~F_SEAL_EXEC;
    if (e == 0 && set && fcntl(fd, F_ADD_SEALS, set) < 0)
        e = -errno;
    if (e < 0) {
        fd_close(fd);
        return e;
    }
    fd = with_access(fd, form->access);
    if (fd >= 0 && form->offset)
        lseek(fd, (off_t)form->offset, SEEK_SET);
    return fd;
}
