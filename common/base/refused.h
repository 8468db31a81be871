/* SPDX-License-Identifier: MIT */
#pragma once
/* refused: what was refused lately, for people who ask why something does not work. */
#include <stdint.h>

#include "common/base/log.h"

#define REFUSED_MAX 32

/* Of one VM, or display; a log_subject without a parent refers to it. Zero-initialise. */
struct refused {
    unsigned n;
    struct refused_entry {
        int64_t when;   /* the last time; ms since 1970 */
        uint64_t times; /* the same in a row, or among others */
        char rule[24];  /* "max-clients", or a kind of error: "wayland" */
        char who[64];   /* whose; "": nobody's that has a name */
        char text[320]; /* anybody's words */
    } at[REFUSED_MAX];  /* the oldest first */
};

/* Another process has had it before, in memory that both share: whatever is there, it is
 * well-formed now. */
void refused_take_over(struct refused *refused);
/* Notes it where the subject's first parent says; does nothing without one. The rule is the limit
 * that the text names in brackets, if it does: "… (max-clients)", else @rule. */
void refused_note(const struct log_subject *subject, const char *rule, const char *text);
/* The same, and a warning in the log. */
void refused_warn(struct log_subject *subject, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
