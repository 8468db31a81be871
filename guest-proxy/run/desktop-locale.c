/* SPDX-License-Identifier: MIT */
/* desktop-locale: LANG_COUNTRY@MODIFIER, LANG_COUNTRY, LANG@MODIFIER, LANG, in this order;
 * encodings do not matter, as files are in UTF-8. */
#include "guest-proxy/run/desktop-locale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void desktop_locale_init(struct desktop_locale *ret, const char *locale)
{
    size_t language = strcspn(locale, "_.@");
    const char *at = locale + language;
    size_t country = *at == '_' ? strcspn(at, ".@") : 0;
    const char *modifier = strchr(locale, '@');
    size_t of_modifier = modifier ? strlen(modifier) : 0;
    *ret = (struct desktop_locale){.names = {""}};
    if (!language || strlen(locale) >= DESKTOP_LOCALE_SIZE || strcmp(locale, "POSIX") == 0 ||
        (language == 1 && *locale == 'C'))
        return;
    if (country && of_modifier)
        snprintf(ret->names[0], DESKTOP_LOCALE_SIZE, "%.*s%.*s%s", (int)language, locale,
                 (int)country, at, modifier);
    if (country)
        snprintf(ret->names[1], DESKTOP_LOCALE_SIZE, "%.*s%.*s", (int)language, locale,
                 (int)country, at);
    if (of_modifier)
        snprintf(ret->names[2], DESKTOP_LOCALE_SIZE, "%.*s%s", (int)language, locale, modifier);
    snprintf(ret->names[3], DESKTOP_LOCALE_SIZE, "%.*s", (int)language, locale);
}

void desktop_locale_session(struct desktop_locale *ret)
{
    static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *locale = NULL;
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables) && (!locale || !*locale); i++)
        locale = getenv(variables[i]);
    desktop_locale_init(ret, locale ? locale : "");
}

int desktop_locale_rank(const struct desktop_locale *l, const char *tag, size_t n)
{
    for (int i = 0; i < DESKTOP_LOCALE_NAMES; i++)
        if (n && strlen(l->names[i]) == n && memcmp(l->names[i], tag, n) == 0)
            return DESKTOP_LOCALE_NAMES - i;
    return 0;
}
