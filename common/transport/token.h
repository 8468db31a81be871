/* SPDX-License-Identifier: MIT */
#pragma once
/* token: the secret by which a guest daemon proves itself. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_MIN 16
#define TOKEN_MAX 1024

struct token {
    uint8_t bytes[TOKEN_MAX];
    size_t n;
};

/* Reads a regular file, less one newline at its end. Others may not be able to read it, unless it
 * is a credential that systemd handed over. 0 or -errno with a message: -EPERM (others can read
 * it), -EINVAL (no file), -EMSGSIZE (its length). */
int token_read(const char *path, struct token *ret_token, char *error, size_t error_size);
/* The path of the credential "token" or "wayvsock.token" of this service, in @buffer; NULL if there
 * is none. */
const char *token_default(char *buffer, size_t size);
/* Compares in a time that depends on @n alone. */
bool token_equal(const struct token *token, const void *bytes, size_t n);
/* Overwrites it. */
void token_finish(struct token *token);
