/* SPDX-License-Identifier: MIT */
/* Where the host's cookie is, and what is none. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/services/pulse-cookie.h"

static char folder[64];
static char error[256];
static uint8_t *cookie;

static int begin(void **state)
{
    (void)state;
    make_folder(folder);
    unsetenv("PULSE_COOKIE");
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", folder, 1);
    error[0] = 0;
    cookie = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(cookie);
    remove_folder(folder);
    return 0;
}

/* A file below the folder; returns its path. */
static const char *put(const char *name, size_t n, int byte)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    while (n--)
        fputc(byte, file);
    fclose(file);
    return path;
}

static void put_folder(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void test_named(void **state)
{
    (void)state;
    int before = count_fds();
    assert_int_equal(pulse_cookie_read(put("c", 256, 7), &cookie, error, sizeof(error)), 0);
    assert_int_equal(cookie[255], 7);
    free(cookie);
    cookie = NULL;
    assert_int_equal(pulse_cookie_read(put("c", 300, 8), &cookie, error, sizeof(error)), 0);
    assert_int_equal(cookie[255], 8);
    assert_int_equal(count_fds(), before);
}

static void test_bad(void **state)
{
    (void)state;
    int before = count_fds();
    assert_int_equal(pulse_cookie_read("/nowhere/cookie", &cookie, error, sizeof(error)), -ENOENT);
    assert_string_equal(error, "/nowhere/cookie: No such file or directory");
    assert_int_equal(pulse_cookie_read(put("c", 255, 7), &cookie, error, sizeof(error)), -ENODATA);
    assert_non_null(strstr(error, "is shorter than PulseAudio's cookies"));
    assert_int_equal(pulse_cookie_read(folder, &cookie, error, sizeof(error)), -EISDIR);
    assert_null(cookie);
    assert_int_equal(count_fds(), before);
}

/* The first place that has one. */
static void test_places(void **state)
{
    (void)state;
    static const char *const names[] = {".pulse-cookie", ".config/pulse/cookie",
                                        "config/pulse/cookie", "c"};
    char path[128];
    assert_int_equal(pulse_cookie_read(NULL, &cookie, error, sizeof(error)), 0);
    assert_null(cookie);
    put_folder(".config");
    put_folder(".config/pulse");
    put_folder("config");
    put_folder("config/pulse");
    snprintf(path, sizeof(path), "%s/config", folder);
    setenv("XDG_CONFIG_HOME", path, 1);
    snprintf(path, sizeof(path), "%s/c", folder);
    setenv("PULSE_COOKIE", path, 1);
    for (int i = 0; i < 4; i++) {
        put(names[i], 256, i + 1);
        assert_int_equal(pulse_cookie_read(NULL, &cookie, error, sizeof(error)), 0);
        assert_non_null(cookie);
        assert_int_equal(cookie[0], i + 1);
        free(cookie);
        cookie = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_named, begin, end),
        cmocka_unit_test_setup_teardown(test_bad, begin, end),
        cmocka_unit_test_setup_teardown(test_places, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
