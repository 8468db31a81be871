/* SPDX-License-Identifier: MIT */
/* show: owns nothing. Columns are as wide as what is in them; the windows come last, and are cut.
 */
#include "command/show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/words.h"

#define COLUMNS_N 8 /* before the windows */
#define RATE 6      /* which is there where it is known */
#define NAME_MAX_COLUMNS 24
#define TEXT_SIZE 1100
#define REFUSED_SHOWN 8 /* the last ones */

static const char *const heads[COLUMNS_N] = {"APP", "NAME", "AGE",   "MEMORY",
                                             "FDS", "LINK", "PER S", "VIA"};
static const bool to_the_right[COLUMNS_N] = {true, false, true, true, true, true, true, false};

struct row {
    char cells[COLUMNS_N][128];
};

uint64_t show_bytes(const json_t *client)
{
    const json_t *bytes = json_object_get(client, "bytes");
    return json_count_of(bytes, "wayland") + json_count_of(bytes, "memory") +
           json_count_of(bytes, "streams");
}

static void row_fill(struct row *r, const json_t *client, int64_t now)
{
    char text[WORDS_SIZE];
    snprintf(r->cells[0], sizeof(r->cells[0]), "%llu",
             (unsigned long long)json_count_of(client, "id"));
    words_cut(json_text_of(client, "name"), NAME_MAX_COLUMNS, r->cells[1], sizeof(r->cells[1]));
    snprintf(r->cells[2], sizeof(r->cells[2]), "%s",
             words_age(json_text_of(client, "since"), now, text));
    snprintf(r->cells[3], sizeof(r->cells[3]), "%s",
             words_bytes(json_count_of(client, "memory"), text));
    snprintf(r->cells[4], sizeof(r->cells[4]), "%llu",
             (unsigned long long)json_count_of(client, "fds"));
    snprintf(r->cells[5], sizeof(r->cells[5]), "%s", words_bytes(show_bytes(client), text));
    if (json_object_get(client, "rate"))
        snprintf(r->cells[RATE], sizeof(r->cells[RATE]), "%s",
                 words_bytes(json_count_of(client, "rate"), text));
    words_cut(json_true_of(client, "waiting") ? "waits" : json_text_of(client, "pixels"), 8,
              r->cells[7], sizeof(r->cells[7]));
}

/* The width of a row so far. */
static size_t row_print(FILE *out, const char *const *cells, const size_t *widths)
{
    size_t used = 2;
    fputs("  ", out);
    for (int i = 0; i < COLUMNS_N; i++) {
        if (!widths[i])
            continue;
        int pad = (int)(widths[i] - words_columns(cells[i]));
        fprintf(out, "%*s%s%*s  ", to_the_right[i] ? pad : 0, "", cells[i],
                to_the_right[i] ? 0 : pad, "");
        used += widths[i] + 2;
    }
    return used;
}

static void windows_print(FILE *out, const json_t *client, size_t room)
{
    const json_t *windows = json_object_get(client, "windows"), *window;
    char all[TEXT_SIZE] = "", text[TEXT_SIZE];
    size_t i, n = 0;
    json_array_foreach(windows, i, window)
    {
        const char *title = json_text_of(window, "title");
        if (!*title)
            title = json_text_of(window, "app_id");
        int more = snprintf(all + n, sizeof(all) - n, "%s%s", i ? ", " : "",
                            *title ? title : "(no title)");
        if (more < 0 || (size_t)more >= sizeof(all) - n)
            break;
        n += (size_t)more;
    }
    fprintf(out, "%s\n", words_cut(all, room, text, sizeof(text)));
}

static void clients_print(FILE *out, const json_t *clients, int64_t now, size_t columns)
{
    size_t n = json_array_size(clients), widths[COLUMNS_N], i;
    struct row *rows = calloc(n, sizeof(*rows));
    const json_t *client;
    if (!n || !rows) {
        free(rows);
        return;
    }
    bool rates = json_object_get(json_array_get(clients, 0), "rate");
    for (int c = 0; c < COLUMNS_N; c++)
        widths[c] = c != RATE || rates ? strlen(heads[c]) : 0;
    json_array_foreach(clients, i, client)
    {
        row_fill(&rows[i], client, now);
        for (int c = 0; c < COLUMNS_N; c++)
            if (words_columns(rows[i].cells[c]) > widths[c])
                widths[c] = words_columns(rows[i].cells[c]);
    }
    row_print(out, heads, widths);
    fputs("WINDOWS\n", out);
    json_array_foreach(clients, i, client)
    {
        const char *cells[COLUMNS_N];
        for (int c = 0; c < COLUMNS_N; c++)
            cells[c] = rows[i].cells[c];
        size_t used = row_print(out, cells, widths);
        windows_print(out, client, !columns ? TEXT_SIZE : columns > used ? columns - used : 1);
    }
    free(rows);
}

