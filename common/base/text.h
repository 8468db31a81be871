/* SPDX-License-Identifier: MIT */
#pragma once
/* text: UTF-8 of somebody else's that a person is going to read: what of it may be shown. */
#include <stddef.h>

/* What becomes of a character where a person reads it. */
enum text_kind {
    TEXT_END,
    TEXT_SHOWN,
    TEXT_BREAK,  /* moves on: a control character (escape sequences begin with one), a line's end */
    TEXT_UNSEEN, /* zero-width, turns the order around, or one mark too many on a character */
    TEXT_OTHER,  /* no UTF-8 (of one byte), or of private use: nobody knows what is shown */
};

/* Goes through a text, terminated. Zero-initialise but for @at. */
struct text_reader {
    const char *at;
    unsigned marks; /* combining ones in a row */
    int base;       /* there is a character for them */
};

/* The next character, of @ret_size bytes. */
enum text_kind text_next(struct text_reader *reader, size_t *ret_size);

/* Writes what of @text may be shown into @at (terminated; @room bytes): at most @max characters,
 * cut where one ends, a space for each BREAK, U+FFFD for each OTHER, nothing for what is unseen.
 * Returns its length in bytes. */
size_t text_clean(char *at, size_t room, const char *text, size_t max);

/* Writes @words (NULL-terminated) with spaces between into @at (terminated; @room bytes): as much
 * as fits. */
void text_join(char *at, size_t room, char *const *words);
