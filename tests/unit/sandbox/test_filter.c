/* SPDX-License-Identifier: MIT */
/* What the filter of a program ends, and the line that says so; and what it lets pass. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/sandbox/filter-rules.h"
#include "tests/unit/sandbox/limited.h"

#define FINE 7

static void enter(void)
{
    static const struct filter_rule *const tables[] = {filter_rules_base,
                                                       filter_rules_sockets,
                                                       filter_rules_no_code,
                                                       filter_rules_signals,
                                                       filter_rules_streams,
                                                       filter_rules_threads,
                                                       NULL};
    if (filter_load(tables, 0) < 0)
        _exit(99);
}

static void enter_vsock(void)
{
    static const struct filter_rule *const tables[] = {filter_rules_base, filter_rules_sockets,
                                                       filter_rules_vsock, NULL};
    if (filter_load(tables, 0) < 0)
        _exit(99);
}

static void needs_filters(void)
{
    if (!filter_available())
        skip();
}

static void is_fine(int (*act)(void))
{
    struct limited limited = limited_run(enter, act);
    assert_string_equal(limited.line, "");
    assert_int_equal(limited.signal, 0);
    assert_int_equal(limited.status, FINE);
}

/* @what: how the line goes on. */
static void is_the_end(void (*in)(void), int (*act)(void), const char *what)
{
    char expected[128];
    snprintf(expected, sizeof(expected), "limited: error: not allowed: syscall %s", what);
    struct limited limited = limited_run(in, act);
    assert_memory_equal(limited.line, expected, strlen(expected));
    assert_non_null(strchr(limited.line, '\n'));
    assert_int_equal(limited.signal, SIGSYS);
}

static long tried;

static int try_call(void)
{
    syscall(tried, 0, 0, 0, 0, 0, 0);
    return FINE;
}

static void test_calls(void **state)
{
    static const struct {
        long number;
        const char *name;
    } calls[] = {
        {SYS_execve, "execve"},
        {SYS_execveat, "execveat"},
        {SYS_ptrace, "ptrace"},
        {SYS_process_vm_readv, "process_vm_readv"},
        {SYS_setuid, "setuid"},
        {SYS_unshare, "unshare"},
        {SYS_mount, "mount"},
        {SYS_bpf, "bpf"},
        {SYS_keyctl, "keyctl"},
        {SYS_userfaultfd, "userfaultfd"},
        {SYS_io_uring_setup, "io_uring_setup"},
        {SYS_perf_event_open, "perf_event_open"},
        {SYS_mkdirat, "mkdirat"},
        {SYS_fchmod, "fchmod"},
        {SYS_renameat2, "renameat2"},
        {SYS_symlinkat, "symlinkat"},
        {SYS_seccomp, "seccomp"},
    };
    char what[64];
    (void)state;
    needs_filters();
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        tried = calls[i].number;
        snprintf(what, sizeof(what), "%s (%ld)", calls[i].name, tried);
        is_the_end(enter, try_call, what);
    }
    tried = 5000; /* of no kernel yet */
    is_the_end(enter, try_call, "of this number (5000)");
}

static int family;

static int make_socket(void)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno != EAFNOSUPPORT ? 1 : FINE;
}

/* The kernel looks at 32 bits only. */
static int make_socket_disguised(void)
{
    syscall(SYS_socket, 1ul << 32 | (unsigned)AF_INET, SOCK_STREAM, 0);
    return FINE;
}

static void test_socket_families(void **state)
{
    static const int forbidden[] = {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK};
    (void)state;
    needs_filters();
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++) {
        family = forbidden[i];
        is_the_end(enter, make_socket, "socket (");
    }
    is_the_end(enter, make_socket_disguised, "socket (");
    family = AF_UNIX;
    is_fine(make_socket);
    family = AF_VSOCK;
    struct limited limited = limited_run(enter_vsock, make_socket);
    assert_int_equal(limited.status, FINE);
    family = AF_INET;
    is_the_end(enter_vsock, make_socket, "socket (");
}

static int map_code(void)
{
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return FINE;
}

static int protect_code(void)
{
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(map, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    return FINE;
}

static int map_data(void)
{
    void *map = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map != MAP_FAILED && mprotect(map, 4096, PROT_READ | PROT_WRITE) == 0 &&
                   munmap(map, 8192) == 0
               ? FINE
               : 1;
}

static void test_code(void **state)
{
    (void)state;
    needs_filters();
    is_the_end(enter, map_code, "mmap (");
    is_the_end(enter, protect_code, "mprotect (");
    is_fine(map_data);
}

static int push_characters(void)
{
    ioctl(0, TIOCSTI, "x");
    return FINE;
}

static int set_owner(void)
{
    fcntl(0, F_SETOWN, 1);
    return FINE;
}

static int common_requests(void)
{
    int ends[2], n = -1;
    return pipe2(ends, O_CLOEXEC) == 0 && ioctl(ends[0], FIONREAD, &n) == 0 && n == 0 &&
                   fcntl(ends[0], F_SETPIPE_SZ, 8192) >= 8192 &&
                   fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0
               ? FINE
               : 1;
}

static int lower_limit(void)
{
    struct rlimit limit = {16, 16};
    setrlimit(RLIMIT_NOFILE, &limit);
    return FINE;
}

static int read_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? FINE : 1;
}

static void test_requests(void **state)
{
    char what[64];
    (void)state;
    needs_filters();
    /* The arguments tell which request it was. */
    snprintf(what, sizeof(what), "ioctl (%ld) with 0x0, 0x5412, 0x", (long)SYS_ioctl);
#if defined(__x86_64__) || defined(__aarch64__)
    is_the_end(enter, push_characters, what);
#else
    is_the_end(enter, push_characters, "ioctl (");
#endif
    is_the_end(enter, set_owner, "fcntl (");
    is_the_end(enter, lower_limit, "prlimit64 (");
    is_fine(common_requests);
    is_fine(read_limit);
}

static int signal_parent(void)
{
    kill(getppid(), 0);
    return FINE;
}

static int replace_handler(void)
{
    signal(SIGSYS, SIG_IGN);
    return FINE;
}

static int block_signal(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setuid(0);
    return FINE;
}

static int give_up(void)
{
    abort();
}

static void test_signals(void **state)
{
    (void)state;
    needs_filters();
    is_the_end(enter, signal_parent, "kill (");
    is_the_end(enter, replace_handler, "rt_sigaction (");
    /* There is no line, but an end. */
    assert_int_equal(limited_run(enter, block_signal).signal, SIGSYS);
    struct limited limited = limited_run(enter, give_up);
    assert_string_equal(limited.line, "");
    assert_int_equal(limited.signal, SIGABRT);
}

static void *in_thread(void *user)
{
    if (user)
        setns(0, 0);
    return NULL;
}

static int run_thread(void *user)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, in_thread, user) == 0 && pthread_join(thread, NULL) == 0
               ? FINE
               : 1;
}

static int good_thread(void)
{
    return run_thread(NULL);
}

static int bad_thread(void)
{
    return run_thread(&family);
}

static int make_process(void)
{
    return fork() == 0 ? 1 : FINE;
}

static void test_threads(void **state)
{
    (void)state;
    needs_filters();
    is_fine(good_thread);
    is_the_end(enter, bad_thread, "setns (");
    is_the_end(enter, make_process, "clone (");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),   cmocka_unit_test(test_socket_families),
        cmocka_unit_test(test_code),    cmocka_unit_test(test_requests),
        cmocka_unit_test(test_signals), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
