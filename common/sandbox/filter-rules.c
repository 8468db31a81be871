/* SPDX-License-Identifier: MIT */
/* Generous with what is harmless, as a C library of another year uses other calls for the same:
 * what only reads the time, or acts on a descriptor that is open, may be made by everyone. Opening
 * and removing by a path is for Landlock to limit, as a filter does not see the path. */
#include "common/sandbox/filter-rules.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <linux/dma-buf.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

const struct filter_rule filter_rules_base[] = {
    /* descriptors */
    FILTER_CALL("close"),
    FILTER_CALL("dup"),
    FILTER_CALL("fstat"),
    FILTER_CALL("fstatfs"),
    FILTER_CALL("ftruncate"),
    FILTER_CALL("lseek"),
    FILTER_CALL("newfstatat"),
    FILTER_CALL("pread64"),
    FILTER_CALL("pwrite64"),
    FILTER_CALL("read"),
    FILTER_CALL("readv"),
    FILTER_CALL("statx"),
    FILTER_CALL("write"),
    FILTER_CALL("writev"),
    FILTER_CALL_WITH("fcntl", 1, F_DUPFD),
    FILTER_CALL_WITH("fcntl", 1, F_DUPFD_CLOEXEC),
    FILTER_CALL_WITH("fcntl", 1, F_GETFD),
    FILTER_CALL_WITH("fcntl", 1, F_SETFD),
    FILTER_CALL_WITH("fcntl", 1, F_GETFL),
    FILTER_CALL_WITH("fcntl", 1, F_SETFL),
    FILTER_CALL_WITH("fcntl", 1, F_ADD_SEALS),
    FILTER_CALL_WITH("fcntl", 1, F_GET_SEALS),
    FILTER_CALL_WITH("fcntl", 1, F_GETPIPE_SZ),
    FILTER_CALL_WITH("fcntl", 1, F_SETPIPE_SZ),
    FILTER_CALL_WITH("ioctl", 1, FIONREAD),
    FILTER_CALL_WITH("ioctl", 1, TCGETS), /* isatty() of stdio */

    /* paths: see Landlock */
    FILTER_CALL("access"),
    FILTER_CALL("faccessat"),
    FILTER_CALL("faccessat2"),
    FILTER_CALL("getcwd"),
    FILTER_CALL("getdents64"),
    FILTER_CALL("lstat"),
    FILTER_CALL("open"),
    FILTER_CALL("openat"),
    FILTER_CALL("readlink"),
    FILTER_CALL("readlinkat"),
    FILTER_CALL("rmdir"),
    FILTER_CALL("stat"),
    FILTER_CALL("unlink"),
    FILTER_CALL("unlinkat"),

    /* waiting */
    FILTER_CALL("epoll_create1"),
    FILTER_CALL("epoll_ctl"),
    FILTER_CALL("epoll_pwait"),
    FILTER_CALL("epoll_pwait2"),
    FILTER_CALL("epoll_wait"),
    FILTER_CALL("eventfd2"),
    FILTER_CALL("poll"),
    FILTER_CALL("ppoll"),
    FILTER_CALL("timerfd_create"),
    FILTER_CALL("timerfd_settime"),

    /* sockets that are there */
    FILTER_CALL("getpeername"),
    FILTER_CALL("getsockname"),
    FILTER_CALL("getsockopt"),
    FILTER_CALL("recvfrom"),
    FILTER_CALL("recvmsg"),
    FILTER_CALL("sendmsg"),
    FILTER_CALL("sendto"),
    FILTER_CALL("setsockopt"),
    FILTER_CALL("shutdown"),

    /* memory; mapping it is another table's */
    FILTER_CALL("brk"),
    FILTER_CALL("madvise"),
    FILTER_CALL("memfd_create"),
    FILTER_CALL("mremap"),
    FILTER_CALL("mseal"),
    FILTER_CALL("munmap"),
    FILTER_CALL_WITH("prctl", 0, PR_SET_VMA), /* malloc's names for what it maps */

    /* time, numbers, names */
    FILTER_CALL("clock_getres"),
    FILTER_CALL("clock_gettime"),
    FILTER_CALL("clock_nanosleep"),
    FILTER_CALL("getcpu"),
    FILTER_CALL("getegid"),
    FILTER_CALL("geteuid"),
    FILTER_CALL("getgid"),
    FILTER_CALL("getpid"),
    FILTER_CALL("getppid"),
    FILTER_CALL("getrandom"),
    FILTER_CALL("gettid"),
    FILTER_CALL("gettimeofday"),
    FILTER_CALL("getuid"),
    FILTER_CALL("nanosleep"),
    FILTER_CALL_MASKED("prlimit64", 2, UINT64_MAX, 0), /* limits are read, not set */
    FILTER_CALL("sysinfo"),
    FILTER_CALL("time"),
    FILTER_CALL("uname"),

    /* locks, signals, the end; others' signals: see filter_load() */
    FILTER_CALL("exit"),
    FILTER_CALL("exit_group"),
    FILTER_CALL("futex"),
    FILTER_CALL("futex_wait"),
    FILTER_CALL("futex_waitv"),
    FILTER_CALL("futex_wake"),
    FILTER_CALL("restart_syscall"),
    FILTER_CALL("rseq"),
    FILTER_CALL("rt_sigprocmask"),
    FILTER_CALL("rt_sigreturn"),
    FILTER_CALL("sched_getaffinity"),
    FILTER_CALL("sched_yield"),
    FILTER_CALL("set_robust_list"),
    FILTER_CALL("sigaltstack"),
    FILTER_END,
};

