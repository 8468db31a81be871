/* SPDX-License-Identifier: MIT */
/* trace: owns the connection. Lines are written when no more of them are there, so that nobody who
 * reads along waits for a full buffer. */
#include "command/trace.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "command/ask.h"
#include "command/command-options.h"
#include "command/gather.h"
#include "command/words.h"
#include "common/control/control-socket.h"

static void argument_print(const json_t *a)
{
    char text[1100];
    if (json_is_integer(a))
        printf("%lld", (long long)json_integer_value(a));
    else if (json_is_real(a))
        printf("%g", json_real_value(a));
    else if (json_is_string(a))
        printf("\"%s\"", words_clean(json_string_value(a), text, sizeof(text)));
    else if (json_object_get(a, "interface"))
        printf("%s v%llu #%llu", words_clean(json_text_of(a, "interface"), text, sizeof(text)),
               (unsigned long long)json_count_of(a, "version"),
               (unsigned long long)json_count_of(a, "id"));
    else if (json_object_get(a, "bytes"))
        printf("%llu bytes", (unsigned long long)json_count_of(a, "bytes"));
    else
        fputs(json_is_object(a) ? "fd" : "nil", stdout);
}

static void line_print(const json_t *line)
{
    const json_t *args = json_object_get(line, "args"), *a;
    const char *when = json_text_of(line, "when"), *clock = strchr(when, 'T');
    char time[64], name[128], interface[128], message[128];
    size_t i;
    uint64_t lost = json_count_of(line, "lost");
    if (lost) {
        printf("(%llu messages were left out)\n", (unsigned long long)lost);
        return;
    }
    words_clean(clock ? clock + 1 : "", time, sizeof(time));
    time[strcspn(time, "Z")] = 0;
    printf("%s  %llu %s %s %s#%llu.%s", time, (unsigned long long)json_count_of(line, "client"),
           words_cut(json_text_of(line, "name"), 24, name, sizeof(name)),
           strcmp(json_text_of(line, "direction"), "event") == 0 ? "<-" : "->",
           words_cut(json_text_of(line, "interface"), 64, interface, sizeof(interface)),
           (unsigned long long)json_count_of(line, "id"),
           words_cut(json_text_of(line, "message"), 64, message, sizeof(message)));
    if (args)
        putchar('(');
    json_array_foreach(args, i, a)
    {
        fputs(i ? ", " : "", stdout);
        argument_print(a);
    }
    fputs(args ? ")\n" : "\n", stdout);
}

/* -1: go on; or the exit status. */
static int trace_line(const struct command_options *o, const json_t *line)
{
    char error[512];
    if (*words_clean(json_text_of(line, "error"), error, sizeof(error))) {
        fprintf(stderr, "wayvsock: %s\n", error);
        return 1;
    }
    if (o->json) {
        json_dumpf(line, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        line_print(line);
    }
    return -1;
}

int trace_run(const struct command_options *o)
{
    char path[CONTROL_PATH_MAX];
    struct ask ask;
    json_t *request =
        json_pack("{ss ss sb}", "command", "trace", "vm", o->vm, "contents", o->contents);
    if (o->client)
        json_object_set_new(request, "client", json_count(o->client));
    int r = gather_host(o, path, sizeof(path)), status = -1;
    if (r == 0)
        r = ask_begin(&ask, path, request);
    else
        json_decref(request);
    if (r < 0) {
        fprintf(stderr, "wayvsock: no daemon answers here\n");
        return 1;
    }
    while (status < 0 && r >= 0) {
        struct pollfd p = {.fd = ask.fd, .events = POLLIN};
        json_t *line;
        poll(&p, 1, -1);
        r = ask_read(&ask);
        while (status < 0 && (line = ask_line(&ask))) {
            status = trace_line(o, line);
            json_decref(line);
        }
        if (fflush(stdout) != 0)
            status = 1; /* nobody reads it any more */
    }
    ask_end(&ask);
    return status < 0 ? 0 : status;
}
