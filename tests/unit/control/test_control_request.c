/* SPDX-License-Identifier: MIT */
/* Each request that there is, and each way to get one wrong. */
#include "tests/unit/support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/control/control-request.h"

static struct control_request request;
static char error[128];

static int parse(const char *line)
{
    *error = 0;
    return control_request_parse(line, strlen(line), &request, error, sizeof(error));
}

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"command\":\"status\"}"), 0);
    assert_int_equal(request.command, CONTROL_STATUS);
    assert_string_equal(request.vm, "");
    assert_int_equal(request.client, 0);
    assert_int_equal(parse(" { \"vm\" : \"work\", \"command\" : \"status\" } "), 0);
    assert_string_equal(request.vm, "work");
    assert_int_equal(
        parse("{\"command\":\"trace\",\"vm\":\"work\",\"client\":3,\"contents\":true}"), 0);
    assert_int_equal(request.command, CONTROL_TRACE);
    assert_int_equal(request.client, 3);
    assert_true(request.contents);
    assert_int_equal(parse("{\"command\":\"end\",\"vm\":\"work\"}"), 0);
    assert_int_equal(request.command, CONTROL_END);
    assert_int_equal(request.client, 0);
    assert_false(request.contents);
    assert_int_equal(parse("{\"command\":\"run\",\"vm\":\"work\"}"), 0);
    assert_int_equal(request.command, CONTROL_RUN);
    assert_string_equal(request.what, "");
    assert_int_equal(
        parse("{\"command\":\"run\",\"vm\":\"work\",\"what\":\"a\\nb\\u202e\\u001b[31m\"}"), 0);
    assert_string_equal(request.what, "a b [31m");
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "\"status\"",
        "status",
        "{\"command\":null}",
        "{\"command\":\"\"}",
        "{\"command\":\"statu\"}",
        "{\"command\":\"status\\u0000\"}",
        "{\"command\":[\"status\"]}",
        "{\"command\":\"status\"} {}",
        "{\"command\":\"status\",\"command\":\"end\"}",
        "{\"command\":\"status\",\"unknown\":1}",
        "{\"command\":\"status\",\"client\":1}",
        "{\"command\":\"status\",\"contents\":true}",
        "{\"command\":\"end\",\"contents\":true}",
        "{\"command\":\"end\",\"vm\":1}",
        "{\"command\":\"end\",\"vm\":\"\"}",
        "{\"command\":\"end\",\"client\":0}",
        "{\"command\":\"end\",\"client\":-1}",
        "{\"command\":\"end\",\"client\":1.0}",
        "{\"command\":\"end\",\"client\":\"1\"}",
        "{\"command\":\"end\",\"client\":9223372036854775808}",
        "{\"command\":\"trace\",\"contents\":1}",
        "{\"command\":\"trace\",\"what\":\"x\"}",
        "{\"command\":\"run\",\"what\":1}",
        "{\"command\":\"status\",\"vm\":\"\xff\"}",
    };
    memset(&request, 0x5a, sizeof(request));
    struct control_request before = request;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        if (parse(lines[i]) != -EINVAL)
            fail_msg("%s was taken", lines[i]);
        assert_int_not_equal(*error, 0);
        assert_memory_equal(&request, &before, sizeof(request));
    }
}

static void test_lengths(void **state)
{
    (void)state;
    char line[CONTROL_REQUEST_MAX + 64], name[CONTROL_VM_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[CONTROL_VM_MAX + 1] = 0;
    snprintf(line, sizeof(line), "{\"command\":\"status\",\"vm\":\"%s\"}", name);
    assert_int_equal(parse(line), -EINVAL);
    snprintf(line, sizeof(line), "{\"command\":\"status\",\"vm\":\"%s\"}", name + 1);
    assert_int_equal(parse(line), 0);
    assert_string_equal(request.vm, name + 1);
    int n = snprintf(line, sizeof(line), "{\"command\":\"status\"}");
    memset(line + n, ' ', sizeof(line) - (size_t)n);
    assert_int_equal(
        control_request_parse(line, CONTROL_REQUEST_MAX - 1, &request, error, sizeof(error)), 0);
    assert_int_equal(
        control_request_parse(line, CONTROL_REQUEST_MAX, &request, error, sizeof(error)), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
