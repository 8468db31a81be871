/* SPDX-License-Identifier: MIT */
/* Token files: lengths, newlines, who may read them, credentials; and the comparison. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/transport/token.h"

static char folder[64], path[96], error[512];
static struct token token;

static int setup(void **state)
{
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/token", folder);
    unsetenv("CREDENTIALS_DIRECTORY");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

static void put(const void *bytes, size_t n, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int get(void)
{
    error[0] = '\0';
    return token_read(path, &token, error, sizeof(error));
}

static void test_one_newline_at_the_end_goes(void **state)
{
    static const struct {
        const char *content;
        size_t n;
    } cases[] = {{"0123456789abcdef", 16},     {"0123456789abcdef\n", 16},
                 {"0123456789abcdef\r\n", 16}, {"0123456789abcdef\n\n", 17},
                 {" 0123456789abcdef ", 18},   {"\n0123456789abcdef\n", 17}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put(cases[i].content, strlen(cases[i].content), 0600);
        assert_int_equal(get(), 0);
        assert_int_equal(token.n, cases[i].n);
        assert_memory_equal(token.bytes, cases[i].content, token.n);
    }
    put("0123456789\0abcdef", 17, 0400); /* any bytes are good */
    assert_int_equal(get(), 0);
    assert_int_equal(token.n, 17);
}

static void test_length_is_bounded(void **state)
{
    char bytes[3000];
    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    static const size_t lengths[] = {0, 1, 15, 16, 17, 1023, 1024, 1025, 1026, 1027, 1028, 3000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t n = lengths[i];
        put(bytes, n, 0600);
        int result = get();
        if (n >= 16 && n <= 1024) {
            assert_int_equal(result, 0);
            assert_int_equal(token.n, n);
        } else {
            assert_int_equal(result, -EMSGSIZE);
            assert_non_null(strstr(error, "16 to 1024"));
        }
    }
    bytes[1024] = '\n';
    put(bytes, 1025, 0600);
    assert_int_equal(get(), 0);
    assert_int_equal(token.n, 1024);
    bytes[15] = '\n';
    put(bytes, 16, 0600);
    assert_int_equal(get(), -EMSGSIZE);
}

static void test_refused_leaves_the_output_alone(void **state)
{
    (void)state;
    memset(&token, 0x5a, sizeof(token));
    struct token before = token;
    put("short", 5, 0600);
    assert_int_equal(get(), -EMSGSIZE);
    assert_memory_equal(&token, &before, sizeof(token));
}

static void test_others_may_not_get_at_it(void **state)
{
    static const mode_t modes[] = {0644, 0640, 0604, 0620, 0602, 0610, 0666};
    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        put("0123456789abcdef", 16, modes[i]);
        assert_int_equal(get(), -EPERM);
        assert_non_null(strstr(error, "chmod 600"));
    }
}

static void test_another_users_file(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    put("0123456789abcdef", 16, 0600);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(get(), -EPERM);
    assert_non_null(strstr(error, "another user"));
}

static void test_missing_and_odd_files(void **state)
{
    (void)state;
    assert_int_equal(get(), -ENOENT);
    assert_non_null(strstr(error, path));
    assert_int_equal(token_read(folder, &token, error, sizeof(error)), -EINVAL);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(get(), -EINVAL); /* and does not wait for a writer */
    assert_int_equal(token_read("/dev/zero", &token, error, sizeof(error)), -EINVAL);
}

static void test_credentials_are_guarded_by_their_folder(void **state)
{
    char outside[128];
    (void)state;
    put("0123456789abcdef", 16, 0440);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_int_equal(get(), 0);
    snprintf(outside, sizeof(outside), "%s/", folder);
    setenv("CREDENTIALS_DIRECTORY", outside, 1);
    assert_int_equal(get(), 0);
    snprintf(outside, sizeof(outside), "%.*s", (int)strlen(folder) - 1, folder);
    setenv("CREDENTIALS_DIRECTORY", outside, 1); /* a prefix of the name, but no parent */
    assert_int_equal(get(), -EPERM);
    snprintf(outside, sizeof(outside), "%s/sub", folder);
    assert_int_equal(mkdir(outside, 0700), 0);
    setenv("CREDENTIALS_DIRECTORY", outside, 1);
    snprintf(outside, sizeof(outside), "%s/sub/../token", folder);
    assert_int_equal(token_read(outside, &token, error, sizeof(error)), -EPERM);
    setenv("CREDENTIALS_DIRECTORY", "", 1);
    assert_int_equal(get(), -EPERM);
}

static void test_default(void **state)
{
    char buffer[128], small[8], named[96];
    (void)state;
    assert_null(token_default(buffer, sizeof(buffer)));
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_null(token_default(buffer, sizeof(buffer)));
    snprintf(named, sizeof(named), "%s/wayvsock.token", folder);
    close(open(named, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_string_equal(token_default(buffer, sizeof(buffer)), named);
    put("0123456789abcdef", 16, 0600);
    assert_string_equal(token_default(buffer, sizeof(buffer)), path);
    assert_null(token_default(small, sizeof(small)));
}

static void test_equal(void **state)
{
    static const char text[] = "0123456789abcdef0123456789abcdef";
    char other[TOKEN_MAX * 3];
    (void)state;
    put(text, 32, 0600);
    assert_int_equal(get(), 0);
    assert_true(token_equal(&token, text, 32));
    for (size_t i = 0; i < 32; i++) {
        memcpy(other, text, 32);
        other[i] ^= 1;
        assert_false(token_equal(&token, other, 32));
        assert_false(token_equal(&token, text, i));
    }
    memset(other, 0, sizeof(other));
    memcpy(other, text, 32);
    assert_false(token_equal(&token, other, 33)); /* the zeros behind the token are not of it */
    assert_false(token_equal(&token, other, TOKEN_MAX));
    assert_false(token_equal(&token, other, sizeof(other)));
    token_finish(&token);
    assert_false(token_equal(&token, "", 0)); /* no token is no proof */
    assert_false(token_equal(&token, text, 32));
}

#define t(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        t(test_one_newline_at_the_end_goes),
        t(test_length_is_bounded),
        t(test_refused_leaves_the_output_alone),
        t(test_others_may_not_get_at_it),
        t(test_another_users_file),
        t(test_missing_and_odd_files),
        t(test_credentials_are_guarded_by_their_folder),
        t(test_default),
        t(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
