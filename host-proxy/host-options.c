/* SPDX-License-Identifier: MIT */
/* options: the command line is read twice over: first the file that it names, then the options,
 * which add to it in their order. */
#include "host-proxy/host-options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/checks.h"
#include "common/transport/export-folder.h"
#include "common/services/settings-text.h"
#include "common/transport/token.h"

#define PROGRAM "wayvsock-host"
#define GLOBS_MAX 64
#define FORWARD_MAX 32

enum {
    OPTION_LISTEN = OPTIONS_FIRST,
    OPTION_COMPOSITOR,
    OPTION_CONFIG,
    OPTION_VM,
    OPTION_TOKEN,
    OPTION_GPU,
    OPTION_FORWARD,
    OPTION_ALLOW,
    OPTION_PEER_TIMEOUT,
    OPTION_NO_AUTH,
    OPTION_CHECK,
};

static const struct option options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"compositor", required_argument, NULL, OPTION_COMPOSITOR},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"vm", required_argument, NULL, OPTION_VM},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"gpu", required_argument, NULL, OPTION_GPU},
    {"forward", required_argument, NULL, OPTION_FORWARD},
    {"allow", required_argument, NULL, OPTION_ALLOW},
    {"peer-timeout", required_argument, NULL, OPTION_PEER_TIMEOUT},
    {"no-auth", no_argument, NULL, OPTION_NO_AUTH},
    {"check", no_argument, NULL, OPTION_CHECK},
    OPTIONS_COMMON,
    {0},
};

static const char help[] =
    "Usage: wayvsock-host --listen ADDR... [OPTION...]\n"
    "Shows the Wayland windows of virtual machines on this desktop.\n"
    "\n"
    "  --listen ADDR...        accept virtual machines here: vsock:PORT, vsock:CID:PORT,\n"
    "                          unix:PATH, vsock-mux:PATH:PORT or vsock-device:PATH (the usual\n"
    "                          port is 1100)\n"
    "  --compositor DISPLAY    the compositor's display (WAYLAND_DISPLAY)\n"
    "  --config FILE           read a configuration file: wayvsock-host.conf(5)\n"
    "  --vm NAME[:CID]         serve this VM: the one with that CID, or whoever connects to a\n"
    "                          unix:, vsock-mux: or vsock-device: address\n"
    "  --token FILE            VMs without a token of their own prove themselves with this\n"
    "                          file's content\n"
    "  --gpu PATH              the export socket of the VM's wayvsock-gpu, or the folder where it\n"
    "                          is, or \"auto\": pixels are taken from there instead of sent over\n"
    "                          the link (a PATH is for a single VM)\n"
    "  --forward NAME[=SOCKET] let the VMs of --vm (or all) use this service: a preset, one of "
    "the\n"
    "                          configuration, or what listens on this SOCKET\n"
    "  --allow GLOB...         let VMs bind these globals too ('*': all that can be carried)\n"
    "  --peer-timeout SECONDS  drop a VM that has been silent for so long (600)\n"
    "  --no-auth               serve whoever connects; for development\n"
    "  --check                 tell what is in place and what is not; exit with 0 if\n"
    "                          applications would work\n"
    "  --log-level LEVEL       error, warn, info or debug (info)\n"
    "  --help                  print this\n"
    "  --version               print the version\n";

/* What concerns every VM, also those that come later on the command line. */
struct for_all {
    char **token_files; /* NULL-terminated, or NULL */
    const char *gpu;
    const char *globs[GLOBS_MAX];
    size_t n_globs;
    const char *forward[FORWARD_MAX];
    size_t n_forward;
    bool any_vm; /* --vm named one */
};

static int options_bad(const char *option, const char *error)
{
    return options_error(PROGRAM, "%s: %s", option, error);
}

static int options_out_of_memory(void)
{
    options_error(PROGRAM, "out of memory");
    return -ENOMEM;
}

static int add_vm(struct host_config *config, const char *text)
{
    char error[512], name[80];
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    struct vm_config *vm = NULL;
    snprintf(name, sizeof(name), "%.*s", n < sizeof(name) ? (int)n : (int)sizeof(name) - 1, text);
    for (size_t i = 0; i < config->n_vms; i++) { /* the file's, made more precise */
        if (strcmp(config->vms[i].name, name) == 0 && colon && !config->vms[i].has_cid)
            vm = &config->vms[i];
    }
    if (!vm)
        vm = host_config_add_vm(config, name, error, sizeof(error));
    if (vm)
        vm->on_command_line = true;
    if (!vm || (colon && host_config_set_cid(config, vm, colon + 1, error, sizeof(error)) < 0))
        return options_bad("--vm", error);
    return 0;
}

