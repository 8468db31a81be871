/* SPDX-License-Identifier: MIT */
/* token: read once at start. The checks are about mistakes of the person who made the file: a
 * secret that everybody can read proves nothing. */
#include "common/transport/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"

/* systemd guards credentials by their folder, and their modes show an ACL's mask. */
static bool is_credential(const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    size_t n = folder ? strlen(folder) : 0;
    while (n > 0 && folder[n - 1] == '/')
        n--;
    return n > 0 && strncmp(path, folder, n) == 0 && path[n] == '/' && !strstr(path + n, "/../");
}

int token_read(const char *path, struct token *ret_token, char *error, size_t error_size)
{
    struct stat st;
    uint8_t bytes[TOKEN_MAX + 3]; /* a newline or CR LF, and one to see that there is more */
    size_t n = 0;
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int result = -errno;
        return error_set(result, error, error_size, "cannot read the token file %s: %s%s", path,
                         strerror(-result),
                         result == -ENOENT
                             ? "; make one with: (umask 077; openssl rand -hex 32 > FILE), and "
                               "give the other side the same"
                             : "");
    }
    if (!S_ISREG(st.st_mode))
        return error_set(-EINVAL, error, error_size, "the token file %s is no regular file", path);
    if (!is_credential(path)) {
        if (st.st_mode & 077)
            return error_set(
                -EPERM, error, error_size,
                "other users can get at the token file %s: chmod 600 it, and make a new "
                "token if others may have read it",
                path);
        if (st.st_uid != geteuid() && st.st_uid != 0)
            return error_set(-EPERM, error, error_size, "the token file %s belongs to another user",
                             path);
    }
    for (;;) {
        ssize_t got = read(fd, bytes + n, sizeof(bytes) - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int result = -errno;
            return error_set(result, error, error_size, "cannot read the token file %s: %s", path,
                             strerror(-result));
        }
        n += (size_t)got;
        if (got == 0 || n == sizeof(bytes))
            break;
    }
    if (n > 0 && bytes[n - 1] == '\n') {
        n--;
        if (n > 0 && bytes[n - 1] == '\r')
            n--;
    }
    int result = 0;
    if (n < TOKEN_MIN || n > TOKEN_MAX) {
        result =
            error_set(-EMSGSIZE, error, error_size,
                      "the token in %s has %s%zu bytes, and must have %d to %d; make one with: "
                      "(umask 077; openssl rand -hex 32 > FILE)",
                      path, n > TOKEN_MAX ? "at least " : "", n, TOKEN_MIN, TOKEN_MAX);
    } else {
        memset(ret_token, 0, sizeof(*ret_token));
        memcpy(ret_token->bytes, bytes, n);
        ret_token->n = n;
    }
    explicit_bzero(bytes, sizeof(bytes));
    return result;
}

const char *token_default(char *buffer, size_t size)
{
    static const char *const names[] = {"token", "wayvsock.token"};
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder || *folder != '/')
        return NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int n = snprintf(buffer, size, "%s/%s", folder, names[i]);
        if (n > 0 && (size_t)n < size && access(buffer, F_OK) == 0)
            return buffer;
    }
    return NULL;
}

bool token_equal(const struct token *token, const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    /* volatile: no early exit may be made of it. A token that was never read equals nothing. */
    volatile uint8_t differs = token->n != n || n < TOKEN_MIN;
    for (size_t i = 0; i < n; i++)
        differs |= b[i] ^ token->bytes[i % TOKEN_MAX];
    return !differs;
}

void token_finish(struct token *token)
{
    explicit_bzero(token, sizeof(*token));
}
