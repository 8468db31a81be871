/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer-process: the program that draws for one device, from its start to its end. */

#define RENDERER_PROGRAM "wayvsock-gpu-renderer" /* its argv[0] */
#define RENDERER_FD 3                            /* where the device is */

/* @argv: its name, the log level (a number), and the render node ("": in software). Returns what
 * main() is to return. */
int renderer_process_run(int argc, char **argv);
