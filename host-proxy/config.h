/* SPDX-License-Identifier: MIT */
#pragma once
/* config: what the host daemon was told to do, from the command line (options.h) and the
 * configuration file. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/transport/address.h"
#include "common/base/log.h"
#include "common/services/settings.h"

/* Which way clipboard, primary selection and drag-and-drop carry data. Bits. */
enum clipboard_policy {
    CLIPBOARD_OFF = 0,
    CLIPBOARD_TO_VM = 1,
    CLIPBOARD_FROM_VM = 2,
    CLIPBOARD_BOTH = 3,
};

/* What the compositor may be given as dmabufs, rather than as shared memory. */
enum dmabuf_policy {
    DMABUF_NO,
    DMABUF_YES,    /* pictures that the VM's GPU draws; default */
    DMABUF_LINEAR, /* the VM's own memory, too */
};

struct limits {
    uint32_t daemons; /* connected at a time, of the VM; default 64 */
    uint32_t clients; /* connected at a time, of the VM; default 256 */
    uint64_t memory;  /* bytes that we hold, for the VM; default 2 GiB */
    uint64_t fds;     /* descriptors of ours, for the VM; default: what a process may open */
    uint64_t queue;   /* bytes waiting in one direction, of one client; default 16 MiB */
};

struct vm_config {
    char *name; /* [A-Za-z0-9._-]{1,64} */
    bool has_cid;
    uint32_t cid;
    struct address *listen; /* whoever connects here is this VM */
    size_t n_listen, listen_room;
    char *
        gpu; /* its GPU device's export socket or a folder of them; NULL: pixels go over the link */
    char *
        *token_files; /* each daemon shows one of them; NULL-terminated, NULL: none is asked for */
    char **allow, **deny; /* globs of interface names, NULL-terminated; NULL if none */
    enum clipboard_policy clipboard;
    char *title_prefix, *app_id_prefix; /* NULL: none */
    bool security_context;
    bool output_names; /* the VM is told which screens they are */
    enum dmabuf_policy dmabuf;
    struct limits limits;
    char **forward; /* names of the services that it may have, NULL-terminated; NULL if none */
    char *start;    /* the command that starts it, for a shell; NULL: nobody knows */
    bool menu;      /* its entries are in the host's menu */
    bool on_command_line; /* --vm named it */
};

struct host_config {
    struct address *listen; /* vsock: any VM comes in here, known by its CID */
    size_t n_listen, listen_room;
    char *compositor; /* a display's name or path; NULL: the environment's */
    struct vm_config *vms;
    size_t n_vms, vms_room;
    struct service_settings *services;
    size_t n_services, services_room;
    uint32_t peer_timeout_s; /* default 600 */
    bool no_auth, check;
    bool faulty; /* with check: something was wrong with it, and was said */
    enum log_level log_level;
};

/* Defaults, no VM. */
void host_config_init(struct host_config *config);
/* Frees what @config holds; it can be initialised again. */
void host_config_finish(struct host_config *config);

/* Adds the settings of the file at @path. 0 or -errno, with a message in @error that names the
 * file, the line and what would be right; what was read so far stays. */
int host_config_read(struct host_config *config, const char *path, char *error, size_t error_size);
/* The same for text that is in memory; @name is what messages call it. */
int host_config_read_text(struct host_config *config, const char *name, const char *text, size_t n,
                          char *error, size_t error_size);

/* Adds a VM with default settings. Returns it (valid until the next one is added), or NULL with a
 * message: a name that is no name or is taken already. */
struct vm_config *host_config_add_vm(struct host_config *config, const char *name, char *error,
                                     size_t error_size);
/* Gives @vm a CID. 0, or -EINVAL with a message: one that has no meaning or belongs to another VM.
 */
int host_config_set_cid(struct host_config *config, struct vm_config *vm, const char *text,
                        char *error, size_t error_size);
int host_config_add_listen(struct address **list, size_t *n, size_t *room, const char *text,
                           char *error, size_t error_size); /* 0 or -EINVAL with a message */
int host_config_add_glob(char ***list, const char *glob, char *error, size_t error_size); /* same */
/* A service with default settings, or what the preset of that name says. Returns it (valid until
 * the next one is added), or NULL with a message: no name, or it is there already. */
struct service_settings *host_config_add_service(struct host_config *config, const char *name,
                                                 char *error, size_t error_size);
/* NULL: there is none of that name. */
struct service_settings *host_config_service(const struct host_config *config, const char *name);
/* The VM may have the service of that name, which is to be there when all is read. 0, or -EINVAL
 * with a message. */
int host_config_add_forward(struct vm_config *vm, const char *name, char *error, size_t error_size);
/* Adds the path to a list like vm_config.token_files. 0 or -ENOMEM. */
int host_config_add_path(char ***list, const char *path);
int host_config_parse_timeout(const char *text, uint32_t *ret_seconds, char *error,
                              size_t error_size);

/* Checks what only the whole can show, and gives the unix: and vsock-mux: addresses of no section
 * to the only VM (which is made, called "vm", where none is named). 0, or -EINVAL with a message.
 */
int host_config_complete(struct host_config *config, char *error, size_t error_size);
/* The same, and goes on after what is wrong: @complain is called for each. 0 or -EINVAL. */
int host_config_complete_all(struct host_config *config, void (*complain)(const char *text));

/* After that, when it is known what each VM may have: every service of theirs is there, and leads
 * somewhere. 0, or -EINVAL with a message. */
int host_config_check_services(struct host_config *config, char *error, size_t error_size);
/* Then, while files may still be read: what the services' protocols need of them. 0, or -errno with
 * a message. */
int host_config_prepare_services(struct host_config *config, char *error, size_t error_size);

/* The VM that owns the listener at @address (as address_of_listener() tells it, too): nobody else
 * comes in there, and over vsock its CID must still be the right one. NULL: every VM may come in,
 * known by its CID. */
const struct vm_config *host_config_owner(const struct host_config *config,
                                          const struct address *address);
/* Makes an inherited listener's address what the configuration calls it, if it does. */
void host_config_name(const struct host_config *config, struct address *address);
/* Whether both are the same listener: a hybrid socket's is the Unix socket PATH_PORT, however it
 * was named. */
bool host_config_same_listener(const struct address *a, const struct address *b);
/* NULL: nothing names that CID. */
const struct vm_config *host_config_vm_of_cid(const struct host_config *config, uint32_t cid);
