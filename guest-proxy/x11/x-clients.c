/* SPDX-License-Identifier: MIT */
/* Owns nothing. X-Resource's one request that is needed is written out here, as it is all that a
 * library of its own would be for. */
#include "guest-proxy/x11/x-clients.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <xcb/xcbext.h>

#define QUERY_CLIENTS 1
#define CLIENTS_AT 32 /* in the answer: {u32 base, mask} of the resources of each */

static xcb_extension_t x_resource = {.name = "X-Resource"};

/* {u8 1, pad; u16 sequence; u32 words behind the first 32 bytes, clients; …}, or NULL. */
static uint8_t *query(xcb_connection_t *x)
{
    static const xcb_protocol_request_t request = {
        .count = 1, .ext = &x_resource, .opcode = QUERY_CLIENTS};
    const xcb_query_extension_reply_t *known = xcb_get_extension_data(x, &x_resource);
    uint8_t bytes[4] = {0};
    struct iovec parts[3] = {[2] = {bytes, sizeof(bytes)}}; /* two are the library's */
    if (!known || !known->present)
        return NULL;
    unsigned sequence = xcb_send_request(x, 0, parts + 2, &request);
    return xcb_wait_for_reply(x, sequence, NULL);
}

bool x_clients_are_gone(xcb_connection_t *x)
{
    uint8_t *answer = query(x);
    uint32_t words, n, base;
    if (!answer)
        return false;
    memcpy(&words, answer + 4, 4);
    memcpy(&n, answer + 8, 4);
    bool gone = n <= words / 2;
    for (uint32_t i = 0; gone && i < n; i++) {
        memcpy(&base, answer + CLIENTS_AT + 8 * i, 4);
        gone = base == 0 /* the server itself */ || base == xcb_get_setup(x)->resource_id_base;
    }
    free(answer);
    return gone;
}
