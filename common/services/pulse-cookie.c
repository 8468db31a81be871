/* SPDX-License-Identifier: MIT */
/* pulse-cookie: owns nothing. Read once, before anything of a guest's is: what a daemon is not
 * allowed to open later, nobody can make it open. */
#include "common/services/pulse-cookie.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"

#define PATH_SIZE 4096

/* 0, or -errno: -ENODATA if it is shorter than a cookie. */
static int pulse_cookie_load(const char *path, uint8_t **ret)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    uint8_t *bytes = malloc(PULSE_COOKIE_SIZE);
    if (!bytes)
        return -ENOMEM;
    ssize_t n = read(fd, bytes, PULSE_COOKIE_SIZE);
    int result = n < 0 ? -errno : n < (ssize_t)PULSE_COOKIE_SIZE ? -ENODATA : 0;
    if (result < 0)
        free(bytes);
    else
        *ret = bytes;
    return result;
}

/* The @i-th place, in PulseAudio's order. False: it is not there, or too long. */
static bool pulse_cookie_place(int i, char path[PATH_SIZE])
{
    static const struct {
        const char *variable, *below;
    } places[] = {
        {"PULSE_COOKIE", ""},
        {"XDG_CONFIG_HOME", "/pulse/cookie"},
        {"HOME", "/.config/pulse/cookie"},
        {"HOME", "/.pulse-cookie"},
    };
    const char *start = getenv(places[i].variable);
    int n = start && *start ? snprintf(path, PATH_SIZE, "%s%s", start, places[i].below) : -1;
    return n > 0 && n < PATH_SIZE;
}
#define PLACES_N 4

int pulse_cookie_read(const char *path, uint8_t **ret, char *error, size_t error_size)
{
    char place[PATH_SIZE];
    uint8_t *cookie = NULL;
    int result = 0;
    if (path)
        result = pulse_cookie_load(path, &cookie);
    for (int i = 0; !path && !cookie && i < PLACES_N; i++)
        if (pulse_cookie_place(i, place))
            pulse_cookie_load(place, &cookie);
    if (result == -ENODATA)
        return error_set(result, error, error_size, "%s is shorter than PulseAudio's cookies",
                         path);
    if (result < 0)
        return error_set(result, error, error_size, "%s: %s", path, strerror(-result));
    *ret = cookie;
    return 0;
}
