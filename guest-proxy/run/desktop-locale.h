/* SPDX-License-Identifier: MIT */
#pragma once
/* desktop-locale: which translations of an entry are wanted (Desktop Entry Specification,
 * "Localized values for keys"). */
#include <stddef.h>

#define DESKTOP_LOCALE_NAMES 4
#define DESKTOP_LOCALE_SIZE 64

struct desktop_locale {
    char names[DESKTOP_LOCALE_NAMES][DESKTOP_LOCALE_SIZE]; /* the best first; "": none */
};

/* Of a locale as the environment has it ("de_AT.UTF-8@euro"). "", "C", and what makes no sense: no
 * translations. */
void desktop_locale_init(struct desktop_locale *ret, const char *locale);
/* That of this process's session, whose programs speak it as well. */
void desktop_locale_session(struct desktop_locale *ret);
/* How good a translation into the language that a key names in brackets (@n bytes) is: the higher
 * the better, 0: it is not wanted. */
int desktop_locale_rank(const struct desktop_locale *locale, const char *tag, size_t n);
