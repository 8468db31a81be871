/* SPDX-License-Identifier: MIT */
/* Each VM's process has a part of the folder, which is empty when it comes and gone when it is
 * gone, however it went. */
#include "tests/unit/support.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "host-proxy/context-folder.h"

static void leave_socket(const char *in, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", in, name) <
                sizeof(address.sun_path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

/* What a process of VM @number does before it is killed; its exit status. */
static int live_and_die(unsigned number)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        context_folder_enter(number);
        const char *own = context_folder();
        if (!own || rmdir(own) < 0 || mkdir(own, 0700) < 0) /* it is empty */
            _exit(1);
        leave_socket(own, "wayland-0");
        leave_socket(own, "wayland-1");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_life(void **state)
{
    (void)state;
    char base[64], own[CONTEXT_FOLDER_MAX + 16];
    make_folder(base);
    setenv("XDG_RUNTIME_DIR", base, 1);
    const char *all = context_folder();
    assert_non_null(all);
    assert_memory_equal(all, base, strlen(base));
    for (int i = 0; i < 3; i++)
        assert_int_equal(live_and_die(7), 0);
    assert_int_equal(live_and_die(8), 0);
    snprintf(own, sizeof(own), "%s/7", all);
    assert_int_equal(access(own, F_OK), 0);
    context_folder_clear(7);
    assert_int_equal(access(own, F_OK), -1);
    context_folder_clear(7);
    snprintf(own, sizeof(own), "%s/8", all);
    assert_int_equal(access(own, F_OK), 0);
    context_folder_remove();
    assert_int_equal(rmdir(base), 0); /* with all that was in there */
}

/* Nothing is removed that is not ours. */
static void test_links(void **state)
{
    (void)state;
    char base[64], elsewhere[64], path[128];
    make_folder(base);
    make_folder(elsewhere);
    setenv("XDG_RUNTIME_DIR", base, 1);
    leave_socket(elsewhere, "kept");
    snprintf(path, sizeof(path), "%s/0", context_folder());
    assert_int_equal(symlink(elsewhere, path), 0);
    context_folder_clear(0);
    snprintf(path, sizeof(path), "%s/link", context_folder());
    assert_int_equal(symlink(elsewhere, path), 0);
    context_folder_remove();
    snprintf(path, sizeof(path), "%s/kept", elsewhere);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(base), 0);
    remove_folder(elsewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
