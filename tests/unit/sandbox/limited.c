/* SPDX-License-Identifier: MIT */
/* The new process ends without anything that runs at an exit, which may not be allowed there. */
#include "tests/unit/sandbox/limited.h"

#include "tests/unit/support.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/base/log.h"

struct limited limited_run(void (*enter)(void), int (*act)(void))
{
    struct limited limited = {0};
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        log_init("limited", LOG_LEVEL_INFO);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        signal(SIGABRT, SIG_DFL); /* not cmocka's */
        enter();
        _exit(act());
    }
    close(ends[1]);
    while ((got = read(ends[0], limited.line + n, sizeof(limited.line) - 1 - n)) > 0)
        n += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    limited.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    limited.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return limited;
}
