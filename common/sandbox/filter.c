/* SPDX-License-Identifier: MIT */
/* A forbidden call does not happen; its thread gets SIGSYS instead, whose handler writes which one
 * it was and ends the process. The names are looked up beforehand, as a handler may not allocate.
 * Who wants the end without the line (by blocking the signal) gets the end all the same. */
#include "common/sandbox/filter.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <linux/seccomp.h>

#include "common/base/log.h"

#define NUMBERS_MAX 512

static char *names[NUMBERS_MAX]; /* NULL: libseccomp does not know it */

struct text {
    char bytes[160];
    size_t n;
};

static void text_add(struct text *text, const char *more)
{
    while (*more && text->n < sizeof(text->bytes) - 1)
        text->bytes[text->n++] = *more++;
    text->bytes[text->n] = 0;
}

static void text_add_number(struct text *text, uint32_t number, unsigned base)
{
    char digits[12], *at = digits + sizeof(digits) - 1;
    *at = 0;
    do {
        *--at = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    if (base == 16)
        text_add(text, "0x");
    text_add(text, at);
}

/* The first three, which are those that rules look at; whole ones could be addresses, which are
 * nobody's business. */
static void text_add_arguments(struct text *text, const ucontext_t *context)
{
#if defined(__x86_64__)
    const greg_t *regs = context->uc_mcontext.gregs;
    uint32_t arguments[] = {(uint32_t)regs[REG_RDI], (uint32_t)regs[REG_RSI],
                            (uint32_t)regs[REG_RDX]};
#elif defined(__aarch64__)
    const unsigned long long *regs = context->uc_mcontext.regs;
    uint32_t arguments[] = {(uint32_t)regs[0], (uint32_t)regs[1], (uint32_t)regs[2]};
#else
    uint32_t arguments[1];
    (void)context;
    return;
#endif
    for (size_t i = 0; i < sizeof(arguments) / sizeof(*arguments); i++) {
        text_add(text, i ? ", " : " with ");
        text_add_number(text, arguments[i], 16);
    }
}

static void on_sigsys(int signo, siginfo_t *info, void *context)
{
    struct text text = {.n = 0};
    unsigned number = (unsigned)info->si_syscall;
    (void)signo;
    text_add(&text, "not allowed: syscall ");
    text_add(&text, number < NUMBERS_MAX && names[number] ? names[number] : "of this number");
    text_add(&text, " (");
    text_add_number(&text, number, 10);
    text_add(&text, ")");
    text_add_arguments(&text, context);
    log_alarm(text.bytes);
    /* The handler is gone by now (SA_RESETHAND), so this is the end. */
    syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGSYS);
    _exit(128 + SIGSYS);
}

static int catch_sigsys(void)
{
    struct sigaction action = {.sa_sigaction = on_sigsys,
                               .sa_flags = SA_SIGINFO | SA_NODEFER | (int)SA_RESETHAND};
    sigset_t set;
    for (int i = 0; i < NUMBERS_MAX; i++)
        if (!names[i])
            names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    if (sigaction(SIGSYS, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
        return -errno;
    return 0;
}

static int filter_add(scmp_filter_ctx filter, const struct filter_rule *rule)
{
    int call = seccomp_syscall_resolve_name(rule->call);
    if (call < 0) /* of newer kernels, or of other machines */
        return 0;
    struct scmp_arg_cmp compare = {.arg = rule->argument,
                                   .op = SCMP_CMP_MASKED_EQ,
                                   .datum_a = rule->mask,
                                   .datum_b = rule->value};
    uint32_t action = rule->error ? SCMP_ACT_ERRNO((uint16_t)rule->error) : SCMP_ACT_ALLOW;
    int r = seccomp_rule_add_array(filter, action, call, rule->mask ? 1 : 0, &compare);
    return r == -EEXIST ? 0 : r;
}

static int filter_add_signals(scmp_filter_ctx filter, pid_t may_signal)
{
    const struct filter_rule rules[] = {
        FILTER_CALL_WITH("tgkill", 0, getpid()),
        FILTER_CALL_WITH("kill", 0, may_signal),
    };
    int r = filter_add(filter, &rules[0]);
    return r == 0 && may_signal > 0 ? filter_add(filter, &rules[1]) : r;
}

bool filter_available(void)
{
    /* The program is looked at if the mode exists. */
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT;
}

int filter_load(const struct filter_rule *const *tables, pid_t may_signal)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    if (!filter)
        return -ENOMEM;
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    if (r == 0) /* a tree: not every kernel remembers which numbers always pass */
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; tables[i]; i++)
        for (const struct filter_rule *rule = tables[i]; r == 0 && rule->call; rule++)
            r = filter_add(filter, rule);
    if (r == 0)
        r = filter_add_signals(filter, may_signal);
    if (r == 0)
        r = catch_sigsys();
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r > 0 ? -EBUSY : r; /* the number of a thread that has another filter */
}
