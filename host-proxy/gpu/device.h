/* SPDX-License-Identifier: MIT */
#pragma once
/* device: the VM's virtio-gpu: its queues, what the guest created, and when the guest's pages are
 * free again. */
#include <stdbool.h>
#include <stdint.h>

#include "host-proxy/gpu/commands.h"

struct loop;
struct render_layout;
struct renderer;
struct vhost_user;

#define DEVICE_UNREF_MS 500 /* as long as Linux may well wait */
#define DEVICE_UNREF_MAX 32 /* UNREFs that wait; more are answered at once */

struct device_ops {
    /* The resource is destroyed or has no (or other) memory now: exports of it are stale. While
     * they are held, an UNREF waits for device_release(). */
    void (*gone)(void *user, struct resource *resource);
    /* The resource will be freed: no pointer to it may stay. */
    void (*forget)(void *user, struct resource *resource);
    /* Resources came or changed. */
    void (*changed)(void *user);
    /* All resources are gone; the epoch is another one. */
    void (*reset)(void *user);
    /* As renderer_listener's, for what has a ticket. */
    void (*copied)(void *user, uint64_t ticket, int result);
    void (*exported)(void *user, uint64_t ticket, int fd, const struct render_layout *layout);
};

struct device;

/* An UNREF is answered at the latest after @unref_ms, released or not. NULL: errno. */
struct device *device_create(struct loop *loop, unsigned unref_ms);
void device_destroy(struct device *device); /* accepts NULL */
/* Offers 3D to guests (@renderer borrowed). Before device_connect(). 0 or -ENOMEM. */
int device_draw(struct device *device, struct renderer *renderer);
/* Who draws, or NULL. */
struct renderer *device_renderer(const struct device *device);
/* Who exports resources. Before device_connect(). */
void device_listen(struct device *device, const struct device_ops *ops, void *user);
/* Takes @fd, a frontend's connection; @closed is called when it is gone (0 or -errno), and with it
 * all that it had. 0; -EBUSY: there is one already; or -errno. */
int device_connect(struct device *device, int fd, void (*closed)(void *user, int reason),
                   void *user);

/* Looks for commands that wait in the control queue. */
void device_poll(struct device *device);
/* NULL: no such resource. */
struct resource *device_find(struct device *device, uint32_t id);
/* It is a picture that the renderer has. */
bool device_draws(const struct device *device, const struct resource *resource);
/* The guest let others see it: what its driver does to a buffer that leaves its device. */
bool device_is_shared(const struct device *device, const struct resource *resource);
/* An export holds the resource, or has let go of it. */
void device_hold(struct device *device, struct resource *resource);
void device_release(struct device *device, struct resource *resource);
/* The VM's memory, or NULL. */
const struct guest_ram *device_ram(const struct device *device);
uint64_t device_epoch(const struct device *device);
bool device_has_driver(const struct device *device);
