/* SPDX-License-Identifier: MIT */
/* guest-control: owns the socket and the answers. Of several daemons of a user the first has
 * guest.sock, the others have their process in its name; which display is whose, they say. */
#include "guest-proxy/guest-control.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/control/control-answer.h"
#include "common/control/control-app.h"
#include "common/control/control-request.h"
#include "common/control/control-socket.h"
#include "common/transport/address.h"
#include "guest-proxy/display.h"
#include "guest-proxy/guest-client.h"
#include "guest-proxy/guest-services.h"
#include "guest-proxy/uplink.h"

struct guest_control {
    const struct guest_view *view;
    struct control_socket *socket;
    struct answers answers;
};

static json_t *control_status(const struct guest_view *v)
{
    char host[256];
    bool connected = uplink_ready(v->uplink);
    return json_pack(
        "{ss so so so so ss so so so so}", "version", WAYVSOCK_VERSION, "when",
        json_time(json_now()), "display", json_words(v->display ? display_path(v->display) : NULL),
        "host", json_words(address_format(uplink_address(v->uplink), host, sizeof(host))), "vm",
        json_words(connected ? uplink_vm_name(v->uplink) : NULL), "state",
        connected ? "connected" : "waiting", "since", connected ? json_time(v->since) : json_null(),
        "clients", clients_describe(v->clients), "services", services_describe(v->services),
        "refused", app_refused(&v->refused));
}

static void control_came(void *user, const struct control_request *request, const char *line,
                         size_t n, int fd)
{
    struct guest_control *g = user;
    (void)line;
    (void)n;
    if (request->command != CONTROL_STATUS || *request->vm) {
        control_refuse(fd, "this is a guest's daemon, which has its own status alone");
        return;
    }
    struct answer *answer = answer_create(&g->answers, fd, NULL, NULL);
    if (!answer)
        return;
    answer_say_all(answer, control_status(g->view));
    answer_end(answer);
}

struct guest_control *guest_control_create(struct loop *loop, const struct guest_view *view)
{
    char error[512] = "out of memory", other[64];
    struct guest_control *g = calloc(1, sizeof(*g));
    snprintf(other, sizeof(other), CONTROL_GUEST_PREFIX "%ld" CONTROL_SUFFIX, (long)getpid());
    if (g) {
        g->view = view;
        answers_init(&g->answers, loop);
        g->socket = control_socket_create(loop, CONTROL_GUEST, other, control_came, g, error,
                                          sizeof(error));
    }
    if (g && g->socket)
        return g;
    log_info(NULL, "\"wayvsock status\" will not find this daemon: %s", error);
    free(g);
    return NULL;
}

const char *guest_control_path(const struct guest_control *g)
{
    return control_socket_path(g->socket);
}

void guest_control_destroy(struct guest_control *g)
{
    if (!g)
        return;
    control_socket_destroy(g->socket);
    answers_finish(&g->answers);
    free(g);
}
