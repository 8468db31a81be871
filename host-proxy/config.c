/* SPDX-License-Identifier: MIT */
/* config: the settings as values, and the rules that hold whether they came from the command line
 * or the file (config-file.c). After host_config_complete() every listener leads to VMs that can be
 * told apart. */
#include "host-proxy/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/list.h"
#include "common/base/number.h"
#include "common/services/helper.h"
#include "common/services/presets.h"
#include "common/services/settings-text.h"
#include "protocol/run.h"

#define NAME_MAX_BYTES 64
#define GLOB_MAX_BYTES 128
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define GLOB_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_*?[]!-"
#define TIMEOUT_MAX_S (7 * 24 * 3600)

static const struct limits default_limits = {
    .daemons = 64,
    .clients = 256,
    .memory = UINT64_C(2) << 30,
    .fds = UINT64_MAX,
    .queue = UINT64_C(16) << 20,
};

void host_config_init(struct host_config *config)
{
    *config = (struct host_config){.peer_timeout_s = 600, .log_level = LOG_LEVEL_INFO};
}

static void config_free_strings(char **list)
{
    for (char **item = list; item && *item; item++)
        free(*item);
    free(list);
}

void host_config_finish(struct host_config *config)
{
    for (size_t i = 0; i < config->n_vms; i++) {
        struct vm_config *vm = &config->vms[i];
        free(vm->name);
        free(vm->listen);
        free(vm->gpu);
        config_free_strings(vm->token_files);
        config_free_strings(vm->allow);
        config_free_strings(vm->deny);
        config_free_strings(vm->forward);
        free(vm->title_prefix);
        free(vm->app_id_prefix);
        free(vm->start);
    }
    for (size_t i = 0; i < config->n_services; i++)
        service_settings_finish(&config->services[i]);
    free(config->services);
    free(config->vms);
    free(config->listen);
    free(config->compositor);
    *config = (struct host_config){0};
}

struct vm_config *host_config_add_vm(struct host_config *config, const char *name, char *error,
                                     size_t error_size)
{
    size_t n = strlen(name);
    if (n == 0 || n > NAME_MAX_BYTES || strspn(name, NAME_CHARACTERS) != n) {
        error_set(-EINVAL, error, error_size,
                  "\"%.80s\" is no name for a VM: write 1 to %d letters, digits, dots, hyphens or "
                  "underscores",
                  name, NAME_MAX_BYTES);
        return NULL;
    }
    for (size_t i = 0; i < config->n_vms; i++) {
        if (strcmp(config->vms[i].name, name) == 0) {
            error_set(-EINVAL, error, error_size, "the VM \"%s\" is there already", name);
            return NULL;
        }
    }
    char *copy = strdup(name);
    if (!copy || array_room(&config->vms, &config->vms_room, config->n_vms + 1, SIZE_MAX) < 0) {
        free(copy);
        error_set(-EINVAL, error, error_size, "out of memory");
        return NULL;
    }
    config->vms[config->n_vms] = (struct vm_config){
        .name = copy,
        .clipboard = CLIPBOARD_BOTH,
        .security_context = true,
        .dmabuf = DMABUF_YES,
        .limits = default_limits,
    };
    return &config->vms[config->n_vms++];
}

int host_config_set_cid(struct host_config *config, struct vm_config *vm, const char *text,
                        char *error, size_t error_size)
{
    uint64_t cid;
    if (!number_parse(text, strlen(text), UINT32_MAX - 1, &cid))
        return error_set(-EINVAL, error, error_size,
                         "\"%.32s\" is no CID: write a number from 3 to 4294967294, as the VM's "
                         "configuration has it (guest-cid)",
                         text);
    const struct vm_config *other = host_config_vm_of_cid(config, (uint32_t)cid);
    if (other && other != vm)
        return error_set(-EINVAL, error, error_size,
                         "CID %" PRIu64 " is already that of the VM \"%s\"", cid, other->name);
    vm->cid = (uint32_t)cid;
    vm->has_cid = true;
    return 0;
}

int host_config_add_listen(struct address **list, size_t *n, size_t *room, const char *text,
                           char *error, size_t error_size)
{
    struct address address;
    if (address_parse(text, &address, error, error_size) < 0)
        return -EINVAL;
    if (array_room(list, room, *n + 1, SIZE_MAX) < 0)
        return error_set(-EINVAL, error, error_size, "out of memory");
    (*list)[(*n)++] = address;
    return 0;
}

static int config_add_string(char ***list, const char *string, char *error, size_t error_size)
{
    size_t n = 0;
    while (*list && (*list)[n])
        n++;
    char **grown = reallocarray(*list, n + 2, sizeof(*grown));
    if (grown) {
        *list = grown;
        grown[n + 1] = NULL;
        grown[n] = strdup(string);
    }
    return grown && grown[n] ? 0 : error_set(-EINVAL, error, error_size, "out of memory");
}

