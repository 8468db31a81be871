/* SPDX-License-Identifier: MIT */
#pragma once
/* offers: the compositor's clipboard and primary selection. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct offers;
struct tunnel;

#define OFFER_TYPES_MAX 64
#define OFFER_TYPE_MAX 256 /* bytes of one, with its NUL */

enum offers_kind { OFFERS_CLIPBOARD, OFFERS_PRIMARY, OFFERS_KINDS };

/* MIME types, each once. */
struct offer_types {
    char at[OFFER_TYPES_MAX][OFFER_TYPE_MAX];
    unsigned n;
};
/* What is too long, or one too many, is left out. */
void offer_types_add(struct offer_types *types, const char *type);

struct offers_ops {
    /* Another program's, 0 types: nobody's. */
    void (*selected)(void *user, enum offers_kind kind, const struct offer_types *types);
    /* Somebody wants what offers_set() has told of; takes @fd. */
    void (*send)(void *user, enum offers_kind kind, const char *type, int fd);
};

struct offers *offers_create(struct tunnel *tunnel, const struct offers_ops *ops, void *user);
void offers_destroy(struct offers *offers); /* accepts NULL */

/* As roles_global(). */
bool offers_global(struct offers *offers, uint32_t registry, uint32_t name, const char *interface,
                   uint32_t version);
/* The seat whose selections are meant; the first counts. */
void offers_seat(struct offers *offers, uint32_t seat);

/* X has something; @serial is of what a person did. */
void offers_set(struct offers *offers, enum offers_kind kind, const struct offer_types *types,
                uint32_t serial);
void offers_clear(struct offers *offers, enum offers_kind kind);
/* What the compositor has, as one of its types: a pipe to read from (owned by the caller), or
 * -errno. */
int offers_receive(struct offers *offers, enum offers_kind kind, const char *type);
