/* SPDX-License-Identifier: MIT */
/* What --check tells of udmabuf and of device nodes. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/checks.h"
#include "common/base/fd.h"

static char text[600];

static bool limits(uint32_t list, uint64_t megabytes)
{
    return checks_udmabuf_limits(list, megabytes << 20, text, sizeof(text));
}

static void has(const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void test_limits_of_udmabuf(void **state)
{
    (void)state;
    assert_false(limits(1024, 64));
    has("3840x2160 may need 8100 pieces and 32 MiB");
    has("\"options udmabuf list_limit=8100 size_limit_mb=64\"");
    has("\"udmabuf.list_limit=8100 udmabuf.size_limit_mb=64\"");
    assert_false(limits(8099, 64));
    assert_true(limits(8100, 64));
    assert_true(limits(8100, 32));
    has("enough for 3840x2160");
    assert_false(limits(8100, 31));
    assert_false(limits(16384, 31));
    has("list_limit=16384 size_limit_mb=64"); /* what is larger stays so */
    assert_false(limits(1024, 256));
    has("list_limit=8100 size_limit_mb=256");
    assert_false(limits(0, 0)); /* unknown: Linux's own */
    has("list_limit=8100 size_limit_mb=64");
}

static void test_a_node_that_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(checks_open("/nonexistent/node", text, sizeof(text)), -ENOENT);
    has("/nonexistent/node: No such file");
    int fd = checks_open("/dev/null", text, sizeof(text));
    assert_true(fd >= 0);
    fd_close(fd);
}

/* As another user than the one that the node belongs to. */
static int as_nobody(const char *path)
{
    pid_t child = fork();
    int status;
    if (child == 0) {
        int r = setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ||
                checks_open(path, text, sizeof(text)) != -EACCES;
        printf("%s\n", text);
        fflush(stdout);
        _exit(r || !strstr(text, "usermod -aG ") ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_a_node_of_a_group(void **state)
{
    char folder[64], path[128];
    (void)state;
    if (geteuid() != 0)
        skip();
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/node", folder);
    fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chown(path, 0, 44), 0); /* Debian's video */
    assert_int_equal(chmod(path, 0660), 0);
    if (getgrgid(44))
        assert_int_equal(as_nobody(path), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_not_equal(as_nobody(path), 0); /* no group would help */
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_of_udmabuf),
        cmocka_unit_test(test_a_node_that_is_not_there),
        cmocka_unit_test(test_a_node_of_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
