/* SPDX-License-Identifier: MIT */
/* Properties are a program's own words: of any type and length, so no more than what is needed is
 * asked for, and nothing is taken but what has the right form. */
#include "guest-proxy/x11/x-window.h"

#include <stdlib.h>
#include <string.h>

#include "guest-proxy/x11/roles.h"

#define WORDS_MAX 64
#define LIMIT_MAX 32767 /* a window's side */

enum { HINTS_INPUT = 1 };                       /* ICCCM: WM_HINTS.flags */
enum { SIZE_MIN = 1 << 4, SIZE_MAX_ = 1 << 5 }; /* WM_NORMAL_HINTS.flags */
enum { MOTIF_DECORATIONS = 2 };                 /* _MOTIF_WM_HINTS.flags */

enum property {
    NAME,
    NET_NAME,
    CLASS,
    HINTS,
    NORMAL_HINTS,
    TRANSIENT,
    PROTOCOLS,
    MOTIF,
    STATE,
    _N
};

static size_t words_of(const xcb_get_property_reply_t *r, uint32_t *words)
{
    if (!r || r->format != 32)
        return 0;
    size_t n = (size_t)xcb_get_property_value_length(r) / 4;
    if (n > WORDS_MAX)
        n = WORDS_MAX;
    memcpy(words, xcb_get_property_value(r), n * 4);
    return n;
}

/* The characters of Latin-1 that are others in UTF-8 take two bytes. */
static void put_latin1(char *at, size_t room, const char *text, size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < n && text[i] && used + 3 <= room; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80)
            at[used++] = (char)(0xc0 | c >> 6);
        at[used++] = (char)(c < 0x80 ? c : (0x80 | (c & 0x3f)));
    }
    at[used] = 0;
}

static void put_utf8(char *at, size_t room, const char *text, size_t n)
{
    n = strnlen(text, n);
    if (n >= room)
        for (n = room - 1; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    memcpy(at, text, n);
    at[n] = 0;
}

static void put_text(char *at, size_t room, const xcb_get_property_reply_t *r,
                     const struct x_atoms *atoms)
{
    const char *text = xcb_get_property_value(r);
    size_t n = (size_t)xcb_get_property_value_length(r);
    if (r->type == atoms->of[X_UTF8_STRING])
        put_utf8(at, room, text, n);
    else
        put_latin1(at, room, text, n);
}

static bool is_text(const xcb_get_property_reply_t *r)
{
    return r && r->format == 8 && xcb_get_property_value_length(r) > 0;
}

static int limit(uint32_t value)
{
    return value > 0 && value <= LIMIT_MAX ? (int)value : 0;
}

static void take_sizes(struct x_window *w, const uint32_t *words, size_t n)
{
    w->min_width = w->min_height = w->max_width = w->max_height = 0;
    if (n >= 7 && words[0] & SIZE_MIN) {
        w->min_width = limit(words[5]);
        w->min_height = limit(words[6]);
    }
    if (n >= 9 && words[0] & SIZE_MAX_) {
        w->max_width = limit(words[7]);
        w->max_height = limit(words[8]);
    }
    if (w->max_width && w->max_width < w->min_width)
        w->max_width = 0;
    if (w->max_height && w->max_height < w->min_height)
        w->max_height = 0;
}

static void take_class(struct x_window *w, const xcb_get_property_reply_t *r)
{
    const char *text = xcb_get_property_value(r);
    size_t n = (size_t)xcb_get_property_value_length(r), instance = strnlen(text, n);
    /* Two strings: the instance, and the class, by which desktop entries know it. */
    if (instance + 1 < n && text[instance + 1])
        put_latin1(w->app_id, sizeof(w->app_id), text + instance + 1, n - instance - 1);
    else
        put_latin1(w->app_id, sizeof(w->app_id), text, n);
}

static unsigned state_of(const struct x_atoms *atoms, const uint32_t *words, size_t n)
{
    unsigned states = 0;
    for (size_t i = 0; i < n; i++) {
        if (words[i] == atoms->of[X__NET_WM_STATE_FULLSCREEN])
            states |= ROLE_FULLSCREEN;
        if (words[i] == atoms->of[X__NET_WM_STATE_MAXIMIZED_VERT])
            states |= ROLE_MAXIMIZED;
    }
    return states;
}

void x_window_read(struct x_window *w, xcb_connection_t *x, const struct x_atoms *atoms)
{
    const xcb_atom_t asked[_N] = {
        [NAME] = XCB_ATOM_WM_NAME,
        [NET_NAME] = atoms->of[X__NET_WM_NAME],
        [CLASS] = XCB_ATOM_WM_CLASS,
        [HINTS] = XCB_ATOM_WM_HINTS,
        [NORMAL_HINTS] = XCB_ATOM_WM_NORMAL_HINTS,
        [TRANSIENT] = XCB_ATOM_WM_TRANSIENT_FOR,
        [PROTOCOLS] = atoms->of[X_WM_PROTOCOLS],
        [MOTIF] = atoms->of[X__MOTIF_WM_HINTS],
        [STATE] = atoms->of[X__NET_WM_STATE],
    };
    xcb_get_property_cookie_t cookies[_N];
    xcb_get_property_reply_t *got[_N];
    uint32_t words[WORDS_MAX];
    for (int i = 0; i < _N; i++)
        cookies[i] = xcb_get_property(x, 0, w->id, asked[i], XCB_GET_PROPERTY_TYPE_ANY, 0, 128);
    for (int i = 0; i < _N; i++)
        got[i] = xcb_get_property_reply(x, cookies[i], NULL);
    w->title[0] = 0;
    if (is_text(got[NET_NAME]))
        put_text(w->title, sizeof(w->title), got[NET_NAME], atoms);
    else if (is_text(got[NAME]))
        put_text(w->title, sizeof(w->title), got[NAME], atoms);
    if (is_text(got[CLASS]))
        take_class(w, got[CLASS]);
    size_t n = words_of(got[HINTS], words);
    w->input = n < 2 || !(words[0] & HINTS_INPUT) || words[1];
    n = words_of(got[NORMAL_HINTS], words);
    take_sizes(w, words, n);
    w->parent = words_of(got[TRANSIENT], words) ? words[0] : XCB_WINDOW_NONE;
    n = words_of(got[PROTOCOLS], words);
    w->takes_focus = w->deletes = false;
    for (size_t i = 0; i < n; i++) {
        w->takes_focus |= words[i] == atoms->of[X_WM_TAKE_FOCUS];
        w->deletes |= words[i] == atoms->of[X_WM_DELETE_WINDOW];
    }
    n = words_of(got[MOTIF], words);
    w->frameless = n >= 3 && words[0] & MOTIF_DECORATIONS && !words[2];
    n = words_of(got[STATE], words);
    if (!w->mapped)
        w->asked = state_of(atoms, words, n);
    for (int i = 0; i < _N; i++)
        free(got[i]);
}
