/* SPDX-License-Identifier: MIT */
/* Owns the gate's ends of the channels. A process that says it is idle has its channel closed if
 * nothing was sent meanwhile, and ends by that: so no connection is lost between. What is sent to
 * one that is not there waits in the channel of the next, which is started when the one before has
 * ended, and not at once if that ended badly: whoever can bring it down shall not try often. */
#include "host-proxy/vm-process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/refused.h"
#include "common/transport/packets.h"
#include "common/base/spawner.h"
#include "host-proxy/channel.h"
#include "host-proxy/vm-askers.h"

#define UNTAKEN_MAX 1024 /* connections of a VM that its process has not taken */
#define UNTAKEN_MIN 16
#define ASKED_MAX 16        /* who ask about it, and have not been taken */
#define RUNS_ASKED_MAX 256  /* with those who want a program started there, who come in crowds */
#define CLAIMS_MAX 256      /* devices that a process may say are its VM's; each is told to all */
#define ANSWER_MS 20000     /* for it to take one, or to end: it waits for a compositor at most */
#define START_AGAIN_MS 1000 /* after one that ended badly */

struct vm_process {
    struct vm_processes *all;
    uint32_t number;
    struct log_subject *subject;
    bool alive;               /* started, and its end was not heard of */
    bool killed;              /* by us */
    struct packets *channel;  /* to it, or to the next one; NULL: none */
    int other_end;            /* owned: of the next one, which is not there yet. -1: it has it */
    uint32_t sent, taken;     /* connections, on this channel */
    uint32_t daemons;         /* among those that were sent */
    struct vm_askers askers;  /* who ask, and have not been taken */
    unsigned again;           /* of whom so many may be asked about once more */
    bool idle;                /* as it said last */
    struct loop_timer *watch; /* it has to answer */
    struct loop_timer *start; /* the next one may start */
    int64_t not_before;
    bool has_device; /* this VM's guest has shown that it holds it; it stays this VM's */
    uint8_t device[CHANNEL_DEVICE_SIZE];
    unsigned claims;                           /* of this process */
    unsigned programs;                         /* that run beside it, or beside those before it */
    struct {                                   /* what runs beside it */
        void (*ended)(void *user, int status); /* NULL: it does not run */
        void *user;
    } beside[_VM_PROCESS_KIND_N];
};

struct vm_processes {
    struct loop *loop;
    struct packets *spawner;
    const struct vm_processes_ops *ops;
    void *user;
    struct vm_process *at;
    size_t n;
    uint32_t untaken_max; /* of one */
};

static void process_ask(const struct vm_process *p, enum spawner_kind kind, uint32_t what, int fd)
{
    struct spawner_request request = {.kind = kind, .number = p->number, .what = what};
    packets_send(p->all->spawner, &request, sizeof(request), fd);
}

static void process_request(const struct vm_process *p, enum spawner_kind kind, int fd)
{
    process_ask(p, kind, 0, fd);
}

/* Starts the next one, if there is anything for it to do. */
static void process_start(void *user)
{
    struct vm_process *p = user;
    int64_t now = loop_now_ms();
    if (p->alive || p->other_end < 0)
        return;
    if (now < p->not_before) {
        loop_timer_arm(p->start, (uint64_t)(p->not_before - now));
        return;
    }
    p->alive = true;
    p->killed = false;
    process_request(p, SPAWNER_START, fd_steal(&p->other_end));
    loop_timer_arm(p->watch, ANSWER_MS);
}

static void process_close(struct vm_process *p)
{
    packets_stop(p->channel);
    packets_destroy_later(p->channel);
    p->channel = NULL;
    p->other_end = fd_close(p->other_end);
    vm_askers_clear(&p->askers);
}

/* @why: for the log. */
static void process_kill(struct vm_process *p, const char *why)
{
    refused_warn(p->subject, "process", "its process %s, and is ended", why);
    p->killed = true;
    process_request(p, SPAWNER_KILL, -1);
    if (p->channel && p->other_end < 0)
        process_close(p);
}

