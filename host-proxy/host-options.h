/* SPDX-License-Identifier: MIT */
#pragma once
/* host-options: the host daemon's command line. */
#include "common/base/options.h"
#include "host-proxy/config.h"

/* Fills @config (initialised here; host_config_finish() in every case) from the command line and
 * the configuration file that it names. 0: go on. OPTIONS_DONE: --help or --version was answered,
 * exit with 0. -errno: said on stderr, exit with 2. */
int host_options_parse(int argc, char **argv, struct host_config *config);
