/* SPDX-License-Identifier: MIT */
#pragma once
/* imports_client: a client whose guest names resources of its GPU; the device is export_fake.h's.
 */
#include "tests/unit/host/export_fake.h"

#include "common/base/memory.h"
#include "host-proxy/pixels/import-copies.h"

#define SIZE 65536u /* of the resource */

static struct {
    struct imports imports;
    struct memory *memory; /* the client's, for the test to make */
    unsigned idle, back, released, failed;
    uint32_t last_released;
    struct refusal why; /* it was refused, or failed */
} C;

static inline void client_idle(void *user)
{
    assert_ptr_equal(user, &C);
    C.idle++;
}

static inline void client_back(void *user)
{
    assert_ptr_equal(user, &C);
    C.back++;
}

static inline void client_released(void *user, uint32_t id)
{
    assert_ptr_equal(user, &C);
    C.released++;
    C.last_released = id;
}

static inline void client_failed(void *user, const struct refusal *why)
{
    assert_ptr_equal(user, &C);
    C.failed++;
    C.why = *why;
}

static const struct imports_ops client_ops = {.idle = client_idle,
                                              .copied_back = client_back,
                                              .released = client_released,
                                              .failed = client_failed};

static inline int client_start(void **state)
{
    (void)state;
    log_init("test", LOG_LEVEL_ERROR);
    fake_start();
    session_start();
    session_bind();
    memset(&C, 0, sizeof(C));
    imports_init(&C.imports, S.handles, &client_ops, &C);
    return 0;
}

static inline int client_stop(void **state)
{
    (void)state;
    imports_stop(&C.imports);
    memory_unref(C.memory);
    imports_finish(&C.imports);
    session_stop();
    fake_stop();
    return 0;
}

static inline int add(uint32_t id, uint32_t resource, uint64_t size)
{
    struct link_import said = {id, resource, size};
    return imports_add(&C.imports, &said, &C.why);
}

static inline bool is_idle(void *user)
{
    (void)user;
    return !C.imports.waiting || C.failed;
}

static inline void settle(void)
{
    turn_until(F.loop, is_idle, NULL);
}
