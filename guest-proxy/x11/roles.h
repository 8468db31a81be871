/* SPDX-License-Identifier: MIT */
#pragma once
/* roles: the X server's surfaces as windows of the compositor: which is a toplevel, which a popup,
 * and what may be shown when. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct role;
struct roles;
struct tunnel;
struct wl_message;

enum { ROLE_MAXIMIZED = 1, ROLE_FULLSCREEN = 2, ROLE_ACTIVATED = 4, ROLE_TILED = 8 };

struct roles_ops {
    /* The X server has a new surface of that id of its own. */
    void (*surface)(void *user, uint32_t servers_id);
    /* The window is to have that size (0: as it likes) and is in that state (ROLE_…). */
    void (*configured)(void *user, void *window, int width, int height, unsigned states);
    void (*close)(void *user, void *window); /* somebody asked it to */
    /* Its surface is gone, and with it the role. */
    void (*gone)(void *user, void *window);
    void (*pointer)(void *user, void *window);  /* is on it */
    void (*keyboard)(void *user, void *window); /* is its; NULL: nobody's here */
};

struct roles *roles_create(struct loop *loop, struct tunnel *tunnel, const struct roles_ops *ops,
                           void *user);
void roles_destroy(struct roles *roles); /* accepts NULL */

/* What the tunnel shows, see struct tunnel_ops. */
bool roles_request(struct roles *roles, uint32_t id, const struct wl_message *message);
bool roles_event(struct roles *roles, uint32_t id, const struct wl_message *message);
void roles_settled(struct roles *roles);

/* A global of the compositor's: bound by us where it is one that we need. True: the X server is not
 * to hear of it. */
bool roles_global(struct roles *roles, uint32_t registry, uint32_t name, const char *interface,
                  uint32_t version);
bool roles_usable(const struct roles *roles); /* there is xdg_wm_base */

/* The latest serial of something that a person did, and the seat, 0: none yet. */
uint32_t roles_serial(const struct roles *roles);
uint32_t roles_seat(const struct roles *roles);

/* A window of its own, now @width × @height. NULL: there is no such surface (yet), or it has a
 * role.
 */
struct role *roles_toplevel(struct roles *roles, uint32_t servers_surface, void *window, int width,
                            int height);
/* One at a place of @parent's. */
struct role *roles_popup(struct roles *roles, uint32_t servers_surface, void *window,
                         struct role *parent, int x, int y, int width, int height);

/* The window is gone: what is left of it shows nothing. */
void role_abandon(struct role *role);

/* Of a toplevel; what popups have nothing of is ignored. Texts are cut. */
/* All that is known of a new toplevel was said: the compositor may answer. */
void role_begun(struct role *role);

void role_set_title(struct role *role, const char *title);
void role_set_app_id(struct role *role, const char *app_id);
void role_set_parent(struct role *role, struct role *parent); /* NULL: none */
void role_set_limits(struct role *role, int min_width, int min_height, int max_width,
                     int max_height);                     /* 0: none */
void role_set_states(struct role *role, unsigned states); /* ROLE_MAXIMIZED, ROLE_FULLSCREEN */
void role_set_frame(struct role *role, bool wanted);
/* Where it is, of what its surface measures: @n rectangles of x, y, width, height. Elsewhere the
 * pointer reaches what is behind. */
void role_set_area(struct role *role, const int16_t (*area)[4], size_t n);
void role_minimize(struct role *role);
void role_move(struct role *role);                   /* follow the pointer */
void role_resize(struct role *role, uint32_t edges); /* as xdg_toplevel has them */
void role_resized(struct role *role, int w, int h);  /* X has given it that size */
void role_place(struct role *role, int x, int y);    /* a popup */
