/* SPDX-License-Identifier: MIT */
/* bench_vsock: the two ends of a vsock device, without anything else. The server does what the
 * first byte of a connection asks for; the client measures one operation, and prints nanoseconds
 * of it as JSON. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define PING 64
#define BULK 65536

enum ask { ASK_ECHO = 'e', ASK_SINK = 's', ASK_SOURCE = 'r' };

static uint8_t buffer[BULK];

static void fail(const char *what)
{
    fprintf(stderr, "bench_vsock: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* "vsock:CID:PORT" or a path. A connection, a listener, or -1. */
static int open_socket(const char *text, bool server)
{
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_vm vm;
    } a = {.any.sa_family = AF_UNIX};
    socklen_t size = sizeof(a.un);
    unsigned cid, port;
    if (sscanf(text, "vsock:%u:%u", &cid, &port) == 2) {
        a.vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
        size = sizeof(a.vm);
    } else {
        snprintf(a.un.sun_path, sizeof(a.un.sun_path), "%s", text);
    }
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -1 : server ? bind(fd, &a.any, size) : connect(fd, &a.any, size);
    if (r == 0 && (!server || listen(fd, 64) == 0))
        return fd;
    int e = errno;
    if (fd >= 0)
        close(fd);
    errno = e;
    return -1;
}

/* Whether all of it went out or came. */
static bool send_all(int fd, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, buffer + at, size - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static bool receive_all(int fd, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = recv(fd, buffer + at, size - at, 0);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static void serve_one(int fd)
{
    uint8_t ask = 0;
    if (recv(fd, &ask, 1, 0) != 1)
        return;
    while (ask == ASK_ECHO && receive_all(fd, PING) && send_all(fd, PING))
        ;
    while (ask == ASK_SOURCE && send_all(fd, BULK))
        ;
    while (ask == ASK_SINK && receive_all(fd, BULK)) {
        if (buffer[0]) /* it was the last: no device is asked for half-closes here */
            send_all(fd, 1);
    }
}

static int serve(const char *address)
{
    int listener = open_socket(address, true);
    if (listener < 0)
        fail(address);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && fork() == 0) {
            close(listener);
            serve_one(fd);
            _exit(0);
        }
        if (fd >= 0)
            close(fd);
    }
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ask(const char *address, enum ask what)
{
    uint8_t byte = (uint8_t)what;
    int fd = open_socket(address, false);
    if (fd < 0 || send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
        fail(address);
    return fd;
}

/* One operation of @fd; how many of them it was. */
static uint64_t once(int fd, enum ask what)
{
    if (what == ASK_ECHO && send_all(fd, PING) && receive_all(fd, PING))
        return 1;
    if (what == ASK_SINK && send_all(fd, BULK))
        return BULK;
    ssize_t n = what == ASK_SOURCE ? recv(fd, buffer, BULK, 0) : -1;
    if (n <= 0)
        fail("the connection");
    return (uint64_t)n;
}

/* Nanoseconds per round trip or per byte. */
static double measure(const char *address, enum ask what, uint64_t duration)
{
    int fd = ask(address, what);
    uint64_t n = 0;
    for (uint64_t warm = now_ns() + duration / 5; now_ns() < warm;)
        once(fd, what);
    uint64_t from = now_ns(), to = from + duration;
    while (now_ns() < to)
        n += once(fd, what);
    if (what == ASK_SINK) { /* what was sent has arrived */
        buffer[0] = 1;
        n += once(fd, what);
        if (!receive_all(fd, 1))
            fail("the end");
    }
    double ns = (double)(now_ns() - from) / (double)n;
    close(fd);
    return ns;
}

/* Until it is refused, or 0: it was not. */
static double refused(const char *address)
{
    uint64_t from = now_ns();
    int fd = open_socket(address, false);
    double ns = fd < 0 ? (double)(now_ns() - from) : 0;
    if (fd >= 0)
        close(fd);
    return ns;
}

/* A connection that sends or receives all the time, until its owner ends. */
static pid_t start_bulk(const char *address, enum ask what)
{
    int fd = ask(address, what);
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            once(fd, what);
    }
    close(fd);
    return pid;
}

int main(int argc, char **argv)
{
    static const char usage[] =
        "usage: bench_vsock serve ADDRESS\n"
        "       bench_vsock ping|send|receive|refused|hold ADDRESS MILLISECONDS [send|receive]\n";
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc < 4) {
        fputs(usage, stderr);
        return 2;
    }
    const char *what = argv[1], *beside = argc > 4 ? argv[4] : "";
    uint64_t ms = strtoull(argv[3], NULL, 10);
    pid_t bulk = 0;
    double ns;
    if (*beside)
        bulk = start_bulk(argv[2], strcmp(beside, "send") == 0 ? ASK_SINK : ASK_SOURCE);
    if (strcmp(what, "hold") == 0) { /* an idle connection */
        int fd = ask(argv[2], ASK_ECHO);
        usleep((useconds_t)(ms * 1000));
        close(fd);
        return 0;
    }
    if (strcmp(what, "refused") == 0)
        ns = refused(argv[2]);
    else
        ns = measure(argv[2],
                     strcmp(what, "ping") == 0   ? ASK_ECHO
                     : strcmp(what, "send") == 0 ? ASK_SINK
                                                 : ASK_SOURCE,
                     ms * 1000000);
    if (bulk > 0) {
        kill(bulk, SIGKILL);
        waitpid(bulk, NULL, 0);
    }
    printf("{\"ns\": %.6f}\n", ns);
    return 0;
}
