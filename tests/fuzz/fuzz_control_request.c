/* SPDX-License-Identifier: MIT */
/* A request over a control socket: what is taken has all its parts in bounds, what is not has a
 * message and changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/control/control-request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_request request, before;
    char error[128] = "", *line = malloc(size ? size : 1); /* nothing is behind it */
    if (!line)
        return 0;
    memcpy(line, data, size);
    memset(&request, 0x5a, sizeof(request));
    before = request;
    int r = control_request_parse(line, size, &request, error, sizeof(error));
    free(line);
    if (r < 0) {
        if (!*error || memcmp(&request, &before, sizeof(request)) != 0)
            abort();
        return 0;
    }
    if (request.command >= _CONTROL_N || !memchr(request.vm, 0, sizeof(request.vm)) ||
        request.client > INT64_MAX || !control_command_name(request.command))
        abort();
    if (request.contents && request.command != CONTROL_TRACE)
        abort();
    if (request.client && request.command == CONTROL_STATUS)
        abort();
    return 0;
}