static void services_print(FILE *out, const json_t *services)
{
    const json_t *service;
    char text[TEXT_SIZE];
    size_t i;
    json_array_foreach(services, i, service) fprintf(
        out, "%s%s (%llu)",
        i ? ", " : "  services: ", words_cut(json_text_of(service, "name"), 64, text, sizeof(text)),
        (unsigned long long)json_count_of(service, "connections"));
    if (json_array_size(services))
        fputc('\n', out);
}

static void vm_head(FILE *out, const json_t *vm)
{
    const json_t *daemons = json_object_get(vm, "daemons"), *daemon;
    char state[WORDS_SIZE];
    char text[TEXT_SIZE], memory[WORDS_SIZE];
    size_t clients = json_array_size(json_object_get(vm, "clients")), i;
    words_cut(json_text_of(vm, "state"), 16, state, sizeof(state));
    fprintf(out, "%s: %s", words_cut(json_text_of(vm, "name"), 64, text, sizeof(text)), state);
    json_array_foreach(daemons, i, daemon)
    {
        const char *display = json_text_of(daemon, "display");
        fprintf(out, ", %s", words_cut(json_text_of(daemon, "host_name"), 64, text, sizeof(text)));
        if (*display && json_array_size(daemons) > 1) /* which of them */
            fprintf(out, " %s", words_cut(display, 108, text, sizeof(text)));
    }
    if (daemons)
        fprintf(out, ", %zu application%s, %s, %llu descriptors", clients, clients == 1 ? "" : "s",
                words_bytes(json_count_of(vm, "memory"), memory),
                (unsigned long long)json_count_of(vm, "fds"));
    fputc('\n', out);
}

/* The clock's time where that was today, else the day. */
static const char *moment(const char *when, int64_t now, char buffer[WORDS_SIZE])
{
    int64_t ms = words_time(when);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (ms < 0 || !localtime_r(&seconds, &tm))
        return "?";
    strftime(buffer, WORDS_SIZE, now - ms < 86400000 ? "%H:%M:%S" : "%Y-%m-%d", &tm);
    return buffer;
}

static void refused_print(FILE *out, const json_t *refused, int64_t now, size_t columns)
{
    const json_t *e;
    size_t i, n = json_array_size(refused);
    char when[WORDS_SIZE], rule[32], who[96], text[TEXT_SIZE], line[TEXT_SIZE + 256];
    if (n)
        fprintf(out, "  refused lately:\n");
    json_array_foreach(refused, i, e)
    {
        unsigned long long times = json_count_of(e, "times");
        if (i + REFUSED_SHOWN < n)
            continue;
        words_cut(json_text_of(e, "rule"), 16, rule, sizeof(rule));
        words_cut(json_text_of(e, "who"), 40, who, sizeof(who));
        who[strcspn(who, "\"")] = 0; /* the number is enough */
        if (*who && who[strlen(who) - 1] == ' ')
            who[strlen(who) - 1] = 0;
        words_clean(json_text_of(e, "text"), text, sizeof(text));
        snprintf(line, sizeof(line), "%s%s%s", who, *who ? ": " : "", text);
        fprintf(out, "    %s  %-11s ", moment(json_text_of(e, "when"), now, when), rule);
        if (times > 1)
            fprintf(out, "%llu times: ", times);
        fprintf(out, "%s\n",
                words_cut(line, columns > 50 ? columns - 38 : TEXT_SIZE, text, sizeof(text)));
    }
}

static void guest_head(FILE *out, const json_t *guest)
{
    char display[TEXT_SIZE], host[TEXT_SIZE], name[TEXT_SIZE];
    const char *path = json_text_of(guest, "display"), *vm = json_text_of(guest, "vm");
    bool connected = strcmp(json_text_of(guest, "state"), "connected") == 0;
    words_cut(*path ? path : "no display", 80, display, sizeof(display));
    words_cut(json_text_of(guest, "host"), 80, host, sizeof(host));
    if (connected)
        fprintf(out, "%s: connected to %s, which calls this VM %s\n", display, host,
                words_cut(vm, 64, name, sizeof(name)));
    else
        fprintf(out, "%s: waits for %s\n", display, host);
}

void show_status(FILE *out, const json_t *status, size_t columns)
{
    const json_t *vm, *vms = json_object_get(status, "vms");
    int64_t now = words_time(json_text_of(status, "when"));
    size_t i;
    json_array_foreach(vms, i, vm)
    {
        vm_head(out, vm);
        clients_print(out, json_object_get(vm, "clients"), now, columns);
        services_print(out, json_object_get(vm, "services"));
        refused_print(out, json_object_get(vm, "refused"), now, columns);
    }
    json_array_foreach(json_object_get(status, "guest"), i, vm)
    {
        guest_head(out, vm);
        clients_print(out, json_object_get(vm, "clients"), now, columns);
        services_print(out, json_object_get(vm, "services"));
        refused_print(out, json_object_get(vm, "refused"), now, columns);
    }
    if (json_array_size(json_object_get(status, "refused")))
        fprintf(out, "no VM:\n");
    refused_print(out, json_object_get(status, "refused"), now, columns);
}
