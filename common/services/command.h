/* SPDX-License-Identifier: MIT */
#pragma once
/* command: the words of an "exec =", as a person wrote them and as a program gets them. */
#include <stdbool.h>
#include <stddef.h>

/* The words of @text: separated by spaces, which "…" and '…' keep. Owned, NULL-terminated, at least
 * one. NULL with a message. */
char **command_split(const char *text, char *error, size_t error_size);
void command_free(char **words); /* accepts NULL */

/* Whether the program is told of a socket that it is to make (%s). */
bool command_makes_socket(char *const *words);
/* What the words stand for, as placeholders_fill(), for the VM called @vm and the socket @socket.
 * Owned, NULL-terminated; NULL with a message. */
char **command_fill(char *const *words, const char *vm, const char *socket, char *error,
                    size_t error_size);
/* Whether it can be started now, as far as that can be seen: 0, or -errno with a message. */
int command_check(char *const *words, const char *vm, char *error, size_t error_size);
