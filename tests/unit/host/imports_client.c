/* SPDX-License-Identifier: MIT */
/* One client per test, with the device and the session of export_fake.h: they are bound before it
 * starts, and end after it. */
#include "tests/unit/host/imports_client.h"

#include "tests/support/even.h"

struct imports_client C;

static void client_idle(void *user)
{
    assert_ptr_equal(user, &C);
    C.idle++;
}

static void client_back(void *user)
{
    assert_ptr_equal(user, &C);
    C.back++;
}

static void client_released(void *user, uint32_t id)
{
    assert_ptr_equal(user, &C);
    C.released++;
    C.last_released = id;
}

static void client_answered(void *user, uint32_t id, enum link_imported_as how)
{
    assert_ptr_equal(user, &C);
    C.last_answered = id;
    C.answered++;
    C.how = how;
}

static void client_failed(void *user, const struct refusal *why)
{
    assert_ptr_equal(user, &C);
    C.failed++;
    C.why = *why;
}

const struct imports_ops client_ops = {.idle = client_idle,
                                       .answered = client_answered,
                                       .copied_back = client_back,
                                       .released = client_released,
                                       .failed = client_failed};

int client_start(void **state)
{
    (void)state;
    log_init("test", LOG_LEVEL_ERROR);
    fake_start();
    session_start();
    session_bind();
    memset(&C, 0, sizeof(C));
    C.budget = budget_create(NULL);
    imports_init(&C.imports, S.handles, C.budget, &client_ops, &C);
    return 0;
}

int client_stop(void **state)
{
    (void)state;
    imports_stop(&C.imports);
    memory_unref(C.memory);
    imports_finish(&C.imports);
    session_stop();
    fake_stop();
    return budget_is_even(C.budget) ? 0 : -1;
}

int add(uint32_t id, uint32_t resource, uint64_t size)
{
    struct link_import said = {id, resource, size};
    return imports_add(&C.imports, &said, &C.why);
}

static bool is_idle(void *user)
{
    (void)user;
    return !C.imports.waiting || C.failed;
}

void settle(void)
{
    turn_until(F.loop, is_idle, NULL);
}
