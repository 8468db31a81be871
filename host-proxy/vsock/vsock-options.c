/* SPDX-License-Identifier: MIT */
/* vsock-options: owns nothing; what it returns points into the arguments. */
#include "host-proxy/vsock/vsock-options.h"

#include <inttypes.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/number.h"
#include "common/base/options.h"
#include "common/transport/address.h"

#define PROGRAM "wayvsock-vsock"

enum {
    OPTION_SOCKET_PATH = OPTIONS_FIRST,
    OPTION_FD,
    OPTION_GUEST_CID,
    OPTION_UDS_PATH,
    OPTION_LISTEN_PORT,
    OPTION_HOST,
    OPTION_ALLOW_VM,
    OPTION_PRINT_CAPABILITIES,
    OPTION_CHECK,
};

static const struct option options[] = {
    {"socket-path", required_argument, NULL, OPTION_SOCKET_PATH},
    {"fd", required_argument, NULL, OPTION_FD},
    {"guest-cid", required_argument, NULL, OPTION_GUEST_CID},
    {"uds-path", required_argument, NULL, OPTION_UDS_PATH},
    {"listen-port", required_argument, NULL, OPTION_LISTEN_PORT},
    {"host", required_argument, NULL, OPTION_HOST},
    {"allow-vm", required_argument, NULL, OPTION_ALLOW_VM},
    {"print-capabilities", no_argument, NULL, OPTION_PRINT_CAPABILITIES},
    {"check", no_argument, NULL, OPTION_CHECK},
    OPTIONS_COMMON,
    {0},
};

static const char help[] =
    "Usage: wayvsock-vsock --socket-path PATH | --fd N --guest-cid CID [OPTION...]\n"
    "Is the vsock device of one virtual machine (virtio-vsock, by vhost-user). It needs no kernel\n"
    "module and no privileges.\n"
    "\n"
    "  --socket-path PATH    wait here for the virtual machine's hypervisor\n"
    "  --fd N                it is connected to this descriptor, or will connect to it\n"
    "  --guest-cid CID       the virtual machine's address, 3 or above\n"
    "  --uds-path PATH       PATH_N is port N of the host; who connects to PATH itself and says\n"
    "                        \"CONNECT N\" reaches port N of the virtual machine\n"
    "  --listen-port N=PATH  port N of the host is this socket; may be given several times\n"
    "  --host PATH           port 1100 of the host is wayvsock-host, which listens on\n"
    "                        vsock-device:PATH; N=PATH is another port\n"
    "  --allow-vm N=PATH:M   port N of the host is port M of another virtual machine, whose "
    "device\n"
    "                        has --uds-path PATH\n"
    "  --print-capabilities  print what is supported as JSON\n"
    "  --check               tell what is in place, and what to do about what is not\n"
    "  --log-level LEVEL     error, warn, info or debug (info)\n"
    "  --help                print this\n"
    "  --version             print the version\n";

