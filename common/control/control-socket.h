/* SPDX-License-Identifier: MIT */
#pragma once
/* control-socket: where people ask a daemon: its listening socket, and each connection until its
 * request is there. */
#include <stdbool.h>
#include <stddef.h>

struct control_request;
struct control_socket;
struct loop;

#define CONTROL_PATH_MAX 108 /* as long as a socket's can be */

/* Their names: the host's, a guest's, and where a user has several of those, PREFIX…SUFFIX. */
#define CONTROL_HOST "host.sock"
#define CONTROL_GUEST "guest.sock"
#define CONTROL_GUEST_PREFIX "guest-"
#define CONTROL_SUFFIX ".sock"
/* Where a system service has it, below which there is a folder for each user. */
#define CONTROL_SERVICE_FOLDER "/run/wayvsock-guest"

/* The folder of control sockets: XDG_RUNTIME_DIR/wayvsock, or a system service's RUNTIME_DIRECTORY.
 * 0, -ENOENT: the environment has neither, or -ENAMETOOLONG. */
int control_folder(char path[CONTROL_PATH_MAX]);

/* Calls @found for the path of each guest's socket in @folder, whether or not somebody listens
 * there.
 */
void control_guests(const char *folder, void (*found)(void *user, const char *path), void *user);

/* A request came: its line has @n bytes less the end. Takes @fd (non-blocking), for the answer;
 * what was sent behind the line is still to be read there. */
typedef void control_requested(void *user, const struct control_request *request, const char *line,
                               size_t n, int fd);

/* Listens on @name in that folder, or where somebody else has that already on @other (NULL: there
 * is none). NULL with a message; the daemon can do without. */
struct control_socket *control_socket_create(struct loop *loop, const char *name, const char *other,
                                             control_requested *requested, void *user, char *error,
                                             size_t error_size);
/* Whether @fd, a socket that a service manager made, listens as @name in that folder. */
bool control_socket_is(int fd, const char *name);
/* The same with that one (taken). NULL: out of memory. */
struct control_socket *control_socket_take(struct loop *loop, int fd, control_requested *requested,
                                           void *user);
const char *control_socket_path(const struct control_socket *socket);
void control_socket_destroy(struct control_socket *socket); /* accepts NULL */