static void process_unanswered(void *user)
{
    struct vm_process *p = user;
    if (p->alive)
        process_kill(p, "does not answer");
}

/* Tells @p whose device that of @owner is. */
static void process_tell_device(const struct vm_process *p, const struct vm_process *owner)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet packet = {.kind = CHANNEL_DEVICE, .number = owner->number};
    if (!p->channel || p == owner || !owner->has_device)
        return;
    memcpy(packet.device, owner->device, sizeof(packet.device));
    packets_send(p->channel, bytes, channel_encode(bytes, &packet), -1);
}

/* A device is the VM's that was first to have it. */
static void process_claimed(struct vm_process *p, const uint8_t device[CHANNEL_DEVICE_SIZE])
{
    if (p->has_device && memcmp(p->device, device, sizeof(p->device)) == 0)
        return;
    for (size_t i = 0; i < p->all->n; i++) {
        const struct vm_process *other = &p->all->at[i];
        if (other->has_device && memcmp(other->device, device, sizeof(other->device)) == 0)
            return;
    }
    if (p->claims++ >= CLAIMS_MAX)
        return;
    p->has_device = true;
    memcpy(p->device, device, sizeof(p->device));
    for (size_t i = 0; i < p->all->n; i++)
        process_tell_device(&p->all->at[i], p);
}

/* Closes the channel of one that has nothing to do, and nobody to hear. It has to answer or to end.
 */
static void process_rest(struct vm_process *p)
{
    if (p->taken < p->sent || !p->idle)
        return;
    if (p->askers.n == 0)
        process_close(p);
    loop_timer_arm(p->watch, ANSWER_MS);
}

/* Each says more than the one before, so there are not many. */
static bool process_reported(struct vm_process *p, uint32_t taken, bool idle)
{
    if (taken > p->sent || taken < p->taken || (taken == p->taken && idle <= p->idle))
        return false;
    p->taken = taken;
    p->idle = idle;
    if (p->taken < p->sent) {
        loop_timer_arm(p->watch, ANSWER_MS);
    } else if (!p->idle) {
        loop_timer_disarm(p->watch);
    } else {
        process_rest(p);
    }
    return true;
}

/* The next one of those who ask was taken, or not (@absent): by then it had heard of as many
 * daemons as @daemons. False: that makes no sense. */
static bool process_heard(struct vm_process *p, bool absent, uint32_t daemons)
{
    struct vm_asker *asker = vm_askers_take(&p->askers);
    bool late = absent && daemons != p->daemons; /* one has come meanwhile */
    if (!asker || (late && p->again == 0)) {
        vm_asker_free(asker);
        return false;
    }
    p->again -= late;
    process_rest(p);
    if (absent && asker->fd >= 0 && p->all->ops->absent)
        p->all->ops->absent(p->all->user, p->number, late, asker->line, asker->n,
                            fd_steal(&asker->fd));
    vm_asker_free(asker);
    return true;
}

/* Which services have one, and how many, the spawner knows. Takes @fd, whose end tells that there
 * is no room. */
static void process_wants_program(struct vm_process *p, uint32_t service, int fd)
{
    if (p->programs >= SPAWNER_ASSISTANTS_MAX) {
        fd_close(fd);
        return;
    }
    p->programs++;
    process_ask(p, SPAWNER_ASSIST, service, fd);
}

static void process_said(void *user, const uint8_t *bytes, size_t size, int fd)
{
    struct vm_process *p = user;
    struct channel_packet packet;
    bool good = channel_decode(bytes, size, &packet) == 0;
    if (good && fd >= 0 && packet.kind == CHANNEL_PROGRAM) {
        process_wants_program(p, packet.number, fd);
        return;
    }
    good &= fd < 0;
    fd_close(fd);
    if (good && packet.kind == CHANNEL_DEVICE)
        process_claimed(p, packet.device);
    else if (good && packet.kind == CHANNEL_REPORT)
        good = process_reported(p, packet.taken, packet.idle);
    else if (good && packet.kind == CHANNEL_HEARD)
        good = process_heard(p, false, 0);
    else
        good = good && packet.kind == CHANNEL_ABSENT && process_heard(p, true, packet.number);
    if (!good)
        process_kill(p, "said what makes no sense");
}

