/* SPDX-License-Identifier: MIT */
/* renderer-process: owns nothing of the VM: the program is started anew, with the device's
 * connection as its only descriptor, limits itself, and draws until the device is gone. Should it
 * crash, nobody loses more than what it has drawn. */
#include "host-proxy/gpu/renderer/renderer-process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/gpu/renderer/engine.h"
#include "host-proxy/gpu/renderer/render-server.h"
#include "host-proxy/gpu/renderer/renderer-sandbox.h"
#include "host-proxy/gpu/renderer/virgl.h"

static void renderer_ended(void *user, int reason)
{
    (void)reason;
    loop_stop(user);
}

/* Takes @fd. */
static int renderer_serve(struct loop *loop, int fd, const char *render_node)
{
    _cleanup_(fd_closep) int device = fd;
    char error[RENDER_TEXT_SIZE];
    struct engine *engine = virgl_create(loop, render_node, error, sizeof(error));
    if (!engine) {
        int r = -errno;
        render_server_refuse(device, error);
        return r;
    }
    int r = renderer_sandbox_filter();
    struct render_server *server =
        r == 0 ? render_server_create(loop, fd_steal(&device), engine, renderer_ended, loop) : NULL;
    if (r == 0 && !server) {
        r = -errno;
        log_error(NULL, "cannot serve the device: %s", strerror(-r));
    }
    if (r == 0)
        r = loop_run(loop);
    render_server_destroy(server);
    engine->ops->destroy(engine);
    return r;
}

int renderer_process_run(int argc, char **argv)
{
    prctl(PR_SET_NAME, "wayvsock-render");
    log_init(RENDERER_PROGRAM, argc == 3 ? (enum log_level)atoi(argv[1]) : LOG_LEVEL_INFO);
    if (argc != 3 || fd_set_nonblock(RENDERER_FD) < 0) {
        log_error(NULL, "wayvsock-gpu starts this program, nobody else");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sandbox_hide();
    const char *render_node = *argv[2] ? argv[2] : NULL;
    struct loop *loop = loop_create();
    int r = loop ? renderer_sandbox_enter(render_node) : -ENOMEM;
    if (r == 0)
        r = renderer_serve(loop, RENDERER_FD, render_node);
    loop_destroy(loop);
    return r < 0 ? 1 : 0;
}
