/* SPDX-License-Identifier: MIT */
#pragma once
/* pulse-cookie: what a program of this user shows to a PulseAudio server, out of its file. */
#include <stddef.h>
#include <stdint.h>

#define PULSE_COOKIE_SIZE 256u

/* Reads the cookie in the file at @path; NULL: where PulseAudio's programs look for theirs
 * ($PULSE_COOKIE, the user's configuration, the home folder). *ret is for free(); NULL where no
 * @path was given and there is none, which most servers do not mind: they know their user. 0, or
 * -errno with a message. */
int pulse_cookie_read(const char *path, uint8_t **ret, char *error, size_t error_size);
