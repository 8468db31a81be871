/* SPDX-License-Identifier: MIT */
/* counter: owns nothing. An eventfd cannot be opened anew, so its
 * flags are its other users' too, and a plain read() of one that they leave blocking might wait.
 *
 * There is no such way to write: that waits where the counter is near its end, which is why nothing
 * is added to one that is. Only a program that fills it in between, its own eventfd and by 2⁶³, can
 * make us wait, until it reads. */
#include "common/base/counter.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/fdinfo.h"

#define FULL (1ull << 62) /* more than anybody counts up to */

int counter_inspect(int fd, struct counter_info *ret)
{
    char text[1024];
    uint64_t semaphore = 0;
    struct counter_info c = {0};
    int e = fdinfo_read(fd, text, sizeof(text));
    if (e < 0)
        return e;
    if (!fdinfo_number(text, "\neventfd-count:", 16, &c.value) ||
        !fdinfo_number(text, "\neventfd-id:", 10, &c.id))
        return -ENOTTY;
    fdinfo_number(text, "\neventfd-semaphore:", 10, &semaphore);
    c.semaphore = semaphore == 1;
    *ret = c;
    return 0;
}

int counter_take(int fd, uint64_t *ret)
{
    uint64_t all = 0;
    int e = 0;
    for (int i = 0; i < COUNTER_READS && e == 0; i++) {
        uint64_t value;
        struct iovec iov = {&value, sizeof(value)};
        ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
        if (n == sizeof(value))
            all = value < FULL - all ? all + value : FULL;
        else if (n >= 0 || errno != EINTR)
            e = n < 0 ? -errno : -EIO;
        if (n == sizeof(value) && value != 1) /* no semaphore: that was all */
            break;
    }
    if (!all)
        return e < 0 ? e : -EAGAIN;
    *ret = all;
    return 0;
}

/* What may be added: 0: nothing, and who waits for it has been woken. Of 1, which it nearly always
 * is, one call says that. */
static uint64_t room_for(int fd, uint64_t value)
{
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    struct counter_info now;
    if (value == 1)
        return poll(&one, 1, 0) == 1 && one.revents & POLLOUT;
    if (counter_inspect(fd, &now) < 0 || now.value >= FULL)
        return 0;
    return value < FULL - now.value ? value : FULL - now.value;
}

void counter_add(int fd, uint64_t value)
{
    value = room_for(fd, value);
    if (!value)
        return;
    while (write(fd, &value, sizeof(value)) < 0 && errno == EINTR)
        ;
}
