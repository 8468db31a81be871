/* SPDX-License-Identifier: MIT */
/* Wayland messages against a signature that the input chooses, up to its first NUL: whatever is
 * accepted lies within the message, and strings are strings. */
#include <stdlib.h>
#include <string.h>

#include "common/wayland/wl-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(const struct wl_message *m, const void *at, size_t n)
{
    const uint8_t *bytes = at;
    return bytes >= m->bytes + WL_HEADER_SIZE && bytes <= m->bytes + m->size &&
           n <= (size_t)(m->bytes + m->size - bytes);
}

static void check_string(const struct wl_message *m, const char *text, uint32_t length,
                         bool nullable)
{
    if (!text && nullable && length == 0)
        return;
    if (!text || !within(m, text, (size_t)length + 1) || strlen(text) != length)
        abort();
}

static size_t as_it_is(void *user, const char *text, char *at, size_t room)
{
    size_t n = strlen(text);
    (void)user;
    if (n >= room)
        n = room - 1;
    memcpy(at, text, n);
    at[n] = 0;
    return n;
}

/* Written anew it is the same but for padding; and it never takes more room than there is. */
static void check_map_strings(const struct wl_message *m)
{
    for (size_t room = m->size; room >= WL_HEADER_SIZE; room = room > 4096 ? room / 2 : room - 1) {
        uint8_t *at = malloc(room);
        if (!at)
            return;
        size_t n = wl_message_map_strings(at, room, m, as_it_is, NULL);
        if (n > room || n % 4 || (room == m->size && n != m->size))
            abort();
        free(at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char letters[] = "iufsSoOnNah";
    char signature[WL_ARGS_MAX + 1] = "";
    struct wl_msg_info info = {.name = "m", .signature = signature, .min_size = WL_HEADER_SIZE};
    while (size && *data && info.n_args < WL_ARGS_MAX) {
        char letter = letters[*data % (sizeof(letters) - 1)];
        signature[info.n_args++] = letter;
        info.min_size += letter == 'N' ? 12 : letter == 'h' ? 0 : 4;
        info.variable |= strchr("sSNa", letter) != NULL;
        data++;
        size--;
    }
    struct wl_message m;
    if (size)
        wl_message_header(data, size, &m);
    size &= ~(size_t)3;
    if (size < WL_HEADER_SIZE || size > WL_MESSAGE_MAX)
        return 0;
    uint8_t *bytes = malloc(size); /* its header made to fit, in memory of exactly its size */
    uint32_t second = (uint32_t)size << 16;
    memcpy(bytes, data, size);
    memcpy(bytes + 4, &second, 4);
    if (wl_message_header(bytes, size, &m) != WL_MESSAGE_OK || m.size != size)
        abort();
    if (wl_message_arguments(&m, &info) == WL_MESSAGE_OK) {
        for (unsigned i = 0; i < info.n_args; i++) {
            const union wl_arg *arg = &m.args[i];
            char letter = signature[i];
            if (letter == 's' || letter == 'S')
                check_string(&m, arg->s.text, arg->s.length, letter == 'S');
            else if (letter == 'N')
                check_string(&m, arg->n.interface, arg->n.length, false);
            else if (letter == 'a' && !within(&m, arg->a.bytes, arg->a.size))
                abort();
            if (((letter == 'o' || letter == 'n') && !arg->u) || (letter == 'N' && !arg->n.id))
                abort();
        }
        if (!strchr(signature, 'N'))
            check_map_strings(&m);
    }
    free(bytes);
    return 0;
}
