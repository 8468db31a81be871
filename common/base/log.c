/* SPDX-License-Identifier: MIT */
/* log: composes one line in a fixed buffer and writes it with one write(2), so that lines of
 * several processes do not mix. Texts quote peers (titles, app ids, error texts of the other side),
 * so what a person would not see as it is (text.h) is escaped. A line that a peer can cause costs
 * its subject a place in a short window, so that one client does not take what is there for all,
 * and the VM's budget, which fills so slowly that a VM cannot fill a disk within years. */
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
#define BUDGET_LINES 200
#define BUDGET_BYTES 65536
#define MS_A_LINE 5000 /* until one more may be written */
#define MS_A_BYTE 16
#define BUDGET_AGAIN 8 /* so much of the budget, as a part, has to be there to begin anew */

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

static void line_compose(struct line *line, enum log_level level, const struct log_subject *subject,
                         const char *text)
{
    line->n = 0;
    if (to_journal) {
        line_append(line, levels[level].sd_prefix, strlen(levels[level].sd_prefix));
    } else {
        line_append(line, program_name, strlen(program_name));
        line_append(line, ": ", 2);
        line_append(line, levels[level].label, strlen(levels[level].label));
    }
    if (subject) {
        log_append_subject(line, subject);
        line_append(line, ": ", 2);
    }
    line_append_escaped(line, text);
    line->bytes[line->n++] = '\n';
}

static void line_write(const struct line *line)
{
    size_t done = 0;
    while (done < line->n) {
        ssize_t n = write(STDERR_FILENO, line->bytes + done, line->n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody to tell */
        done += (size_t)n;
    }
}

__attribute__((format(printf, 2, 3))) static void log_note(const struct log_subject *subject,
                                                           const char *format, ...)
{
    char text[128];
    struct line line;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    line_compose(&line, LOG_LEVEL_WARN, subject, text);
    line_write(&line);
}

/* Whether @subject may write one more line; says so where lines begin or cease to be left out. */
static bool log_window(struct log_subject *subject, int64_t now)
{
    if (subject->in_window == 0 || now - subject->window_start_ms >= WINDOW_MS) {
        unsigned suppressed = subject->suppressed;
        subject->window_start_ms = now;
        subject->in_window = 0;
        subject->suppressed = 0;
        if (suppressed > 0)
            log_note(subject, "%u more lines were left out", suppressed);
    }
    if (subject->in_window < WINDOW_LINES) {
        subject->in_window++;
        return true;
    }
    if (subject->suppressed++ == 0)
        log_note(subject, "too many lines; counting instead of writing for %d s", WINDOW_MS / 1000);
    return false;
}

static void budget_refill(struct log_budget *b, int64_t now)
{
    if (!b->lines_used && !b->bytes_used)
        b->filled_ms = now;
    uint64_t ms = now > b->filled_ms ? (uint64_t)(now - b->filled_ms) : 0;
    uint64_t lines = ms / MS_A_LINE;
    if (!lines) /* bytes come back with them */
        return;
    uint64_t bytes = lines * (MS_A_LINE / MS_A_BYTE);
    b->filled_ms += (int64_t)(lines * MS_A_LINE);
    b->lines_used -= lines < b->lines_used ? (unsigned)lines : b->lines_used;
    b->bytes_used -= bytes < b->bytes_used ? (unsigned)bytes : b->bytes_used;
}

/* The same of the budget of whoever has no parent. Once it is used up, a part of it has to come
 * back first: or each line would have two others beside it. */
static bool log_charge(struct log_subject *root, size_t bytes, int64_t now)
{
    struct log_budget *b = &root->budget;
    budget_refill(b, now);
    bool again = b->lines_used <= BUDGET_LINES - BUDGET_LINES / BUDGET_AGAIN &&
                 b->bytes_used <= BUDGET_BYTES - BUDGET_BYTES / BUDGET_AGAIN;
    if (b->left_out && again) {
        log_note(root, "%u lines were left out", b->left_out);
        b->left_out = 0;
    }
    if (!b->left_out && b->lines_used < BUDGET_LINES && b->bytes_used + bytes <= BUDGET_BYTES) {
        b->lines_used++;
        b->bytes_used += (unsigned)bytes;
        return true;
    }
    if (b->left_out++ == 0)
        log_note(root, "too many lines; they are left out until there have been fewer");
    return false;
}

void log_line(enum log_level level, struct log_subject *subject, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    int saved_errno = errno;
    bool charged = subject && level != LOG_LEVEL_DEBUG;
    int64_t now = charged ? log_now_ms() : 0;
    if (!charged || log_window(subject, now)) {
        char text[LINE_MAX_BYTES];
        struct line line;
        struct log_subject *root = subject;
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        line_compose(&line, level, subject, text);
        while (charged && root->parent)
            root = root->parent;
        if (!charged || log_charge(root, line.n, now))
            line_write(&line);
    }
    errno = saved_errno;
}

void log_alarm(const char *text)
{
    struct line line;
    line_compose(&line, LOG_LEVEL_ERROR, NULL, text);
    line_write(&line);
}
