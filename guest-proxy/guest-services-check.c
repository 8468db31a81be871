/* SPDX-License-Identifier: MIT */
/* guest-services-check: each service is opened as a program's connection would do it, with nobody
 * behind it, and left as soon as the host has answered. */
#include "guest-proxy/guest-services-check.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/services/settings-text.h"
#include "common/transport/address.h"
#include "common/transport/link.h"
#include "common/transport/socket-check.h"
#include "guest-proxy/approach.h"
#include "guest-proxy/guest-options.h"
#include "guest-proxy/guest-services.h"
#include "guest-proxy/pixels/gpu.h"
#include "guest-proxy/uplink.h"

#define ANSWER_MS 15000 /* more than a command of the host's has to start */

/* One connection that asks for a service. */
struct attempt {
    struct loop *loop;
    struct uplink *uplink;
    struct approach approach;
    struct link *link; /* owned */
    struct link_open open;
    enum { ATTEMPT_WAITS, ATTEMPT_GOOD, ATTEMPT_ABSENT, ATTEMPT_REFUSED } result;
    char why[256];
    struct link_sharing sharing; /* as the host says it */
};

static void attempt_end(struct attempt *a, int result, const char *why, size_t size)
{
    if (a->result == ATTEMPT_WAITS)
        snprintf(a->why, sizeof(a->why), "%.*s", (int)size, why);
    if (a->result == ATTEMPT_WAITS)
        a->result = result;
    loop_stop(a->loop);
}

static int attempt_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct attempt *a = user;
    struct link_error_frame error;
    struct link_opened opened;
    if (type == LINK_SHARING)
        link_sharing_decode(payload, size, &a->sharing);
    else if (type == LINK_OPENED && link_opened_decode(payload, size, &opened) == LINK_OK)
        attempt_end(a, ATTEMPT_GOOD, "", 0);
    else if (type == LINK_ERROR && link_error_decode(payload, size, &error) == LINK_OK)
        attempt_end(a, error.code == LINK_ERROR_COMPOSITOR ? ATTEMPT_ABSENT : ATTEMPT_REFUSED,
                    error.text, error.text_size);
    return 0; /* what else the service says at once */
}

static void attempt_closed(void *user, int reason, unsigned type)
{
    static const char text[] = "the host closed the connection without a reason";
    (void)reason;
    (void)type;
    attempt_end(user, ATTEMPT_REFUSED, text, sizeof(text));
}

static const struct link_ops link_ops = {.frame = attempt_frame, .closed = attempt_closed};

static void attempt_arrived(void *user, struct link *link, const void *bytes, size_t n,
                            const char *error)
{
    static const char old[] = "the host's wayvsock is older than services";
    struct attempt *a = user;
    a->link = link;
    if (!link) {
        attempt_end(a, ATTEMPT_REFUSED, error, strlen(error));
        return;
    }
    link_adopt(link, &link_ops, a);
    if (!uplink_has_services(a->uplink)) {
        attempt_end(a, ATTEMPT_REFUSED, old, sizeof(old));
        return;
    }
    uplink_client_hello(a->uplink, link, LINK_ROLE_SERVICE, "check");
    link_queue(link, link_open_encode, &a->open);
    link_flush(link);
    if (n)
        link_feed(link, bytes, n);
}

static void attempt_expired(void *user)
{
    static const char text[] = "the host does not answer";
    attempt_end(user, ATTEMPT_REFUSED, text, sizeof(text));
}

/* What of the VM's memory such a service has itself, from here. */
static void note_sharing(const struct attempt *a, const char *what)
{
    const struct gpu *gpu = uplink_gpu(a->uplink);
    bool there = gpu_device(gpu);
    if (a->sharing.memory && there && gpu->takes_files)
        checks_note("%s: memory that is sealed against shrinking, in whole pages, is shared where "
                    "the host can; other is mirrored",
                    what);
    else if (a->sharing.memory)
        checks_note("%s: memory is mirrored: %s", what, there ? gpu_how(gpu) : gpu->why);
    if (a->sharing.dmabufs)
        checks_note("%s: dmabufs are %s%s%s", what,
                    there                                     ? "shared where the host can"
                    : a->sharing.dmabufs == LINK_DMABUFS_ONCE ? "copied: "
                                                              : "refused: ",
                    there ? "" : gpu->why,
                    !there                                    ? ""
                    : a->sharing.dmabufs == LINK_DMABUFS_ONCE ? ", else copied"
                                                              : ", else refused");
}

