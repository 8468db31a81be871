/* SPDX-License-Identifier: MIT */
/* log: composes one line in a fixed buffer and writes it with one write(2), so that lines of
 * several processes do not mix. Texts quote peers (titles, app ids, error texts of the other side),
 * so what a person would not see as it is (text.h) is escaped. A line that a peer can cause costs
 * its subject's budget, and its parents' larger ones, so that neither one client nor a crowd of
 * them floods the journal. */
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/text.h"

#define LINE_MAX_BYTES 2048
#define WINDOW_MS 10000
#define WINDOW_LINES 20
#define PARENT_LINES 200

static const struct {
    const char *name, *label, *sd_prefix;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", "error: ", "<3>"},
    [LOG_LEVEL_WARN] = {"warn", "warning: ", "<4>"},
    [LOG_LEVEL_INFO] = {"info", "", "<6>"},
    [LOG_LEVEL_DEBUG] = {"debug", "debug: ", "<7>"},
};

static const char *program_name = "wayvsock";
static enum log_level level_max = LOG_LEVEL_INFO;
static bool to_journal;

/* systemd names the socket that it made for our stderr, so a redirected stderr keeps plain lines.
 */
static bool stderr_is_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *program, enum log_level level)
{
    program_name = program;
    level_max = level;
    to_journal = stderr_is_journal();
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_enabled(enum log_level level)
{
    return level <= level_max;
}

static int64_t log_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t n;
};

/* Keeps room for the ellipsis and the newline. */
static bool line_append(struct line *line, const char *text, size_t n)
{
    if (n > sizeof(line->bytes) - 4 - line->n)
        return false;
    memcpy(line->bytes + line->n, text, n);
    line->n += n;
    return true;
}

static void line_append_escaped(struct line *line, const char *text)
{
    struct text_reader reader = {.at = text};
    size_t n;
    do {
        const char *s = reader.at;
        char escaped[4 * 4 + 1];
        enum text_kind kind = text_next(&reader, &n);
        if (kind != TEXT_SHOWN && (*s == '\n' || *s == '\t')) {
            s = *s == '\n' ? "\\n" : "\\t";
            n = 2;
        } else if (kind != TEXT_SHOWN) {
            for (size_t i = 0; i < n; i++)
                snprintf(escaped + 4 * i, 5, "\\x%02x", (unsigned char)s[i]);
            s = escaped;
            n *= 4;
        }
        if (!line_append(line, s, n)) {
            memcpy(line->bytes + line->n, "…", 3);
            line->n += 3;
            return;
        }
    } while (n);
}

static void log_append_subject(struct line *line, const struct log_subject *subject)
{
    if (subject->parent) {
        log_append_subject(line, subject->parent);
        line_append(line, " ", 1);
    }
    line_append_escaped(line, subject->name ? subject->name : "?");
}

static void log_write_line(enum log_level level, const struct log_subject *subject,
                           const char *text)
{
    struct line line = {.n = 0};
    if (to_journal) {
        line_append(&line, levels[level].sd_prefix, strlen(levels[level].sd_prefix));
    } else {
        line_append(&line, program_name, strlen(program_name));
        line_append(&line, ": ", 2);
        line_append(&line, levels[level].label, strlen(levels[level].label));
    }
    if (subject) {
        log_append_subject(&line, subject);
        line_append(&line, ": ", 2);
    }
    line_append_escaped(&line, text);
    line.bytes[line.n++] = '\n';
    size_t done = 0;
    while (done < line.n) {
        ssize_t n = write(STDERR_FILENO, line.bytes + done, line.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody to tell */
        done += (size_t)n;
    }
}

/* Whether @subject may write one more line; says so where lines begin or cease to be left out. */
static bool log_charge(struct log_subject *subject, unsigned budget, int64_t now)
{
    char text[80];
    if (subject->in_window == 0 || now - subject->window_start_ms >= WINDOW_MS) {
        unsigned suppressed = subject->suppressed;
        subject->window_start_ms = now;
        subject->in_window = 0;
        subject->suppressed = 0;
        if (suppressed > 0) {
            snprintf(text, sizeof(text), "%u more lines were left out", suppressed);
            log_write_line(LOG_LEVEL_WARN, subject, text);
        }
    }
    if (subject->in_window < budget) {
        subject->in_window++;
        return true;
    }
    if (subject->suppressed++ == 0) {
        snprintf(text, sizeof(text), "too many lines; counting instead of writing for %d s",
                 WINDOW_MS / 1000);
        log_write_line(LOG_LEVEL_WARN, subject, text);
    }
    return false;
}

void log_line(enum log_level level, struct log_subject *subject, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    int saved_errno = errno;
    bool allowed = true;
    if (subject && level != LOG_LEVEL_DEBUG) {
        int64_t now = log_now_ms();
        unsigned budget = WINDOW_LINES;
        for (struct log_subject *s = subject; s && allowed; s = s->parent) {
            allowed = log_charge(s, budget, now);
            budget = PARENT_LINES;
        }
    }
    if (allowed) {
        char text[LINE_MAX_BYTES];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log_write_line(level, subject, text);
    }
    errno = saved_errno;
}
