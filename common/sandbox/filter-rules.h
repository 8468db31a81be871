/* SPDX-License-Identifier: MIT */
#pragma once
/* filter-rules: tables of system calls that several programs have in common. */
#include "common/sandbox/filter.h"

extern const struct filter_rule filter_rules_base[];    /* what each of them needs */
extern const struct filter_rule filter_rules_sockets[]; /* new Unix sockets */
extern const struct filter_rule filter_rules_no_code[]; /* memory, but none that is executed */
extern const struct filter_rule filter_rules_signals[]; /* handlers for a few signals only */
extern const struct filter_rule
    filter_rules_sharing[]; /* memory and eventfds of programs of both sides */
extern const struct filter_rule filter_rules_streams[]; /* links, pipes, and mirrors of memory */
extern const struct filter_rule filter_rules_threads[]; /* more threads, never processes */
extern const struct filter_rule filter_rules_vsock[];   /* AF_VSOCK sockets */
