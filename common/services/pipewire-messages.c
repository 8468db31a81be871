/* SPDX-License-Identifier: MIT */
/* pipewire-messages: owns nothing. */
#include "common/services/pipewire-messages.h"

#include <string.h>

#define SIZE_MASK 0xffffffu

void pipewire_head_read(const uint8_t *bytes, struct pipewire_head *ret)
{
    uint32_t words[4];
    memcpy(words, bytes, sizeof(words));
    *ret = (struct pipewire_head){.id = words[0],
                                  .opcode = (uint8_t)(words[1] >> 24),
                                  .size = words[1] & SIZE_MASK,
                                  .seq = words[2],
                                  .fds = words[3]};
}

void pipewire_head_write(uint8_t *bytes, const struct pipewire_head *head)
{
    uint32_t words[4] = {head->id, (uint32_t)head->opcode << 24 | (head->size & SIZE_MASK),
                         head->seq, head->fds};
    memcpy(bytes, words, sizeof(words));
}
