/* SPDX-License-Identifier: MIT */
/* runner: waits for its program and for what the host says about it. When the connection ends
 * first, the program gets SIGHUP, as if its terminal were gone. */
#include "guest-proxy/run/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/pump.h"
#include "common/base/text.h"
#include "common/transport/run-socket.h"
#include "guest-proxy/run/desktop-list.h"
#include "guest-proxy/run/menu.h"
#include "guest-proxy/run/run-child.h"

#define FIRST_MS 10000 /* for the request */

struct runner {
    struct run_socket socket;
    struct log_subject subject;
    char name[32];
    struct run_child child;
    int children;        /* signalfd, owned */
    struct pump in, out; /* of a terminal */
    bool over;           /* the host's program is gone */
};

static void answer_failed(struct runner *r, int error, const char *what)
{
    char text[RUN_TEXT_MAX];
    snprintf(text, sizeof(text), "cannot run %.200s: %s", what, strerror(error));
    log_warn(&r->subject, "%s", text);
    run_fail(r->socket.fd, error == ENOENT ? 127 : 126, text);
}

static void runner_hear(struct runner *r)
{
    union run_message m;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    int got = run_socket_read(&r->socket);
    r->over = got < 0;
    while (!r->over && (got = run_socket_next(&r->socket, &type, &m, &data, &size)) != 0) {
        if (got > 0 && type == RUN_SIGNAL)
            run_child_signal(&r->child, (int)m.signal.number);
        else if (got > 0 && type == RUN_SIZE)
            run_child_resize(&r->child, m.size.rows, m.size.columns);
        else
            r->over = true;
    }
}

/* What it wrote before it ended is still in its terminal. */
static void runner_drain(struct runner *r)
{
    while (!pump_has_ended(&r->out)) {
        struct pollfd polls[2];
        pump_poll(&r->out, polls);
        if (poll(polls, 2, r->out.at < r->out.n ? -1 : 0) <= 0)
            break;
        pump_move(&r->out, polls);
    }
}

/* Waits for the program's end: 1 and *ret, or 0: the connection ended before. */
static int runner_wait(struct runner *r, int *ret_status)
{
    while (!r->over) {
        struct pollfd polls[6] = {{.fd = r->socket.fd, .events = POLLIN},
                                  {.fd = r->children, .events = POLLIN}};
        pump_poll(&r->in, &polls[2]);
        pump_poll(&r->out, &polls[4]);
        if (poll(polls, 6, -1) < 0 && errno != EINTR)
            return 0;
        pump_move(&r->in, &polls[2]);
        pump_move(&r->out, &polls[4]);
        if (polls[0].revents)
            runner_hear(r);
        if (polls[1].revents) {
            struct signalfd_siginfo info;
            if (read(r->children, &info, sizeof(info)) == sizeof(info) &&
                waitpid(r->child.pid, ret_status, WNOHANG) == r->child.pid)
                return 1;
        }
    }
    return 0;
}

