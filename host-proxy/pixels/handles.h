/* SPDX-License-Identifier: MIT */
#pragma once
/* handles: the way to one VM's GPU device: its export socket, and the proof that the guest daemon
 * holds that device. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "host-proxy/pixels/requests.h"
#include "protocol/export.h"
#include "protocol/frames.h"

struct handles;
struct log_subject;
struct loop;

#define HANDLES_DEVICE_SIZE 16 /* of what a device's process calls itself, in its WELCOME */

struct handles_ops {
    /* The guest is to write @nonce into a resource of its GPU; handles_probed() tells which. */
    void (*probe)(void *user, const uint8_t nonce[LINK_NONCE_SIZE]);
    /* Whether resources of the guest may be named, from now on. @why: why not. */
    void (*bound)(void *user, bool bound, const char *why);
    /* The guest has shown that it holds @device. NULL: nobody wants to know. */
    void (*had)(void *user, const uint8_t device[HANDLES_DEVICE_SIZE]);
    /* Whether another VM's guest has shown that of @device. NULL: there is none. */
    bool (*anothers)(void *user, const uint8_t device[HANDLES_DEVICE_SIZE]);
};

/* Somebody who uses what was exported. */
struct handles_user {
    LIST_ENTRY(handles_user) entry;
    void (*gone)(struct handles_user *user,
                 uint32_t id); /* the guest took the resource of this export away: release it */
    /* Every export is void, no request will be answered. @reset: the guest's driver started anew.
     */
    void (*lost)(struct handles_user *user, bool reset, const char *why);
};

/* @path: of the device's export socket, or of a folder of such (common/export-folder.h) that are
 * searched for the VM's; nothing happens before handles_begin(). NULL: out of
 * memory. */
struct handles *handles_create(struct loop *loop, const char *path, struct log_subject *subject,
                               const struct handles_ops *ops, void *user);
void handles_destroy(struct handles *handles); /* accepts NULL; its users must be gone */

/* A session begins whose guest can be probed. True: the device answered the door, so probe() or
 * bound() follows soon. False: said in the log; tried again every few seconds. */
bool handles_begin(struct handles *handles);
void handles_end(struct handles *handles); /* the session is over; no callback but lost() */
/* The guest's answer to probe(): 0: it has no (more) device to offer. -EPROTO: nobody asked. */
int handles_probed(struct handles *handles, uint32_t resource);
bool handles_bound(const struct handles *handles);
uint32_t handles_features(const struct handles *handles); /* EXPORT_FEATURE_*; 0 unless bound */

void handles_join(struct handles *handles, struct handles_user *user);
void handles_leave(struct handles *handles, struct handles_user *user);

/* Requests, only while bound. @answer comes from the loop, once, or lost() does. 0, or -ENOTCONN,
 * -ENOMEM. */
int handles_export(struct handles *handles, uint32_t resource, requests_answer *answer, void *user);
int handles_mirror(struct handles *handles, uint32_t id, int fd, uint64_t size,
                   requests_answer *answer, void *user); /* takes @fd */
int handles_copy(struct handles *handles, const struct export_copy *copy, requests_answer *answer,
                 void *user);
void handles_release(struct handles *handles, uint32_t id);
/* No answer for @user any more; what is exported for it later is released. */
void handles_forget(struct handles *handles, void *user);

/* Connects to @path and asks what is there, at once; for --check. 0 or -errno, with a text. */
int handles_check(const char *path, struct export_welcome *ret_welcome, char *error,
                  size_t error_size);