static int add_port(struct vsock_options *o, const char *option, const struct hybrid_port *port)
{
    if (strlen(port->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return options_error(PROGRAM, "%s: %s is too long for a socket", option, port->path);
    if (o->n_ports == VSOCK_PORTS_MAX)
        return options_error(PROGRAM, "%s: more than %d ports", option, VSOCK_PORTS_MAX);
    for (size_t i = 0; i < o->n_ports; i++) {
        if (o->ports[i].port == port->port)
            return options_error(PROGRAM, "%s: port %" PRIu32 " is given twice", option,
                                 port->port);
    }
    o->ports[o->n_ports++] = *port;
    return 0;
}

static bool parse_port(const char *text, size_t n, uint32_t *ret_port)
{
    uint64_t port;
    if (!number_parse(text, n, UINT32_MAX - 1, &port))
        return false;
    *ret_port = (uint32_t)port;
    return true;
}

/* "N=PATH". False: there is no number, or nothing behind it. */
static bool parse_port_path(const char *text, struct hybrid_port *port)
{
    const char *equals = strchr(text, '=');
    if (!equals || !equals[1] || !parse_port(text, (size_t)(equals - text), &port->port))
        return false;
    port->path = equals + 1;
    return true;
}

static int add_listen_port(struct vsock_options *o, const char *text)
{
    struct hybrid_port port = {.kind = HYBRID_SOCKET};
    if (!parse_port_path(text, &port))
        return options_error(
            PROGRAM, "--listen-port: \"%s\" is no port and path, as in 1100=/run/socket", text);
    return add_port(o, "--listen-port", &port);
}

static int add_host(struct vsock_options *o, const char *text)
{
    struct hybrid_port port = {.kind = HYBRID_HOST, .port = ADDRESS_DEFAULT_PORT, .path = text};
    if (!parse_port_path(text, &port) && !*text)
        return options_error(PROGRAM, "--host: give the path that wayvsock-host listens on, as in "
                                      "--listen vsock-device:PATH");
    return add_port(o, "--host", &port);
}

/* Cuts the argument in two. */
static int add_vm(struct vsock_options *o, char *text)
{
    struct hybrid_port port = {.kind = HYBRID_VM};
    char *colon = strrchr(text, ':');
    if (!colon || !parse_port(colon + 1, strlen(colon + 1), &port.vm_port) ||
        (*colon = '\0', !parse_port_path(text, &port)))
        return options_error(PROGRAM,
                             "--allow-vm: \"%s\" is no port, path and port, as in "
                             "22=/run/other-vm/vsock:22",
                             text);
    return add_port(o, "--allow-vm", &port);
}

static int vsock_options_apply(int option, char **argv, struct vsock_options *o)
{
    uint64_t number;
    switch (option) {
    case OPTION_SOCKET_PATH:
        o->socket_path = optarg;
        return 0;
    case OPTION_FD:
        if (!number_parse(optarg, strlen(optarg), INT32_MAX, &number))
            return options_error(PROGRAM, "--fd: \"%s\" is not the number of a descriptor", optarg);
        o->fd = (int)number;
        return 0;
    case OPTION_GUEST_CID:
        /* 0, 1, 2 and the highest one have meanings of their own. */
        if (!number_parse(optarg, strlen(optarg), UINT32_MAX - 1, &number) || number < 3)
            return options_error(PROGRAM, "--guest-cid: \"%s\" is no number from 3 to 4294967294",
                                 optarg);
        o->guest_cid = (uint32_t)number;
        return 0;
    case OPTION_UDS_PATH:
        o->uds_path = optarg;
        return 0;
    case OPTION_LISTEN_PORT:
        return add_listen_port(o, optarg);
    case OPTION_HOST:
        return add_host(o, optarg);
    case OPTION_ALLOW_VM:
        return add_vm(o, optarg);
    case OPTION_PRINT_CAPABILITIES:
        o->print_capabilities = true;
        return 0;
    case OPTION_CHECK:
        o->check = true;
        return 0;
    default:
        return options_common(PROGRAM, help, option, argv, &o->log_level);
    }
}

int vsock_options_parse(int argc, char **argv, struct vsock_options *ret_options)
{
    struct vsock_options o = {.fd = -1, .log_level = LOG_LEVEL_INFO};
    int option;
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        int r = vsock_options_apply(option, argv, &o);
        if (r != 0)
            return r;
    }
    if (optind < argc)
        return options_error(PROGRAM, "unexpected \"%s\"", argv[optind]);
    if (!o.print_capabilities && !o.check && !o.socket_path == (o.fd < 0))
        return options_error(PROGRAM,
                             "give either --socket-path PATH or --fd N: where the hypervisor is");
    if (!o.print_capabilities && !o.check && o.guest_cid == 0)
        return options_error(PROGRAM, "give --guest-cid CID: the virtual machine's address");
    *ret_options = o;
    return 0;
}
