/* SPDX-License-Identifier: MIT */
#pragma once
/* desktop-entry: one file of the menu (Desktop Entry Specification), as far as another desktop can
 * show it. */
#include <stdbool.h>
#include <stddef.h>

struct desktop_locale;

#define DESKTOP_FILE_MAX (64u << 10) /* bytes of a file */
#define DESKTOP_VALUE_MAX 1024       /* of one value; an entry with a longer one is none */
#define DESKTOP_WORDS_MAX 64         /* of Exec */

struct desktop_entry {
    char name[DESKTOP_VALUE_MAX], generic_name[DESKTOP_VALUE_MAX], comment[DESKTOP_VALUE_MAX];
    char exec[DESKTOP_VALUE_MAX], try_exec[DESKTOP_VALUE_MAX], folder[DESKTOP_VALUE_MAX];
    char icon[DESKTOP_VALUE_MAX], categories[DESKTOP_VALUE_MAX], keywords[DESKTOP_VALUE_MAX];
    char wm_class[DESKTOP_VALUE_MAX];
    bool terminal;
    bool hidden; /* as far as any other desktop is concerned */
};

/* Reads the @n bytes of a file, in the best translation for @locale. 0, or -EINVAL: it is no
 * application's. */
int desktop_entry_parse(const char *text, size_t n, const struct desktop_locale *locale,
                        struct desktop_entry *ret);

/* What Exec stands for, without files to open: at most DESKTOP_WORDS_MAX words in @buffer, and
 * NULL. The number of words, or -EINVAL. */
int desktop_entry_words(const struct desktop_entry *entry, char buffer[2 * DESKTOP_VALUE_MAX],
                        char *words[DESKTOP_WORDS_MAX + 1]);
