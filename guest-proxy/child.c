/* SPDX-License-Identifier: MIT */
/* A child would catch signals as we do, and tell us instead of ending: so none arrives before that
 * is over. */
#include "guest-proxy/child.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

pid_t child_fork(void)
{
    static const int ours[] = {SIGTERM, SIGINT, SIGCHLD, SIGPIPE};
    sigset_t all, before, none;
    sigfillset(&all);
    sigemptyset(&none);
    fflush(NULL);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid != 0) {
        int error = errno;
        sigprocmask(SIG_SETMASK, &before, NULL);
        errno = error;
        return pid;
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        signal(ours[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return 0;
}
