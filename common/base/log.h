/* SPDX-License-Identifier: MIT */
#pragma once
/* log: lines on stderr, with sd-daemon prefixes under systemd, rate-limited per subject. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct refused;

/* Whom a line is about: prefixed to it ("vm work client 7 (foot)"), and the budget of lines that a
 * hostile peer may cause. Zero-initialise; @name is borrowed. */
struct log_subject {
    const char *name;
    struct refused *refused;    /* of one without a parent: what was refused it; NULL: not kept */
    struct log_subject *parent; /* its name comes first; NULL if none */
    int64_t window_start_ms;
    unsigned in_window;
    unsigned suppressed;
    struct log_budget {    /* of one without a parent, for its own lines and all below it */
        int64_t filled_ms; /* when; 0: never used */
        unsigned lines_used, bytes_used;
        unsigned left_out; /* lines; 0: they are written */
    } budget;
};

/* @program is borrowed for the process's life. */
void log_init(const char *program, enum log_level level);
/* Accepts error, warn, info, debug. 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret_level);
bool log_enabled(enum log_level level);

/* One line; keeps errno. @subject may be NULL. Control characters in the text are escaped. More
 * than 20 lines per 10 s and subject are counted instead of written, and more than a subject
 * without a parent has in its budget, its children's lines included: 200 lines and 64 KiB at first,
 * which come back by 17000 lines and 5 MiB a day. (Debug lines excepted, and those without a
 * subject.) */
void log_line(enum log_level level, struct log_subject *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An error without a subject, of printable text; a signal handler may call it. */
void log_alarm(const char *text);

#define log_error(subject, ...) log_line(LOG_LEVEL_ERROR, subject, __VA_ARGS__)
#define log_warn(subject, ...) log_line(LOG_LEVEL_WARN, subject, __VA_ARGS__)
#define log_info(subject, ...) log_line(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_debug(subject, ...)                                                                    \
    do {                                                                                           \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                          \
            log_line(LOG_LEVEL_DEBUG, subject, __VA_ARGS__);                                       \
    } while (0)
