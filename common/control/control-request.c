/* SPDX-License-Identifier: MIT */
/* control-request: owns nothing. */
#include "common/control/control-request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/control/json.h"

static const char *const names[_CONTROL_N] = {[CONTROL_STATUS] = "status",
                                              [CONTROL_TRACE] = "trace",
                                              [CONTROL_END] = "end",
                                              [CONTROL_RUN] = "run"};

const char *control_command_name(enum control_command command)
{
    return names[command];
}

static int take_command(struct control_request *r, const json_t *value)
{
    const char *text = json_string_value(value);
    for (int i = 0; text && i < _CONTROL_N; i++) {
        if (strcmp(names[i], text) == 0) {
            r->command = (enum control_command)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int take_vm(struct control_request *r, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || !*text || strlen(text) > CONTROL_VM_MAX)
        return -EINVAL;
    memcpy(r->vm, text, strlen(text) + 1);
    return 0;
}

static int take_client(struct control_request *r, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) <= 0)
        return -EINVAL;
    r->client = (uint64_t)json_integer_value(value);
    return 0;
}

static int take_contents(struct control_request *r, const json_t *value)
{
    if (!json_is_boolean(value))
        return -EINVAL;
    r->contents = json_is_true(value);
    return 0;
}

static int take_what(struct control_request *r, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text)
        return -EINVAL;
    text_clean(r->what, sizeof(r->what), text, CONTROL_WHAT_MAX);
    return 0;
}

static const struct {
    const char *name;
    int (*take)(struct control_request *request, const json_t *value);
    unsigned commands; /* bits: which have it */
} fields[] = {
    {"command", take_command, ~0u},
    {"vm", take_vm, ~0u},
    {"client", take_client, 1u << CONTROL_TRACE | 1u << CONTROL_END},
    {"contents", take_contents, 1u << CONTROL_TRACE},
    {"what", take_what, 1u << CONTROL_RUN},
};

#define FIELDS_N (sizeof(fields) / sizeof(*fields))

static size_t field_of(const char *name)
{
    size_t i = 0;
    while (i < FIELDS_N && strcmp(fields[i].name, name) != 0)
        i++;
    return i;
}

/* Names are the sender's, and are not repeated to it. */
static int request_take(struct control_request *r, json_t *object, char *error, size_t error_size)
{
    const char *name;
    json_t *value;
    if (take_command(r, json_object_get(object, "command")) < 0)
        return error_set(-EINVAL, error, error_size, "no command that is known");
    json_object_foreach(object, name, value)
    {
        size_t i = field_of(name);
        if (i == FIELDS_N || !(fields[i].commands & 1u << r->command))
            return error_set(-EINVAL, error, error_size, "%s has something that is not known",
                             names[r->command]);
        if (fields[i].take(r, value) < 0)
            return error_set(-EINVAL, error, error_size, "%s: \"%s\" is malformed",
                             names[r->command], fields[i].name);
    }
    return 0;
}

int control_request_parse(const char *line, size_t n, struct control_request *ret, char *error,
                          size_t error_size)
{
    struct control_request request = {.vm = ""};
    json_t *object = n < CONTROL_REQUEST_MAX ? json_read(line, n) : NULL;
    if (!object)
        return error_set(-EINVAL, error, error_size, "a request is one object of JSON on a line");
    int r = request_take(&request, object, error, error_size);
    json_decref(object);
    if (r == 0)
        *ret = request;
    return r;
}
