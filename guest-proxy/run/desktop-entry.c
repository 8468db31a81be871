/* SPDX-License-Identifier: MIT */
/* desktop-entry: of a text's translations the best one counts, wherever it stands; other groups are
 * passed over. What has no answer here (files to open, D-Bus activation) is left to the program's
 * own command. */
#include "guest-proxy/run/desktop-entry.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "guest-proxy/run/desktop-locale.h"

#define GROUP "[Desktop Entry]"

static const struct {
    const char *name;
    size_t at;
    bool translated; /* may be */
} texts[] = {
    {"Name", offsetof(struct desktop_entry, name), true},
    {"GenericName", offsetof(struct desktop_entry, generic_name), true},
    {"Comment", offsetof(struct desktop_entry, comment), true},
    {"Exec", offsetof(struct desktop_entry, exec), false},
    {"TryExec", offsetof(struct desktop_entry, try_exec), false},
    {"Path", offsetof(struct desktop_entry, folder), false},
    {"Icon", offsetof(struct desktop_entry, icon), true},
    {"Categories", offsetof(struct desktop_entry, categories), false},
    {"Keywords", offsetof(struct desktop_entry, keywords), true},
    {"StartupWMClass", offsetof(struct desktop_entry, wm_class), false},
};
#define TEXTS_N (sizeof(texts) / sizeof(*texts))

struct reader {
    struct desktop_entry *entry;
    const struct desktop_locale *locale;
    int ranks[TEXTS_N]; /* of what is there */
    bool application;
};

/* 0, or -EINVAL: it is too long. */
static int take_text(char to[DESKTOP_VALUE_MAX], const char *value, size_t n)
{
    size_t have = 0;
    for (size_t i = 0; i < n && have < DESKTOP_VALUE_MAX; i++) {
        static const char escapes[] = "snrt\\", meant[] = " \n\r\t\\";
        char c = value[i];
        const char *escape = c == '\\' && i + 1 < n ? strchr(escapes, value[i + 1]) : NULL;
        if (!c)
            return -EINVAL;
        if (escape && *escape) {
            c = meant[escape - escapes];
            i++;
        }
        to[have++] = c;
    }
    if (have == DESKTOP_VALUE_MAX)
        return -EINVAL;
    to[have] = 0;
    return 0;
}

static bool is(const char *bytes, size_t n, const char *text)
{
    return n == strlen(text) && memcmp(bytes, text, n) == 0;
}

/* NAME[LANGUAGE]: counts if it is better than what is there. One of nothing, or that is too long,
 * does not. */
static void take_translation(struct reader *r, const char *line, size_t key, const char *value,
                             size_t size)
{
    const char *bracket = memchr(line, '[', key);
    size_t name = (size_t)(bracket - line);
    int rank =
        line[key - 1] == ']' ? desktop_locale_rank(r->locale, bracket + 1, key - name - 2) : 0;
    for (size_t i = 0; rank && i < TEXTS_N; i++) {
        char text[DESKTOP_VALUE_MAX];
        if (texts[i].translated && rank > r->ranks[i] && is(line, name, texts[i].name) &&
            take_text(text, value, size) == 0 && *text) {
            memcpy((char *)r->entry + texts[i].at, text, sizeof(text));
            r->ranks[i] = rank;
        }
    }
}

static int take_line(struct reader *r, const char *line, size_t n)
{
    struct desktop_entry *e = r->entry;
    const char *equals = memchr(line, '=', n);
    if (!equals)
        return 0;
    size_t key = (size_t)(equals - line);
    const char *value = equals + 1;
    size_t size = n - key - 1;
    while (key && (line[key - 1] == ' ' || line[key - 1] == '\t'))
        key--;
    for (; size && (*value == ' ' || *value == '\t'); size--)
        value++;
    if (is(line, key, "Type"))
        r->application = is(value, size, "Application");
    else if (is(line, key, "Terminal"))
        e->terminal = is(value, size, "true");
    else if (is(line, key, "NoDisplay") || is(line, key, "Hidden"))
        e->hidden |= is(value, size, "true");
    else if (is(line, key, "OnlyShowIn"))
        e->hidden = true;
    else if (memchr(line, '[', key))
        take_translation(r, line, key, value, size);
    for (size_t i = 0; i < TEXTS_N; i++)
        if (is(line, key, texts[i].name))
            return r->ranks[i] ? 0 : take_text((char *)e + texts[i].at, value, size);
    return 0;
}

int desktop_entry_parse(const char *text, size_t n, const struct desktop_locale *locale,
                        struct desktop_entry *ret)
{
    struct reader r = {.entry = ret, .locale = locale};
    bool here = false;
    *ret = (struct desktop_entry){.name = ""};
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t size = end ? (size_t)(end - text) : n, step = size + (end != NULL);
        if (size && text[size - 1] == '\r')
            size--;
        if (size && text[0] == '[') {
            if (here)
                break; /* actions and the like */
            here = is(text, size, GROUP);
        } else if (here && size && text[0] != '#' && take_line(&r, text, size) < 0) {
            return -EINVAL;
        }
        text += step;
        n -= step;
    }
    return r.application && *ret->name && *ret->exec ? 0 : -EINVAL;
}

struct words {
    char *at, *end;
    char **words;
    int n;
    bool open; /* a word has begun */
};

static int put(struct words *w, char c)
{
    if (!w->open) {
        if (w->n == DESKTOP_WORDS_MAX)
            return -EINVAL;
        w->words[w->n++] = w->at;
        w->open = true;
    }
    if (w->at + 1 >= w->end)
        return -EINVAL;
    *w->at++ = c;
    return 0;
}

static int put_text(struct words *w, const char *text)
{
    int r = 0;
    while (*text && r == 0)
        r = put(w, *text++);
    return r;
}

static void close_word(struct words *w)
{
    if (w->open)
        *w->at++ = 0;
    w->open = false;
}

/* A field code stands for nothing, but for these. */
static int put_code(struct words *w, const struct desktop_entry *e, char code)
{
    if (code == '%')
        return put(w, '%');
    if (code == 'c')
        return put_text(w, e->name);
    if (code == 'i' && *e->icon) {
        int r = put_text(w, "--icon");
        close_word(w);
        return r < 0 ? r : put_text(w, e->icon);
    }
    return strchr("fFuUickdDnNvm", code) ? 0 : -EINVAL;
}

int desktop_entry_words(const struct desktop_entry *e, char buffer[2 * DESKTOP_VALUE_MAX],
                        char *words[DESKTOP_WORDS_MAX + 1])
{
    struct words w = {.at = buffer, .end = buffer + 2 * DESKTOP_VALUE_MAX - 1, .words = words};
    bool quoted = false;
    for (const char *c = e->exec; *c; c++) {
        int r = 0;
        if (*c == '"') {
            quoted = !quoted;
            if (quoted && !w.open && w.n < DESKTOP_WORDS_MAX) { /* "" is a word, too */
                w.words[w.n++] = w.at;
                w.open = true;
            }
        } else if (quoted && *c == '\\' && c[1]) {
            r = put(&w, *++c);
        } else if (!quoted && (*c == ' ' || *c == '\t' || *c == '\n')) {
            close_word(&w);
        } else if (*c == '%') { /* in quotes as well, as programs have it */
            r = c[1] ? put_code(&w, e, *++c) : -EINVAL;
        } else {
            r = put(&w, *c);
        }
        if (r < 0)
            return r;
    }
    close_word(&w);
    words[w.n] = NULL;
    return quoted || w.n == 0 || !*words[0] ? -EINVAL : w.n;
}
