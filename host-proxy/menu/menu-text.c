/* SPDX-License-Identifier: MIT */
/* menu-text: the command is ours, with the VM's name of the configuration and the id, of which only
 * letters and the like are taken. Texts are cleaned as titles are, so that no line ends in one. */
#include "host-proxy/menu/menu-text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

#define CHARACTERS_MAX 128 /* of a text for people */

/* The main categories: others have a meaning only together with these. */
static const char *const categories[] = {
    "AudioVideo", "Audio",  "Video",   "Development", "Education", "Game",    "Graphics",
    "Network",    "Office", "Science", "Settings",    "System",    "Utility",
};

struct writer {
    char *text;
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->n, MENU_TEXT_MAX - w->n, format, args);
    va_end(args);
    if (n > 0)
        w->n = w->n + (size_t)n < MENU_TEXT_MAX ? w->n + (size_t)n : MENU_TEXT_MAX - 1;
}

/* A value of a file: a backslash begins an escape there, and a list has semicolons. */
static void put_escaped(struct writer *w, const char *text, bool list)
{
    for (; *text; text++) {
        if (*text == '\\')
            put(w, "\\\\");
        else if (*text == ';' && !list)
            put(w, ",");
        else
            put(w, "%c", *text);
    }
}

/* Into @clean, without spaces around. Whether anything is left. */
static bool clean_text(const char *text, char clean[4 * CHARACTERS_MAX + 1])
{
    text_clean(clean, 4 * CHARACTERS_MAX + 1, text, CHARACTERS_MAX);
    size_t spaces = strspn(clean, " "), n = strlen(clean);
    memmove(clean, clean + spaces, n - spaces + 1);
    for (n -= spaces; n && clean[n - 1] == ' ';)
        clean[--n] = 0;
    return n > 0;
}

static void put_text(struct writer *w, const char *key, const char *text, bool list)
{
    char clean[4 * CHARACTERS_MAX + 1];
    if (!clean_text(text, clean))
        return;
    put(w, "%s=", key);
    put_escaped(w, clean, list);
    put(w, "\n");
}

static void put_name(struct writer *w, const struct menu_style *style, const char *name,
                     const char *id)
{
    char clean[4 * CHARACTERS_MAX + 1];
    put(w, "Name=");
    if (style->title_prefix)
        put_escaped(w, style->title_prefix, false);
    put_escaped(w, clean_text(name, clean) ? clean : id, false);
    if (!style->title_prefix)
        put(w, " (%s)", style->vm);
    put(w, "\n");
}

static void put_categories(struct writer *w, const char *text)
{
    bool any = false;
    for (size_t i = 0; i < sizeof(categories) / sizeof(*categories); i++) {
        size_t n = strlen(categories[i]);
        for (const char *at = text; *at; at += strcspn(at, ";"), at += *at == ';') {
            if (strncmp(at, categories[i], n) != 0 || (at[n] && at[n] != ';'))
                continue;
            put(w, "%s%s;", any ? "" : "Categories=", categories[i]);
            any = true;
            break;
        }
    }
    if (any)
        put(w, "\n");
}

/* As the window has it, once it has passed the VM's process. */
static void put_app_id(struct writer *w, const struct menu_style *style, const char *app_id)
{
    char clean[4 * CHARACTERS_MAX + 1];
    if (!clean_text(app_id, clean))
        return;
    put(w, "StartupWMClass=");
    if (style->app_id_prefix)
        put_escaped(w, style->app_id_prefix, false);
    put_escaped(w, clean, false);
    put(w, "\nStartupNotify=true\n");
}

/* FNV-1a, of 64 bits: a VM that finds two ids with the same one has lost an entry of its own. */
void menu_text_name(const char *id, char name[MENU_NAME_SIZE])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *id; id++)
        hash = (hash ^ (uint8_t)*id) * UINT64_C(0x100000001b3);
    snprintf(name, MENU_NAME_SIZE, "%016" PRIx64, hash);
}

int menu_text_write(const struct menu_style *style, const struct run_item *item,
                    const uint8_t *data, uint32_t data_size, const char *icon,
                    char text[MENU_TEXT_MAX])
{
    struct writer w = {.text = text};
    const char *texts[_RUN_ITEM_TEXT_N];
    const uint8_t *end = data + data_size;
    for (int i = 0; i < _RUN_ITEM_TEXT_N; i++)
        if (!(texts[i] = run_text_next(&data, end)))
            return -EINVAL;
    if (!run_id_is_valid(texts[RUN_ITEM_ID]))
        return -EINVAL;
    put(&w, "[Desktop Entry]\nType=Application\n");
    put_name(&w, style, texts[RUN_ITEM_NAME], texts[RUN_ITEM_ID]);
    put_text(&w, "GenericName", texts[RUN_ITEM_GENERIC_NAME], false);
    put_text(&w, "Comment", texts[RUN_ITEM_COMMENT], false);
    put_categories(&w, texts[RUN_ITEM_CATEGORIES]);
    put_text(&w, "Keywords", texts[RUN_ITEM_KEYWORDS], true);
    put(&w, "TryExec=wayvsock\nExec=wayvsock run %s --entry %s\n", style->vm,
        texts[RUN_ITEM_ID]);
    put(&w, "Icon=");
    put_escaped(&w, icon ? icon : "application-x-executable", true);
    put(&w, "\nTerminal=%s\n", item->flags & RUN_ITEM_TERMINAL ? "true" : "false");
    put_app_id(&w, style, texts[RUN_ITEM_APP_ID]);
    put(&w, "X-Wayvsock-VM=%s\n", style->vm);
    return (int)w.n;
}