/* Why, its end tells. */
static void process_closed(void *user, int reason)
{
    struct vm_process *p = user;
    (void)reason;
    process_close(p);
    if (p->alive)
        loop_timer_arm(p->watch, ANSWER_MS);
}

static const struct packets_ops channel_ops = {.received = process_said, .closed = process_closed};

static void process_ended(struct vm_process *p, int status)
{
    p->alive = false;
    loop_timer_disarm(p->watch);
    if (p->channel && p->other_end < 0)
        process_close(p);
    bool badly = true;
    if (status < 0)
        log_error(p->subject, "its process cannot be started: %s", strerror(-status));
    else if (WIFSIGNALED(status) && !p->killed)
        log_warn(p->subject,
                 "its process was ended by signal %d (%s); the next connection of its "
                 "daemon starts another",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WIFEXITED(status) && WEXITSTATUS(status))
        log_warn(p->subject, "its process ended with status %d", WEXITSTATUS(status));
    else
        badly = p->killed;
    p->not_before = badly ? loop_now_ms() + START_AGAIN_MS : 0;
    process_start(p);
}

static void beside_ended(struct vm_process *p, enum vm_process_kind kind, int status)
{
    void (*ended)(void *user, int status) = p->beside[kind].ended;
    p->beside[kind].ended = NULL;
    if (ended)
        ended(p->beside[kind].user, status);
}

int vm_process_run(struct vm_process *p, enum vm_process_kind kind,
                   void (*ended)(void *user, int status), void *user)
{
    struct spawner_request request = {.kind = SPAWNER_START,
                                      .number = (uint32_t)(p->all->n * (1 + kind)) + p->number};
    int ends[2];
    if (p->beside[kind].ended)
        return -EBUSY;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    p->beside[kind].ended = ended;
    p->beside[kind].user = user;
    packets_send(p->all->spawner, &request, sizeof(request), ends[1]);
    return ends[0];
}

static void spawner_said(void *user, const uint8_t *bytes, size_t size, int fd)
{
    struct vm_processes *all = user;
    struct spawner_report report;
    fd_close(fd);
    if (size != sizeof(report))
        return;
    memcpy(&report, bytes, sizeof(report));
    struct vm_process *p = report.number < all->n ? &all->at[report.number] : NULL;
    if (p && report.kind == SPAWNER_ASSIST && p->programs)
        p->programs--;
    else if (p && report.kind == SPAWNER_START && p->alive)
        process_ended(p, report.status);
    else if (!p && report.kind == SPAWNER_START && all->n &&
             report.number / all->n <= _VM_PROCESS_KIND_N)
        beside_ended(&all->at[report.number % all->n], report.number / all->n - 1, report.status);
}

static void spawner_closed(void *user, int reason)
{
    struct vm_processes *all = user;
    log_error(NULL, "the process that starts those of the VMs is gone%s%s", reason ? ": " : "",
              reason ? strerror(-reason) : "");
    all->ops->lost(all->user);
}

static const struct packets_ops spawner_packets_ops = {.received = spawner_said,
                                                       .closed = spawner_closed};

struct vm_process *vm_processes_at(struct vm_processes *all, size_t number,
                                   struct log_subject *subject)
{
    all->at[number].subject = subject;
    return &all->at[number];
}

struct vm_process *vm_processes_number(struct vm_processes *all, size_t number)
{
    return &all->at[number];
}

struct log_subject *vm_process_subject(const struct vm_process *p)
{
    return p->subject;
}

const char *vm_process_state(const struct vm_process *p)
{
    return !p->channel ? "absent" : p->alive ? "running" : "starting";
}

bool vm_process_is_there(const struct vm_process *p)
{
    return p->channel;
}

bool vm_process_has_room(const struct vm_process *p)
{
    return !p->channel || p->sent - p->taken < p->all->untaken_max;
}

