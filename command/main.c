/* SPDX-License-Identifier: MIT */
/* wayvsock: the command for people. It asks the daemons that are here over their control sockets,
 * and shows what they answer. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command/command-options.h"
#include "command/gather.h"
#include "command/run-program.h"
#include "command/show.h"
#include "command/top.h"
#include "command/trace.h"
#include "command/words.h"
#include "common/control/control-socket.h"

static size_t terminal_columns(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static int run_status(const struct command_options *o)
{
    json_t *status = gather_status(o);
    if (!status) {
        gather_complain(o);
        return 1;
    }
    if (o->json) {
        json_dumpf(status, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        show_status(stdout, status, terminal_columns());
    }
    json_decref(status);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int run_end(const struct command_options *o)
{
    char path[CONTROL_PATH_MAX];
    json_t *request = json_pack("{ss ss}", "command", "end", "vm", o->vm);
    if (o->client)
        json_object_set_new(request, "client", json_count(o->client));
    json_t *answer = gather_host(o, path, sizeof(path)) == 0 ? gather_one(path, request) : NULL;
    char error[512];
    words_clean(answer ? json_text_of(answer, "error") : "no daemon answers here", error,
                sizeof(error));
    uint64_t n = json_count_of(answer, "ended");
    if (*error)
        fprintf(stderr, "wayvsock: %s\n", error);
    else if (o->json)
        printf("{\"ended\": %llu}\n", (unsigned long long)n);
    else
        printf("%llu application%s ended\n", (unsigned long long)n, n == 1 ? "" : "s");
    int status = *error ? 1 : 0;
    json_decref(answer);
    return status;
}

static const struct command commands[] = {
    {"end", run_end, TARGET_CLIENT},       {"run", run_program, TARGET_PROGRAM},
    {"status", run_status, TARGET_VM_MAY}, {"top", top_run, TARGET_VM_MAY},
    {"trace", trace_run, TARGET_CLIENT},   {0},
};

int main(int argc, char **argv)
{
    struct command_options options;
    int r = command_options_parse(argc, argv, commands, &options);
    if (r != 0)
        return r == OPTIONS_DONE ? 0 : 2;
    setlocale(LC_CTYPE, "");
    json_begin();
    return options.command->run(&options);
}