static bool check_with_host(const struct service_settings *s, struct loop *loop,
                            struct approaches *approaches)
{
    struct attempt a = {.loop = loop,
                        .uplink = approaches->uplink,
                        .open = {.type = (uint16_t)s->type,
                                 .how = LINK_OPEN_CONNECT,
                                 .name = s->name,
                                 .name_size = (uint16_t)strlen(s->name)}};
    char what[160];
    struct loop_timer *timer = loop_timer_create(loop, attempt_expired, &a);
    if (!timer)
        return false;
    loop_timer_arm(timer, ANSWER_MS);
    approach_start(&a.approach, approaches, attempt_arrived, &a);
    while (a.result == ATTEMPT_WAITS && loop_run(loop) == 0)
        continue;
    approach_cancel(&a.approach);
    if (a.link)
        link_stop(a.link);
    link_destroy(a.link);
    loop_timer_destroy(timer);
    snprintf(what, sizeof(what), "the host's service %s", s->name);
    if (a.result == ATTEMPT_ABSENT)
        checks_note("%s: nobody is there yet: %s", what, a.why);
    else
        checks_line(a.result == ATTEMPT_GOOD, what, a.why);
    note_sharing(&a, what);
    return a.result == ATTEMPT_GOOD || a.result == ATTEMPT_ABSENT;
}

bool guest_services_check_host(const struct guest_options *options, struct loop *loop,
                               struct approaches *approaches)
{
    struct service_settings s;
    const char *path;
    char error[256];
    bool good = true;
    for (unsigned i = 0; i < options->forward_n; i++)
        if (service_parse(options->forward[i], &s, &path, error, sizeof(error)) == 0)
            good &= check_with_host(&s, loop, approaches);
    return good;
}

/* The folder that is made for sockets that nobody gave a place. */
static bool check_default(const struct service_settings *s, const char *path, const char *text)
{
    char folder[108];
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    bool there = access(folder, F_OK) == 0;
    *strrchr(folder, '/') = '\0';
    if (!there) {
        char line[300];
        bool good = access(folder, W_OK) == 0;
        snprintf(line, sizeof(line), "%s %.108s", text, path);
        checks_line(good, line, "the folder for it cannot be made");
        return good;
    }
    return socket_check("wayvsock-guest", text, path, service_type_socket(s->type));
}

/* Where programs are to connect: as services_forward() makes it. */
static bool check_forward(const struct service_settings *s, const char *path)
{
    const struct passwd *user = getpwuid(getuid());
    char at[108], text[160], unit[128], error[512];
    struct socket_owner owner = {.program = "wayvsock-guest"};
    struct address address = {.kind = ADDRESS_UNIX};
    snprintf(text, sizeof(text), "the socket of the service %s:", s->name);
    if (!path && services_default_path(s, at, sizeof(at), error, sizeof(error)) < 0) {
        checks_line(false, text, error);
        return false;
    }
    if (!path)
        return check_default(s, at, text);
    if (s->type != LINK_SOCKET_STREAM)
        return socket_check("wayvsock-guest", text, path, service_type_socket(s->type));
    if (user && (size_t)snprintf(unit, sizeof(unit), "wayvsock-%s@%s.socket", s->name,
                                 user->pw_name) < sizeof(unit))
        owner.unit = unit;
    snprintf(address.path, sizeof(address.path), "%s", path);
    return socket_check_address(&owner, text, &address);
}

static void check_serve(const struct service_settings *s, const char *path)
{
    char error[512], text[320];
    int fd = address_connect_type(path, service_type_socket(s->type), error, sizeof(error));
    snprintf(text, sizeof(text), "what is served to the host as %s: %.108s", s->name, path);
    if (fd >= 0)
        checks_line(true, text, "");
    else
        checks_note("what is served to the host as %s: nobody is there yet: %s", s->name, error);
    fd_close(fd);
}

bool guest_services_check(const struct guest_options *options)
{
    struct service_settings s;
    const char *path;
    char error[256];
    bool good = true;
    for (unsigned i = 0; i < options->forward_n; i++)
        if (service_parse(options->forward[i], &s, &path, error, sizeof(error)) == 0)
            good &= check_forward(&s, path);
    for (unsigned i = 0; i < options->serve_n; i++)
        if (service_parse(options->serve[i], &s, &path, error, sizeof(error)) == 0 && path)
            check_serve(&s, path);
    return good;
}