int host_config_add_path(char ***list, const char *path)
{
    char error[64];
    return config_add_string(list, path, error, sizeof(error)) < 0 ? -ENOMEM : 0;
}

int host_config_add_glob(char ***list, const char *glob, char *error, size_t error_size)
{
    size_t length = strlen(glob);
    if (length == 0 || length > GLOB_MAX_BYTES || strspn(glob, GLOB_CHARACTERS) != length)
        return error_set(
            -EINVAL, error, error_size,
            "\"%.80s\" matches no interface: write a name such as zwlr_layer_shell_v1, "
            "with * for any characters",
            glob);
    return config_add_string(list, glob, error, error_size);
}

struct service_settings *host_config_service(const struct host_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_services; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return &config->services[i];
    return NULL;
}

struct service_settings *host_config_add_service(struct host_config *config, const char *name,
                                                 char *error, size_t error_size)
{
    const struct preset *preset = preset_find(name);
    if (!service_name_is_valid(name, strlen(name))) {
        error_set(
            -EINVAL, error, error_size,
            "\"%.80s\" is no name for a service: write 1 to %d letters, digits, dots, hyphens "
            "or underscores",
            name, LINK_NAME_MAX);
        return NULL;
    }
    if (strncmp(name, RUN_SERVICE_PREFIX, strlen(RUN_SERVICE_PREFIX)) == 0) {
        error_set(-EINVAL, error, error_size, "services called %s... are the daemons' own",
                  RUN_SERVICE_PREFIX);
        return NULL;
    }
    if (host_config_service(config, name)) {
        error_set(-EINVAL, error, error_size, "the service \"%s\" is there already", name);
        return NULL;
    }
    if (array_room(&config->services, &config->services_room, config->n_services + 1, SIZE_MAX) <
        0) {
        error_set(-EINVAL, error, error_size, "out of memory");
        return NULL;
    }
    struct service_settings *s = &config->services[config->n_services];
    service_settings_init(s, name);
    config->n_services++;
    return !preset || service_set_lines(s, preset->lines, error, error_size) == 0 ? s : NULL;
}

int host_config_add_forward(struct vm_config *vm, const char *name, char *error, size_t error_size)
{
    for (char **has = vm->forward; has && *has; has++)
        if (strcmp(*has, name) == 0)
            return 0;
    return config_add_string(&vm->forward, name, error, error_size);
}

int host_config_check_services(struct host_config *config, char *error, size_t error_size)
{
    for (size_t i = 0; i < config->n_vms; i++) {
        for (char **name = config->vms[i].forward; name && *name; name++) {
            if (host_config_service(config, *name))
                continue;
            if (!preset_find(*name))
                return error_set(-EINVAL, error, error_size,
                                 "nothing says what the service \"%.32s\" is: add a [forward "
                                 "%.32s] section, or --forward %.32s=SOCKET",
                                 *name, *name, *name);
            if (!host_config_add_service(config, *name, error, error_size))
                return -EINVAL;
        }
    }
    int r = 0;
    for (size_t i = 0; i < config->n_services && r == 0; i++)
        r = service_settings_check(&config->services[i], error, error_size);
    return r;
}

int host_config_prepare_services(struct host_config *config, char *error, size_t error_size)
{
    int r = 0;
    for (size_t i = 0; i < config->n_services && r == 0; i++) {
        struct service_settings *s = &config->services[i];
        if (s->helper && s->helper->prepare)
            r = s->helper->prepare(s, error, error_size);
    }
    return r;
}

int host_config_parse_timeout(const char *text, uint32_t *ret_seconds, char *error,
                              size_t error_size)
{
    uint64_t seconds;
    if (!number_parse(text, strlen(text), TIMEOUT_MAX_S, &seconds) || seconds == 0)
        return error_set(-EINVAL, error, error_size,
                         "\"%.32s\" is no time: write seconds, from 1 to %d", text, TIMEOUT_MAX_S);
    *ret_seconds = (uint32_t)seconds;
    return 0;
}

bool host_config_same_listener(const struct address *a, const struct address *b)
{
    char texts[2][sizeof(a->path) + 16];
    const struct address *both[2] = {a, b};
    if ((a->kind == ADDRESS_VSOCK) != (b->kind == ADDRESS_VSOCK))
        return false;
    if (a->kind == ADDRESS_VSOCK)
        return a->cid == b->cid && a->port == b->port;
    for (int i = 0; i < 2; i++) {
        if (both[i]->kind == ADDRESS_VSOCK_MUX)
            snprintf(texts[i], sizeof(texts[i]), "%s_%" PRIu32, both[i]->path, both[i]->port);
        else
            snprintf(texts[i], sizeof(texts[i]), "%s", both[i]->path);
    }
    return strcmp(texts[0], texts[1]) == 0;
}

