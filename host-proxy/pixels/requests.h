/* SPDX-License-Identifier: MIT */
#pragma once
/* requests: the conversation with a VM's GPU device over one connection at a time: what it is
 * asked, and which answer belongs to what. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "protocol/export.h"

struct log_subject;
struct loop;
struct loop_timer;
struct packets;
struct request;

#define REQUESTS_BUCKETS 512

/* Each of them may end the conversation (requests_drop()). */
struct requests_ops {
    void (*welcomed)(void *user, const struct export_welcome *welcome); /* after requests_hello() */
    void (*reset)(void *user, const struct export_reset *reset);
    void (*gone)(void *user, const struct export_gone *gone);
    /* The device is gone, broke the protocol or does not answer: requests_drop() is due. */
    void (*failed)(void *user, const char *why);
};

/* What a request is answered with: @status of EXPORT_OK… (of a
 * BIND: whether the nonce was found), @buffer for an EXPORT where that is
 * EXPORT_OK, with a descriptor (owned by the callee) where its kind says so; -1 otherwise. */
typedef void requests_answer(void *user, uint32_t status, const struct export_buffer *buffer,
                             int fd);

struct requests {
    struct loop *loop;
    struct log_subject *subject;
    const struct requests_ops *ops;
    void *user;
    struct packets *packets;                      /* NULL: no connection */
    bool greeting;                                /* HELLO is out, WELCOME is to come */
    struct loop_timer *timer;                     /* for the oldest answer that is to come */
    struct request *sent, **sent_last;            /* in this order */
    struct request *queue, **queue_last;          /* EXPORTs for later */
    LIST_HEAD(, request) asked[REQUESTS_BUCKETS]; /* both, by their users */
    unsigned exports_asked;
    uint32_t serial;
};

/* 0 or -ENOMEM; requests_finish() is due either way. */
int requests_init(struct requests *requests, struct loop *loop, struct log_subject *subject,
                  const struct requests_ops *ops, void *user);
void requests_finish(struct requests *requests); /* not from within its callbacks */

/* Takes @fd, a connection to the device. 0 or -ENOMEM. */
int requests_connect(struct requests *requests, int fd);
bool requests_connected(const struct requests *requests);
/* The connection ends, and nothing is answered any more. */
void requests_drop(struct requests *requests);

/* Only while connected. */
void requests_hello(struct requests *requests); /* first of all, unless @fd was greeted before */
/* Answered from the loop, once, if nothing comes between. 0 or -ENOMEM. @user: not NULL. */
int requests_bind(struct requests *requests, uint32_t resource,
                  const uint8_t nonce[EXPORT_NONCE_SIZE], requests_answer *answer, void *user);
int requests_export(struct requests *requests, uint32_t resource, requests_answer *answer,
                    void *user);
int requests_mirror(struct requests *requests, uint32_t id, int fd, uint64_t size,
                    requests_answer *answer, void *user); /* takes @fd */
int requests_copy(struct requests *requests, const struct export_copy *copy,
                  requests_answer *answer, void *user);
void requests_release(struct requests *requests, uint32_t id); /* also without a connection */

/* No answer for @user any more; what is exported for it later is released. */
void requests_forget(struct requests *requests, const void *user);
/* No answer for anybody who waits now. */
void requests_void_all(struct requests *requests);

/* Says HELLO on @fd, which it takes, and blocks until the answer is there: only that, for --check.
 * 0, or -EPROTO: it does not answer as a device does. */
int requests_greet(int fd, struct export_welcome *ret_welcome);
