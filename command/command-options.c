/* SPDX-License-Identifier: MIT */
/* command-options: texts stay where the command line has them. */
#include "command/command-options.h"

#include <errno.h>
#include <string.h>

#include "common/base/number.h"
#include "protocol/run.h"

#define PROGRAM "wayvsock"

enum {
    OPTION_CONTENTS = OPTIONS_FIRST,
    OPTION_DISPLAY,
    OPTION_ENTRY,
    OPTION_JSON,
    OPTION_NO_TERMINAL,
    OPTION_SOCKET,
};

static const struct option options[] = {
    {"contents", no_argument, NULL, OPTION_CONTENTS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"display", required_argument, NULL, OPTION_DISPLAY},
    {"entry", required_argument, NULL, OPTION_ENTRY},
    {"no-terminal", no_argument, NULL, OPTION_NO_TERMINAL},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"help", no_argument, NULL, OPTIONS_HELP},
    {"version", no_argument, NULL, OPTIONS_VERSION},
    {0},
};

static const char help[] =
    "Usage: wayvsock COMMAND [OPTION...]\n"
    "Shows what virtual machines have on this desktop, or a virtual machine on its host's.\n"
    "\n"
    "  status [VM]             who is there, what crosses, what was refused lately\n"
    "  top [VM]                the same again and again, and how much crosses in a second\n"
    "  trace VM[/APP]          each message that passes, by name, from now on\n"
    "  end VM[/APP]            end the VM's applications, or the one with that number\n"
    "  run VM -- PROGRAM ARG...\n"
    "                          start a program in the VM: input, output, signals, status\n"
    "\n"
    "  --contents              trace: the messages' arguments as well, titles among them\n"
    "  --display NAME          in a virtual machine: the daemon that serves this display\n"
    "  --entry ID              run: the entry of the VM's menu with this id\n"
    "  --json                  for programs: as wayvsock(1) describes it\n"
    "  --no-terminal           run: the program gets pipes, even from a terminal\n"
    "  --socket PATH           ask the daemon that has this control socket\n"
    "  --help                  print this\n"
    "  --version               print the version\n";

static int options_target(struct command_options *o, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    if (n == 0 || n > CONTROL_VM_MAX)
        return options_error(PROGRAM, "\"%s\" is no VM's name", text);
    memcpy(o->vm, text, n);
    o->vm[n] = 0;
    if (!slash)
        return 0;
    if (o->command->target != TARGET_CLIENT)
        return options_error(PROGRAM, "%s is about VMs, not single applications", o->command->name);
    if (!number_parse(slash + 1, strlen(slash + 1), INT64_MAX, &o->client) || !o->client)
        return options_error(PROGRAM, "\"%s\": behind the / comes the number that status shows",
                             text);
    return 0;
}

/* "run VM", then the words behind "--", which getopt left where they are. */
static int options_program(int n, char **words, struct command_options *o)
{
    if (n == 1)
        return options_error(PROGRAM, "run: in which VM?");
    int r = options_target(o, words[1]);
    if (r < 0)
        return r;
    o->words = n > 2 ? words + 2 : NULL;
    if (o->entry && o->words)
        return options_error(PROGRAM, "run: either --entry or a program");
    if (o->entry && (!*o->entry || strlen(o->entry) > RUN_ID_MAX))
        return options_error(PROGRAM, "--entry: \"%.80s\" is no entry's id", o->entry);
    if (!o->entry && (!o->words || !*o->words[0]))
        return options_error(PROGRAM, "run: which program? write it behind --");
    return 0;
}

static int options_words(int n, char **words, const struct command *commands,
                         struct command_options *o)
{
    if (n == 0)
        return options_error(PROGRAM, "which command?");
    for (o->command = commands; o->command->name; o->command++)
        if (strcmp(o->command->name, words[0]) == 0)
            break;
    if (!o->command->name)
        return options_error(PROGRAM, "\"%s\" is no command", words[0]);
    bool target = o->command->target != TARGET_NONE;
    if (o->command->target == TARGET_PROGRAM)
        return options_program(n, words, o);
    if (n > 1 + target)
        return options_error(PROGRAM, "unexpected \"%s\"", words[1 + target]);
    if (n == 1 && o->command->target == TARGET_CLIENT)
        return options_error(PROGRAM, "%s: which VM?", words[0]);
    return n > 1 ? options_target(o, words[1]) : 0;
}

int command_options_parse(int argc, char **argv, const struct command *commands,
                          struct command_options *ret)
{
    struct command_options o = {.command = NULL};
    int option;
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (option) {
        case OPTION_CONTENTS:
            o.contents = true;
            break;
        case OPTION_DISPLAY:
            o.display = optarg;
            break;
        case OPTION_ENTRY:
            o.entry = optarg;
            break;
        case OPTION_NO_TERMINAL:
            o.no_terminal = true;
            break;
        case OPTION_JSON:
            o.json = true;
            break;
        case OPTION_SOCKET:
            o.socket = optarg;
            break;
        default: {
            int r = options_common(PROGRAM, help, option, argv, NULL);
            if (r != 0)
                return r;
        }
        }
    }
    int r = options_words(argc - optind, argv + optind, commands, &o);
    if (r == 0)
        *ret = o;
    return r;
}
