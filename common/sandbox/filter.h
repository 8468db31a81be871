/* SPDX-License-Identifier: MIT */
#pragma once
/* filter: which system calls a process may still make, by tables. The only user of libseccomp. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One call that may be made: any, or where (argument & mask) == value. A call that has several
 * rules may be made if one of them fits. */
struct filter_rule {
    const char *call; /* NULL ends a table; one that this machine does not have is left out */
    uint64_t mask;    /* 0: whatever the arguments are */
    uint64_t value;
    uint8_t argument;
    int error; /* not 0: it is not made, and the caller is told this errno */
};

#define FILTER_CALL(name)                                                                          \
    {                                                                                              \
        .call = name                                                                               \
    }
/* An argument that the kernel takes as 32 bits. */
#define FILTER_CALL_WITH(name, which, what)                                                        \
    {                                                                                              \
        .call = name, .argument = which, .mask = UINT32_MAX, .value = (uint32_t)(what)             \
    }
#define FILTER_CALL_MASKED(name, which, bits, what)                                                \
    {                                                                                              \
        .call = name, .argument = which, .mask = bits, .value = what                               \
    }
#define FILTER_CALL_FAILS(name, number)                                                            \
    {                                                                                              \
        .call = name, .error = number                                                              \
    }
#define FILTER_END                                                                                 \
    {                                                                                              \
        .call = NULL                                                                               \
    }

/* Whether this kernel has such filters. */
bool filter_available(void);

/* From now on every thread makes the calls in @tables (a NULL ends them), and signals to itself and
 * to @may_signal (0: nobody else). Another call ends the process with SIGSYS and a line in the log
 * that names it. Needs no-new-privileges. 0 or -errno: nothing has changed. */
int filter_load(const struct filter_rule *const *tables, pid_t may_signal);
