/* SPDX-License-Identifier: MIT */
/* run-program: owns the connection and three pumps between our descriptors and the program's. It
 * ends when the program has, and nobody has its output open any more. */
#include "command/run-program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command/ask.h"
#include "command/command-options.h"
#include "command/gather.h"
#include "command/terminal.h"
#include "common/base/fd.h"
#include "common/base/pump.h"
#include "common/base/text.h"
#include "common/control/control-request.h"
#include "common/control/control-socket.h"
#include "common/transport/run-socket.h"

static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

struct run {
    struct run_socket socket;
    struct pump pumps[RUN_FDS];
    int theirs[RUN_FDS]; /* owned, until they are sent */
    int signals;         /* signalfd, owned */
    const char *vm;
    bool terminal, started, ended;
    int status;
};

static int run_refuse(struct run *r, int status, const char *text)
{
    terminal_take_back();
    fprintf(stderr, "wayvsock: %s: %s\n", r->vm, text);
    r->ended = true;
    r->status = status;
    return status;
}

/* What the program gets of our environment. */
static char *add_variable(char *at, const char *end, const char *name, uint32_t *n)
{
    const char *value = getenv(name);
    if (!value || !*value)
        return at;
    int wrote = snprintf(at, (size_t)(end - at), "%s=%s", name, value);
    if (wrote < 0 || wrote >= end - at)
        return at;
    (*n)++;
    return at + wrote + 1;
}

/* What the daemon's log is told of it: the request itself is the guest's to read. */
static json_t *run_request(const struct command_options *o)
{
    char what[CONTROL_REQUEST_MAX], *entry[] = {"--entry", (char *)o->entry, NULL};
    text_join(what, sizeof(what), o->entry ? entry : o->words);
    return json_pack("{ss ss so}", "command", "run", "vm", o->vm, "what", json_words(what));
}

/* 0, -E2BIG or -ENOMEM. */
static int run_ask(struct run *r, const struct command_options *o)
{
    static char texts[RUN_TEXTS_MAX];
    char *at = texts, *end = texts + sizeof(texts);
    union run_message m = {.command = {.flags = r->terminal ? RUN_FLAG_TERMINAL : 0}};
    char *entry[] = {(char *)o->entry, NULL};
    for (char **word = o->entry ? entry : o->words; *word; word++) {
        size_t n = strlen(*word) + 1;
        if (n > (size_t)(end - at) || m.command.words == RUN_WORDS_MAX)
            return -E2BIG;
        memcpy(at, *word, n);
        at += n;
        m.command.words++;
    }
    at = add_variable(at, end, "XDG_ACTIVATION_TOKEN", &m.command.variables);
    at = add_variable(at, end, "DESKTOP_STARTUP_ID", &m.command.variables);
    if (r->terminal) {
        terminal_size(&m.command.rows, &m.command.columns);
        at = add_variable(at, end, "TERM", &m.command.variables);
        at = add_variable(at, end, "COLORTERM", &m.command.variables);
    }
    int sent = run_socket_send(&r->socket, o->entry ? RUN_ENTRY : RUN_COMMAND, &m, texts,
                               (uint32_t)(at - texts), r->theirs, RUN_FDS);
    for (int i = 0; i < RUN_FDS; i++)
        r->theirs[i] = fd_close(r->theirs[i]);
    /* Who refuses may have done so already: that is there to be read all the same. */
    return sent == -ENOMEM ? sent : 0;
}