static int add_glob(struct for_all *all, const char *glob)
{
    if (all->n_globs == GLOBS_MAX)
        return options_error(PROGRAM, "--allow: more than %d globs; put them in a file (--config)",
                             GLOBS_MAX);
    all->globs[all->n_globs++] = glob;
    return 0;
}

/* What it is, now; to whom it is allowed, when all VMs are known. */
static int add_forward(struct host_config *config, struct for_all *all, const char *text)
{
    struct service_settings parsed, *s;
    const char *path;
    char error[512];
    if (all->n_forward == FORWARD_MAX)
        return options_error(PROGRAM,
                             "--forward: more than %d services; put them in a file "
                             "(--config)",
                             FORWARD_MAX);
    if (service_parse(text, &parsed, &path, error, sizeof(error)) < 0)
        return options_bad("--forward", error);
    all->forward[all->n_forward++] = text;
    s = host_config_service(config, parsed.name);
    if (!s && path)
        s = host_config_add_service(config, parsed.name, error, sizeof(error));
    if (!path)
        return 0;
    if (!s || service_set(s, "path", path, error, sizeof(error)) < 0)
        return options_bad("--forward", error);
    if (strchr(text, ':') && strchr(text, ':') < path)
        s->type = parsed.type;
    return 0;
}

/* Those that --forward names are for the VMs that --vm names, or for all. */
static int finish_forward(struct host_config *config, const struct for_all *all)
{
    struct service_settings parsed;
    const char *path;
    char error[512];
    for (size_t f = 0; f < all->n_forward; f++) {
        for (size_t i = 0; i < config->n_vms; i++) {
            struct vm_config *vm = &config->vms[i];
            if (all->any_vm && !vm->on_command_line)
                continue;
            if (service_parse(all->forward[f], &parsed, &path, error, sizeof(error)) < 0 ||
                host_config_add_forward(vm, parsed.name, error, sizeof(error)) < 0)
                return options_bad("--forward", error);
        }
    }
    return 0;
}

static int options_apply(int option, char **argv, struct host_config *config, struct for_all *all)
{
    char error[512];
    switch (option) {
    case OPTION_LISTEN:
        if (host_config_add_listen(&config->listen, &config->n_listen, &config->listen_room, optarg,
                                   error, sizeof(error)) < 0)
            return options_bad("--listen", error);
        return 0;
    case OPTION_COMPOSITOR:
        if (!*optarg)
            return options_bad("--compositor", "give a display's name or path");
        free(config->compositor);
        config->compositor = strdup(optarg);
        return config->compositor ? 0 : options_out_of_memory();
    case OPTION_CONFIG: /* read already */
        return 0;
    case OPTION_VM:
        all->any_vm = true;
        return add_vm(config, optarg);
    case OPTION_FORWARD:
        return add_forward(config, all, optarg);
    case OPTION_TOKEN:
        return host_config_add_path(&all->token_files, optarg) < 0 ? options_out_of_memory() : 0;
    case OPTION_GPU:
        if (!*optarg)
            return options_bad("--gpu",
                               "give the path that wayvsock-gpu was given with --export, or auto");
        all->gpu = optarg;
        return 0;
    case OPTION_ALLOW:
        return add_glob(all, optarg);
    case OPTION_PEER_TIMEOUT:
        if (host_config_parse_timeout(optarg, &config->peer_timeout_s, error, sizeof(error)) < 0)
            return options_bad("--peer-timeout", error);
        return 0;
    case OPTION_NO_AUTH:
        config->no_auth = true;
        return 0;
    case OPTION_CHECK:
        config->check = true;
        return 0;
    default:
        return options_common(PROGRAM, help, option, argv, &config->log_level);
    }
}

/* The first pass: help, version, mistakes, and the file. */
static int read_file(int argc, char **argv, struct host_config *config)
{
    const char *path = NULL;
    char error[1024];
    int option;
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "-:", options, NULL)) != -1) {
        if (option == OPTION_CONFIG && path)
            return options_error(PROGRAM, "--config: only one file can be given");
        if (option == OPTION_CONFIG)
            path = optarg;
        bool own = option >= OPTIONS_FIRST || option == 1; /* 1: a word that is no option */
        int r = own ? 0 : options_common(PROGRAM, help, option, argv, &config->log_level);
        if (r != 0)
            return r;
    }
    if (optind < argc)
        return options_error(PROGRAM, "unexpected \"%s\": this daemon runs no command",
                             argv[optind]);
    if (!path)
        return 0;
    int result = host_config_read(config, path, error, sizeof(error));
    if (result < 0) {
        options_error(PROGRAM, "%s", error);
        return result;
    }
    return 0;
}

