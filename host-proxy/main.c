/* SPDX-License-Identifier: MIT */
/* wayvsock-host: shows the windows of virtual machines on this desktop. The VMs outlive the gate,
 * whose visitors refer to them, and the configuration outlives both. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/sd.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/compositor.h"
#include "host-proxy/host-check.h"
#include "host-proxy/gate.h"
#include "host-proxy/host-options.h"
#include "host-proxy/host-sandbox.h"
#include "host-proxy/vms.h"

static int main_run(const struct host_config *config)
{
    char error[512];
    struct vms vms = {0};
    struct gate *gate = NULL;
    struct loop *loop = loop_create();
    if (!loop) {
        log_error(NULL, "cannot make an event loop: %s", strerror(errno));
        return 1;
    }
    int r = sd_catch_signals(loop); /* before there is anything to see, or to be removed */
    if (r < 0)
        log_error(NULL, "cannot catch signals: %s", strerror(-r));
    if (r == 0)
        r = vms_init(&vms, loop, config);
    if (r == 0) {
        gate = gate_create(&vms, error, sizeof(error));
        if (!gate) {
            log_error(NULL, "%s", error);
            r = -EINVAL;
        }
    }
    if (r == 0)
        r = host_sandbox_enter(config);
    if (r == 0)
        r = sd_run(loop);
    gate_destroy(gate);
    vms_finish(&vms);
    compositor_folder_remove();
    loop_destroy(loop);
    return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct host_config config;
    int r = host_options_parse(argc, argv, &config);
    if (r == 0) {
        log_init("wayvsock-host", config.check && config.log_level < LOG_LEVEL_DEBUG
                                      ? LOG_LEVEL_WARN
                                      : config.log_level);
        signal(SIGPIPE, SIG_IGN);
        fd_raise_limit();
        sandbox_hide(); /* tokens, clipboards */
        if (config.no_auth)
            log_warn(
                NULL,
                "--no-auth: whoever connects is taken for the VM's daemon; for development only");
        r = config.check ? check_run(&config) : main_run(&config);
    } else {
        r = r == OPTIONS_DONE ? 0 : 2;
    }
    host_config_finish(&config);
    return r;
}