static void runner_answer(struct runner *r, int status)
{
    union run_message m = {0};
    if (WIFEXITED(status))
        m.exited.status = (uint32_t)WEXITSTATUS(status);
    else
        m.exited.signal = (uint32_t)WTERMSIG(status);
    log_info(&r->subject, WIFEXITED(status) ? "ended with status %d" : "ended by signal %d",
             WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    run_socket_send(&r->socket, RUN_EXITED, &m, NULL, 0, NULL, 0);
}

/* A terminal's both directions; what there is no pipe for ends at once. */
static int runner_join_terminal(struct runner *r)
{
    int copy = fcntl(r->child.terminal, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    pump_init(&r->in, r->socket.fds[0], copy);
    pump_init(&r->out, r->child.terminal, r->socket.fds[1]);
    fd_close(r->socket.fds[2]);
    r->socket.fds_n = 0;
    return 0;
}

static void runner_run(struct runner *r, const struct run_child_spec *spec)
{
    char text[400];
    int status;
    text_join(text, sizeof(text), spec->words);
    int e = run_child_start(spec, &r->child);
    if (e < 0) {
        answer_failed(r, -e, spec->words[0]);
        return;
    }
    log_info(&r->subject, "started for the host, as process %ld: %s", (long)r->child.pid, text);
    if (!spec->terminal) {
        while (r->socket.fds_n)
            fd_close(r->socket.fds[--r->socket.fds_n]);
    } else if (runner_join_terminal(r) < 0) {
        run_child_signal(&r->child, SIGKILL);
    }
    run_socket_send(&r->socket, RUN_STARTED, NULL, NULL, 0, NULL, 0);
    if (runner_wait(r, &status)) {
        runner_drain(r);
        runner_answer(r, status);
        return;
    }
    log_info(&r->subject, "the host's side is gone, it is hung up");
    run_child_signal(&r->child, SIGHUP);
    run_child_signal(&r->child, SIGCONT); /* or one that is stopped would not hear of it */
}

/* The texts of a COMMAND: two lists of strings that are in @data. */
static int split(const struct run_command *c, const uint8_t *data, uint32_t size, char **words,
                 char **variables)
{
    const uint8_t *end = data + size;
    for (uint32_t i = 0; i < c->words; i++)
        words[i] = (char *)run_text_next(&data, end);
    words[c->words] = NULL;
    for (uint32_t i = 0; i < c->variables; i++) {
        variables[i] = (char *)run_text_next(&data, end);
        if (!strchr(variables[i], '='))
            return -EPROTO;
    }
    variables[c->variables] = NULL;
    return *words[0] ? 0 : -EPROTO;
}

static void runner_command(struct runner *r, const struct run_command *c, const uint8_t *data,
                           uint32_t size)
{
    char **words = calloc((size_t)c->words + 1, sizeof(*words));
    char *variables[RUN_VARIABLES_MAX + 1];
    /* The socket's buffer is used again while it runs. */
    uint8_t *texts = malloc(size);
    if (words && texts) {
        memcpy(texts, data, size);
        struct run_child_spec spec = {.words = words,
                                      .variables = variables,
                                      .terminal = c->flags & RUN_FLAG_TERMINAL,
                                      .rows = c->rows,
                                      .columns = c->columns,
                                      .fds = r->socket.fds};
        if (split(c, texts, size, words, variables) < 0 || r->socket.fds_n != RUN_FDS)
            run_fail(r->socket.fd, 126, "the request makes no sense");
        else
            runner_run(r, &spec);
    }
    free(texts);
    free(words);
}

/* What its entry says, in words that are in static memory. */
static void runner_entry(struct runner *r, const struct run_command *c, const uint8_t *data,
                         uint32_t size)
{
    static struct desktop_entry entry;
    static char buffer[2 * DESKTOP_VALUE_MAX];
    char *words[DESKTOP_WORDS_MAX + 1], *asked[2], *variables[RUN_VARIABLES_MAX + 1];
    uint8_t *texts = malloc(size);
    if (!texts)
        return;
    memcpy(texts, data, size);
    struct run_child_spec spec = {.words = words,
                                  .variables = variables,
                                  .terminal = c->flags & RUN_FLAG_TERMINAL,
                                  .rows = c->rows,
                                  .columns = c->columns,
                                  .fds = r->socket.fds};
    if (split(c, texts, size, asked, variables) < 0 || r->socket.fds_n != RUN_FDS) {
        run_fail(r->socket.fd, 126, "the request makes no sense");
    } else if (desktop_find(asked[0], &entry) < 0 ||
               desktop_entry_words(&entry, buffer, words) < 0) {
        log_warn(&r->subject, "the host asked for the menu's entry %s, which is not there",
                 asked[0]);
        run_fail(r->socket.fd, 127, "the menu has no such entry any more");
    } else {
        spec.folder = *entry.folder ? entry.folder : NULL;
        runner_run(r, &spec);
    }
    free(texts);
}

static void runner_begin(struct runner *r)
{
    union run_message m;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    int got = run_socket_wait(&r->socket, FIRST_MS, &type, &m, &data, &size);
    if (got > 0 && type == RUN_COMMAND)
        runner_command(r, &m.command, data, size);
    else if (got > 0 && type == RUN_ENTRY)
        runner_entry(r, &m.command, data, size);
    else if (got > 0 && type == RUN_MENU)
        menu_serve(&r->socket, &r->subject);
    else if (got != -ECONNRESET)
        run_fail(r->socket.fd, 126, "the request makes no sense to this guest's wayvsock");
}

int runner_serve(uint32_t number, int connection)
{
    struct runner r = {.in = {.from = -1, .to = -1}, .out = {.from = -1, .to = -1}};
    sigset_t child;
    prctl(PR_SET_NAME, "wayvsock-run");
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    snprintf(r.name, sizeof(r.name), "run %" PRIu32, number);
    r.subject.name = r.name;
    r.children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run_socket_init(&r.socket, connection) == 0 && r.children >= 0)
        runner_begin(&r);
    pump_finish(&r.in);
    pump_finish(&r.out);
    run_socket_finish(&r.socket);
    fd_close(r.children);
    return 0;
}

void runner_clean_environment(void)
{
    static const char *const ours[] = {"WAYLAND_SOCKET",
                                       "NOTIFY_SOCKET",
                                       "LISTEN_FDS",
                                       "LISTEN_PID",
                                       "LISTEN_FDNAMES",
                                       "WATCHDOG_PID",
                                       "WATCHDOG_USEC",
                                       "INVOCATION_ID",
                                       "JOURNAL_STREAM",
                                       "CREDENTIALS_DIRECTORY",
                                       "MEMORY_PRESSURE_WATCH",
                                       "MEMORY_PRESSURE_WRITE"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        unsetenv(ours[i]);
}
