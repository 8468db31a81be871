/* SPDX-License-Identifier: MIT */
/* refused: of the same refusal there is one entry, so that who is refused all the time does not
 * hide the others. */
#include "common/base/refused.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void refused_take_over(struct refused *r)
{
    if (r->n > REFUSED_MAX)
        r->n = 0;
    for (unsigned i = 0; i < r->n; i++) {
        struct refused_entry *e = &r->at[i];
        e->rule[sizeof(e->rule) - 1] = e->who[sizeof(e->who) - 1] = 0;
        e->text[sizeof(e->text) - 1] = 0;
    }
}

static int64_t refused_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The limit in brackets at the end, or @rule. */
static void entry_rule(struct refused_entry *e, const char *rule)
{
    static const char limit[] = "(max-";
    const char *last = strrchr(e->text, '(');
    size_t n = last ? strcspn(last, ")") : 0;
    if (last && strncmp(last, limit, sizeof(limit) - 1) == 0 && last[n] == ')' &&
        n <= sizeof(e->rule))
        snprintf(e->rule, sizeof(e->rule), "%.*s", (int)n - 1, last + 1);
    else
        snprintf(e->rule, sizeof(e->rule), "%s", rule);
}

/* Takes the @i-th out. */
static void refused_remove(struct refused *r, unsigned i)
{
    r->n--;
    memmove(&r->at[i], &r->at[i + 1], (r->n - i) * sizeof(*r->at));
}

void refused_note(const struct log_subject *subject, const char *rule, const char *text)
{
    const struct log_subject *root = subject;
    while (root && root->parent)
        root = root->parent;
    struct refused *r = root ? root->refused : NULL;
    struct refused_entry e = {.when = refused_now(), .times = 1};
    if (!r)
        return;
    snprintf(e.text, sizeof(e.text), "%s", text);
    snprintf(e.who, sizeof(e.who), "%s", subject != root && subject->name ? subject->name : "");
    entry_rule(&e, rule);
    for (unsigned i = 0; i < r->n; i++) {
        if (strcmp(r->at[i].text, e.text) == 0 && strcmp(r->at[i].rule, e.rule) == 0) {
            e.times += r->at[i].times;
            refused_remove(r, i);
            break;
        }
    }
    if (r->n == REFUSED_MAX)
        refused_remove(r, 0);
    r->at[r->n++] = e;
}

void refused_warn(struct log_subject *subject, const char *rule, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_warn(subject, "%s", text);
    refused_note(subject, rule, text);
}
