/* SPDX-License-Identifier: MIT */
#pragma once
/* imports_client: a client whose guest names resources of its GPU; the device is export_fake.h's.
 */
#include "tests/unit/host/export_fake.h"

#include "common/base/memory.h"
#include "host-proxy/pixels/import-copies.h"

#define SIZE 65536u /* of the resource */

extern struct imports_client {
    struct imports imports;
    struct budget *budget;
    struct memory *memory; /* the client's, for the test to make */
    unsigned idle, back, released, failed;
    uint32_t last_released;
    unsigned answered;
    uint32_t last_answered;
    enum link_imported_as how;
    struct refusal why; /* it was refused, or failed */
} C;

extern const struct imports_ops client_ops;

int client_start(void **state);
int client_stop(void **state);
int add(uint32_t id, uint32_t resource, uint64_t size);
void settle(void);
