/* SPDX-License-Identifier: MIT */
/* A file of the guest's menu, and the words of its command. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-proxy/run/desktop-entry.h"
#include "guest-proxy/run/desktop-locale.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct desktop_entry e;
    static char buffer[2 * DESKTOP_VALUE_MAX];
    char *words[DESKTOP_WORDS_MAX + 1];
    struct desktop_locale locale;
    desktop_locale_init(&locale, "de_AT.UTF-8@euro");
    if (size > DESKTOP_FILE_MAX || desktop_entry_parse((const char *)data, size, &locale, &e) < 0)
        return 0;
    int n = desktop_entry_words(&e, buffer, words);
    if (n > DESKTOP_WORDS_MAX || n == 0 || (n > 0 && (words[n] || !*words[0])))
        abort();
    for (int i = 0; i < n; i++)
        if (words[i] < buffer || words[i] + strlen(words[i]) >= buffer + sizeof(buffer))
            abort();
    return 0;
}