/* Ours at the one end of a pipe: only that one does not wait. */
static int run_open(struct run *r)
{
    for (int i = 0; i < RUN_FDS; i++) {
        int ends[2], own = fcntl(i, F_DUPFD_CLOEXEC, 3);
        if (own < 0) /* it was closed when we were started */
            own = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (own < 0 || pipe2(ends, O_CLOEXEC) < 0) {
            int e = -errno;
            fd_close(own);
            return e;
        }
        r->theirs[i] = ends[i == 0 ? 0 : 1];
        fd_set_nonblock(ends[i == 0 ? 1 : 0]);
        pump_init(&r->pumps[i], i == 0 ? own : ends[0], i == 0 ? ends[1] : own);
    }
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
        sigaddset(&set, passed[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signals < 0 ? -errno : 0;
}

/* From a daemon that refuses, a line of JSON comes instead. */
static void run_lost(struct run *r)
{
    const char *why = r->started ? "the connection was lost" : "its daemon did not take it";
    json_t *said = NULL;
    const char *end = memchr(r->socket.bytes, '\n', r->socket.have);
    if (!r->started && end && r->socket.bytes[0] == '{')
        said = json_read((const char *)r->socket.bytes, (size_t)(end - (char *)r->socket.bytes));
    const char *text = said ? json_text_of(said, "error") : "";
    run_refuse(r, RUN_STATUS_REFUSED, *text ? text : why);
    json_decref(said);
}

static void run_message(struct run *r, unsigned type, const union run_message *m,
                        const uint8_t *data)
{
    switch (type) {
    case RUN_STARTED:
        r->started = true;
        break;
    case RUN_FAILED:
        run_refuse(r, (int)m->failed.status, (const char *)data);
        break;
    case RUN_EXITED:
        r->ended = true;
        r->status = m->exited.signal ? 128 + (int)m->exited.signal : (int)m->exited.status;
        pump_finish(&r->pumps[0]);
        break;
    default:
        run_lost(r);
    }
}

static void run_hear(struct run *r)
{
    union run_message m;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    int got = run_socket_read(&r->socket), next;
    while (!r->ended && (next = run_socket_next(&r->socket, &type, &m, &data, &size)) != 0) {
        if (next < 0)
            run_lost(r);
        else
            run_message(r, type, &m, data);
    }
    if (got < 0 && !r->ended)
        run_lost(r);
}

static void run_signal(struct run *r)
{
    struct signalfd_siginfo info;
    union run_message m = {0};
    if (read(r->signals, &info, sizeof(info)) != sizeof(info) || r->ended)
        return;
    if (info.ssi_signo == SIGWINCH) {
        terminal_size(&m.size.rows, &m.size.columns);
        if (r->terminal)
            run_socket_send(&r->socket, RUN_SIZE, &m, NULL, 0, NULL, 0);
        return;
    }
    if (!r->started) { /* there is nobody to tell */
        terminal_take_back();
        r->ended = true;
        r->status = 128 + (int)info.ssi_signo;
        return;
    }
    m.signal.number = info.ssi_signo;
    run_socket_send(&r->socket, RUN_SIGNAL, &m, NULL, 0, NULL, 0);
}

/* Its output may be here before the word that it was started. */
static bool run_has_written(const struct run *r)
{
    return r->pumps[1].n || r->pumps[2].n;
}

static bool run_is_over(const struct run *r)
{
    return r->ended &&
           (!r->started || (pump_has_ended(&r->pumps[1]) && pump_has_ended(&r->pumps[2])));
}

static void run_serve(struct run *r)
{
    while (!run_is_over(r)) {
        struct pollfd polls[2 + 2 * RUN_FDS] = {
            {.fd = r->ended ? -1 : r->socket.fd, .events = POLLIN},
            {.fd = r->signals, .events = POLLIN}};
        for (int i = 0; i < RUN_FDS; i++)
            pump_poll(&r->pumps[i], &polls[2 + 2 * i]);
        if (poll(polls, 2 + 2 * RUN_FDS, -1) < 0 && errno != EINTR)
            break;
        for (int i = 0; i < RUN_FDS; i++)
            pump_move(&r->pumps[i], &polls[2 + 2 * i]);
        r->started = r->started || run_has_written(r);
        if (polls[0].revents)
            run_hear(r);
        if (polls[1].revents)
            run_signal(r);
    }
}

int run_program(const struct command_options *o)
{
    struct run r = {.vm = o->vm, .signals = -1, .socket = {.fd = -1}};
    struct ask ask;
    char path[CONTROL_PATH_MAX];
    for (int i = 0; i < RUN_FDS; i++) {
        r.theirs[i] = -1;
        r.pumps[i] = (struct pump){.from = -1, .to = -1};
    }
    int e = gather_host(o, path, sizeof(path));
    if (e == 0)
        e = ask_begin(&ask, path, run_request(o));
    if (e < 0)
        return run_refuse(&r, RUN_STATUS_REFUSED,
                          "no daemon answers here: is wayvsock-host running?");
    e = run_socket_init(&r.socket, fd_steal(&ask.fd));
    ask_end(&ask);
    if (e == 0)
        e = run_open(&r);
    r.terminal = !o->no_terminal && terminal_is_there();
    if (e == 0)
        e = run_ask(&r, o);
    if (e == -E2BIG) {
        run_refuse(&r, RUN_STATUS_REFUSED, "the command is longer than 128 KiB");
    } else if (e < 0) {
        run_lost(&r);
    } else {
        if (r.terminal)
            terminal_give();
        run_serve(&r);
        terminal_take_back();
    }
    for (int i = 0; i < RUN_FDS; i++) {
        fd_close(r.theirs[i]);
        pump_finish(&r.pumps[i]);
    }
    fd_close(r.signals);
    run_socket_finish(&r.socket);
    return r.status;
}