const struct filter_rule filter_rules_sockets[] = {
    FILTER_CALL("accept4"),
    FILTER_CALL("bind"),
    FILTER_CALL("connect"),
    FILTER_CALL("listen"),
    FILTER_CALL_WITH("socket", 0, AF_UNIX),
    FILTER_CALL_WITH("socketpair", 0, AF_UNIX),
    FILTER_END,
};

const struct filter_rule filter_rules_no_code[] = {
    FILTER_CALL_MASKED("mmap", 2, PROT_EXEC, 0),
    FILTER_CALL_MASKED("mprotect", 2, PROT_EXEC, 0),
    FILTER_END,
};

/* Not SIGSYS, whose handler names what was forbidden. */
const struct filter_rule filter_rules_signals[] = {
    FILTER_CALL_WITH("rt_sigaction", 0, SIGABRT),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGBUS),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGCHLD),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGINT),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGPIPE),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGTERM),
    FILTER_END,
};

const struct filter_rule filter_rules_sharing[] = {
    FILTER_CALL("inotify_add_watch"),
    FILTER_CALL("inotify_init1"),
    FILTER_CALL("inotify_rm_watch"),
    FILTER_CALL("preadv2"),
    FILTER_CALL_WITH("fcntl", 1, F_OFD_GETLK),
    FILTER_CALL_WITH("fcntl", 1, F_OFD_SETLK),
    FILTER_CALL_WITH("ioctl", 1, DMA_BUF_IOCTL_SYNC),
    FILTER_CALL_WITH("ioctl", 1, DMA_BUF_IOCTL_EXPORT_SYNC_FILE),
    FILTER_END,
};

const struct filter_rule filter_rules_streams[] = {
    FILTER_CALL("fallocate"),
    FILTER_CALL("pipe2"),
    FILTER_CALL("splice"),
    FILTER_END,
};

/* clone3()'s flags are in memory, where a filter does not see them; C libraries fall back to
 * clone(), whose are not. The kernel has no threads with namespaces of their own. */
const struct filter_rule filter_rules_threads[] = {
    FILTER_CALL_FAILS("clone3", ENOSYS),
    FILTER_CALL_MASKED("clone", 0, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD,
                       CLONE_VM | CLONE_SIGHAND | CLONE_THREAD),
    /* those that C libraries keep to themselves for threads */
    FILTER_CALL_WITH("rt_sigaction", 0, 32),
    FILTER_CALL_WITH("rt_sigaction", 0, 33),
    FILTER_CALL_WITH("rt_sigaction", 0, 34),
    FILTER_END,
};

const struct filter_rule filter_rules_vsock[] = {
    FILTER_CALL_WITH("socket", 0, AF_VSOCK),
    FILTER_END,
};