static const struct address *config_find_listener(const struct address *list, size_t n,
                                                  const struct address *address)
{
    for (size_t i = 0; i < n; i++) {
        if (host_config_same_listener(&list[i], address))
            return &list[i];
    }
    return NULL;
}

/* Moves the addresses that no CID comes in by from the daemon's list to the only VM's. */
static int config_give_sockets_away(struct host_config *config, char *error, size_t error_size)
{
    char text[160];
    size_t kept = 0;
    for (size_t i = 0; i < config->n_listen; i++) {
        struct address *address = &config->listen[i];
        address_format(address, text, sizeof(text));
        if (config_find_listener(config->listen, i, address))
            return error_set(-EINVAL, error, error_size, "%s is listed twice", text);
    }
    for (size_t i = 0; i < config->n_listen; i++) {
        struct address address = config->listen[i];
        if (address.kind == ADDRESS_VSOCK) {
            config->listen[kept++] = address;
            continue;
        }
        address_format(&address, text, sizeof(text));
        if (config->n_vms == 0 && !host_config_add_vm(config, "vm", error, error_size))
            return -EINVAL;
        if (config->n_vms > 1)
            return error_set(
                -EINVAL, error, error_size,
                "nothing tells which of the %zu VMs comes in by %s: move it to that VM's "
                "section of the configuration file, as \"listen = %s\" below [vm NAME]",
                config->n_vms, text, text);
        struct vm_config *vm = &config->vms[0];
        if (host_config_add_listen(&vm->listen, &vm->n_listen, &vm->listen_room, text, error,
                                   error_size) < 0)
            return -EINVAL;
    }
    config->n_listen = kept;
    return 0;
}

static int config_check_vm(const struct host_config *config, const struct vm_config *vm,
                           char *error, size_t error_size)
{
    char text[160];
    if (config->n_vms > 1 && !vm->has_cid && vm->n_listen == 0)
        return error_set(
            -EINVAL, error, error_size,
            "nothing tells the VM \"%s\" from the others: give it its CID (--vm %s:CID, "
            "or \"cid = CID\" below [vm %s]) or its own \"listen = ADDR\"",
            vm->name, vm->name, vm->name);
    for (size_t i = 0; i < vm->n_listen; i++) {
        const struct address *address = &vm->listen[i];
        address_format(address, text, sizeof(text));
        if (address->kind == ADDRESS_VSOCK && !vm->has_cid)
            return error_set(
                -EINVAL, error, error_size,
                "every VM can connect to %s, which is listed for the VM \"%s\": add its "
                "\"cid = CID\"",
                text, vm->name);
        bool twice = config_find_listener(vm->listen, i, address) ||
                     config_find_listener(config->listen, config->n_listen, address);
        for (const struct vm_config *other = config->vms; other < vm; other++)
            twice = twice || config_find_listener(other->listen, other->n_listen, address);
        if (twice)
            return error_set(-EINVAL, error, error_size, "%s is listed twice", text);
    }
    return 0;
}

int host_config_complete(struct host_config *config, char *error, size_t error_size)
{
    int result = config_give_sockets_away(config, error, error_size);
    for (size_t i = 0; result == 0 && i < config->n_vms; i++)
        result = config_check_vm(config, &config->vms[i], error, error_size);
    return result;
}

int host_config_complete_all(struct host_config *config, void (*complain)(const char *text))
{
    char error[1024];
    int result = config_give_sockets_away(config, error, sizeof(error));
    if (result < 0)
        complain(error);
    for (size_t i = 0; i < config->n_vms; i++) {
        if (config_check_vm(config, &config->vms[i], error, sizeof(error)) == 0)
            continue;
        complain(error);
        result = -EINVAL;
    }
    return result;
}

const struct vm_config *host_config_owner(const struct host_config *config,
                                          const struct address *address)
{
    for (size_t i = 0; i < config->n_vms; i++) {
        if (config_find_listener(config->vms[i].listen, config->vms[i].n_listen, address))
            return &config->vms[i];
    }
    return address->kind != ADDRESS_VSOCK && config->n_vms == 1 ? &config->vms[0] : NULL;
}

void host_config_name(const struct host_config *config, struct address *address)
{
    const struct address *named = NULL;
    for (size_t i = 0; i < config->n_vms && !named; i++)
        named = config_find_listener(config->vms[i].listen, config->vms[i].n_listen, address);
    if (named)
        *address = *named;
}

const struct vm_config *host_config_vm_of_cid(const struct host_config *config, uint32_t cid)
{
    for (size_t i = 0; i < config->n_vms; i++) {
        if (config->vms[i].has_cid && config->vms[i].cid == cid)
            return &config->vms[i];
    }
    return NULL;
}