/* The second pass. A word that is no option is one more value of the list option before it. */
static int apply_all(int argc, char **argv, struct host_config *config, struct for_all *all)
{
    int option, list = 0;
    optind = 0;
    while ((option = getopt_long(argc, argv, "-:", options, NULL)) != -1) {
        if (option == 1 && !list)
            return options_error(PROGRAM, "unexpected \"%s\"", optarg);
        if (option != 1)
            list = option == OPTION_LISTEN || option == OPTION_ALLOW ? option : 0;
        int result = options_apply(option == 1 ? list : option, argv, config, all);
        if (result < 0)
            return result;
    }
    return 0;
}

/* @gpu: of the command line, or NULL. "auto" becomes the folder in which devices export by
 * default. */
static int finish_gpu(struct vm_config *vm, const char *gpu)
{
    char folder[4096];
    if (gpu && (!vm->gpu || strcmp(gpu, "auto") != 0)) {
        free(vm->gpu);
        vm->gpu = strdup(gpu);
        if (!vm->gpu)
            return options_out_of_memory();
    }
    if (!vm->gpu || strcmp(vm->gpu, "auto") != 0)
        return 0;
    if (export_folder_path(folder, sizeof(folder)) < 0)
        return options_bad("--gpu", "XDG_RUNTIME_DIR is too long");
    free(vm->gpu);
    vm->gpu = strdup(folder);
    return vm->gpu ? 0 : options_out_of_memory();
}

/* To a VM that names none. */
static int finish_tokens(struct vm_config *vm, char *const *files)
{
    if (vm->token_files)
        return 0;
    for (; files && *files; files++) {
        if (host_config_add_path(&vm->token_files, *files) < 0)
            return options_out_of_memory();
    }
    return 0;
}

static int finish_vms(struct host_config *config, struct for_all *all)
{
    char error[512], path[4096];
    if (all->gpu && config->n_vms > 1 && strcmp(all->gpu, "auto") != 0)
        return options_bad("--gpu",
                           "each VM has a device of its own: with several VMs, write \"gpu = "
                           "PATH\" into their sections, or give --gpu auto");
    const char *credential = all->token_files ? NULL : token_default(path, sizeof(path));
    if (credential && host_config_add_path(&all->token_files, credential) < 0)
        return options_out_of_memory();
    for (size_t i = 0; i < config->n_vms; i++) {
        struct vm_config *vm = &config->vms[i];
        for (size_t g = 0; g < all->n_globs; g++) {
            if (host_config_add_glob(&vm->allow, all->globs[g], error, sizeof(error)) < 0)
                return options_bad("--allow", error);
        }
        int result = finish_tokens(vm, all->token_files);
        if (result == 0)
            result = finish_gpu(vm, all->gpu);
        if (result < 0)
            return result;
    }
    return 0;
}

static void options_complain(const char *text)
{
    checks_line(false, "the configuration", text);
}

/* Sockets of systemd are seen only when they are taken; that there are some is enough here. */
static bool listens(const struct host_config *config)
{
    bool any = config->n_listen > 0 || getenv("LISTEN_FDS");
    for (size_t i = 0; i < config->n_vms; i++)
        any = any || config->vms[i].n_listen > 0;
    return any;
}

int host_options_parse(int argc, char **argv, struct host_config *config)
{
    char error[1024];
    struct for_all all = {0};
    host_config_init(config);
    int result = read_file(argc, argv, config);
    if (result == 0)
        result = apply_all(argc, argv, config, &all);
    if (result == 0 && config->check) /* which lists all that is wrong */
        config->faulty = host_config_complete_all(config, options_complain) < 0;
    else if (result == 0 && host_config_complete(config, error, sizeof(error)) < 0)
        result = options_error(PROGRAM, "%s", error);
    if (result == 0)
        result = finish_forward(config, &all);
    if (result == 0 && (host_config_check_services(config, error, sizeof(error)) < 0 ||
                        host_config_prepare_services(config, error, sizeof(error)) < 0))
        result = options_error(PROGRAM, "%s", error);
    if (result == 0 && !config->check && !listens(config))
        result = options_error(PROGRAM, "nothing to listen on: give --listen ADDR, as in --listen "
                                        "vsock:1100");
    if (result == 0)
        result = finish_vms(config, &all);
    for (char **token = all.token_files; token && *token; token++)
        free(*token);
    free(all.token_files);
    return result;
}