static int process_open(struct vm_process *p)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    p->channel = packets_create(p->all->loop, ends[0], CHANNEL_PACKET_MAX,
                                p->all->untaken_max + RUNS_ASKED_MAX + CLAIMS_MAX * p->all->n,
                                &channel_ops, p);
    if (!p->channel) {
        fd_close(ends[1]);
        return -ENOMEM;
    }
    p->other_end = ends[1];
    p->sent = p->taken = p->claims = p->daemons = p->again = 0;
    p->idle = false;
    for (size_t i = 0; i < p->all->n; i++)
        process_tell_device(p, &p->all->at[i]);
    return 0;
}

int vm_process_give(struct vm_process *p, const struct channel_packet *packet, int fd)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    size_t n = channel_encode(bytes, packet);
    int r = p->channel ? 0 : process_open(p);
    if (r < 0) {
        fd_close(fd);
        return r;
    }
    if (p->sent++ == p->taken && p->alive && p->other_end < 0)
        loop_timer_arm(p->watch, ANSWER_MS);
    if (channel_is_daemon(packet)) {
        p->daemons++;
        p->again = RUNS_ASKED_MAX;
    }
    packets_send(p->channel, bytes, n, fd);
    explicit_bzero(bytes, sizeof(bytes)); /* keys */
    process_start(p);
    return 0;
}

const char *vm_process_unasked(const struct vm_process *p, bool run)
{
    unsigned max = run ? RUNS_ASKED_MAX : ASKED_MAX;
    return !p->channel ? "the VM is not there" : p->askers.n >= max ? "the VM is busy" : NULL;
}

void vm_process_ask(struct vm_process *p, const char *line, size_t size, bool keep, int fd)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet packet = {.kind = CHANNEL_CONTROL, .line = line, .line_size = size};
    if (vm_askers_add(&p->askers, line, size, keep ? fd : -1) < 0) {
        fd_close(fd);
        return;
    }
    packets_send(p->channel, bytes, channel_encode(bytes, &packet), fd);
}

/* Half of this process's descriptors are for connections that wait to be taken, the same for each.
 */
static uint32_t processes_share(size_t n)
{
    uint64_t share = fd_raise_limit() / 2 / (n ? n : 1);
    return share > UNTAKEN_MAX ? UNTAKEN_MAX : share < UNTAKEN_MIN ? UNTAKEN_MIN : (uint32_t)share;
}

struct vm_processes *vm_processes_create(struct loop *loop, const struct spawner *spawner, size_t n,
                                         const struct vm_processes_ops *ops, void *user)
{
    struct vm_processes *all = calloc(1, sizeof(*all));
    if (!all)
        return NULL;
    *all = (struct vm_processes){
        .loop = loop, .ops = ops, .user = user, .untaken_max = processes_share(n)};
    all->at = calloc(n ? n : 1, sizeof(*all->at));
    int fd = all->at ? fcntl(spawner->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd >= 0)
        all->spawner =
            packets_create(loop, fd, sizeof(struct spawner_report),
                           (3 * (1 + _VM_PROCESS_KIND_N) + SPAWNER_ASSISTANTS_MAX) * n + 1,
                           &spawner_packets_ops, all);
    bool good = all->spawner;
    while (good && all->n < n) {
        struct vm_process *p = &all->at[all->n];
        *p = (struct vm_process){.all = all, .number = (uint32_t)all->n++, .other_end = -1};
        vm_askers_init(&p->askers);
        p->watch = loop_timer_create(loop, process_unanswered, p);
        p->start = loop_timer_create(loop, process_start, p);
        good = p->watch && p->start;
    }
    if (good)
        return all;
    vm_processes_destroy(all);
    errno = ENOMEM;
    return NULL;
}

void vm_processes_destroy(struct vm_processes *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++) {
        struct vm_process *p = &all->at[i];
        packets_destroy(p->channel);
        fd_close(p->other_end);
        vm_askers_clear(&p->askers);
        loop_timer_destroy(p->watch);
        loop_timer_destroy(p->start);
    }
    packets_destroy(all->spawner);
    free(all->at);
    free(all);
}
