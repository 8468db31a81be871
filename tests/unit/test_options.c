/* SPDX-License-Identifier: MIT */
/* Both command lines: what each option does, and that a mistake is answered with a line that helps.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/vm_sockets.h>

#include "guest-proxy/guest-options.h"
#include "host-proxy/host-options.h"

#define ARGS_MAX 32

static struct host_config config;
static struct guest_options guest;
static char said[16384]; /* on stdout and stderr */

static int teardown(void **state)
{
    (void)state;
    host_config_finish(&config);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    host_config_init(&config);
    unsetenv("WAYVSOCK_CONNECT");
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("LISTEN_FDS");
    return 0;
}

/* Splits @line at spaces and parses it with what is said going to said[]. */
static int parse(bool host, const char *line)
{
    static char words[1024];
    static char *argv[ARGS_MAX + 1];
    int argc = 0, saved[2] = {dup(1), dup(2)};
    snprintf(words, sizeof(words), "%s %s", host ? "wayvsock-host" : "wayvsock-guest", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = word;
    }
    argv[argc] = NULL;

    char name[] = "/tmp/wayvsock-options-XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    fflush(NULL);
    dup2(file, 1);
    dup2(file, 2);
    if (host)
        host_config_finish(&config);
    int result =
        host ? host_options_parse(argc, argv, &config) : guest_options_parse(argc, argv, &guest);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], 1 + i);
        close(saved[i]);
    }
    ssize_t n = pread(file, said, sizeof(said) - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    close(file);
    return result;
}

static void good(bool host, const char *line)
{
    if (parse(host, line) != 0)
        fail_msg("%s: %s", line, said);
    assert_string_equal(said, "");
}

static void bad(bool host, const char *line, const char *needle)
{
    const char *program = host ? "wayvsock-host: " : "wayvsock-guest: ";
    const char *hint = host ? "Try \"wayvsock-host --help\"." : "Try \"wayvsock-guest --help\".";
    assert_int_equal(parse(host, line), -EINVAL);
    if (strncmp(said, program, strlen(program)) != 0 || !strstr(said, needle) ||
        !strstr(said, hint))
        fail_msg("%s: \"%s\" does not say \"%s\"", line, said, needle);
}

static void test_guest_defaults(void **state)
{
    (void)state;
    good(false, "");
    assert_int_equal(guest.connect.kind, ADDRESS_VSOCK);
    assert_int_equal(guest.connect.cid, 2);
    assert_int_equal(guest.connect.port, 1100);
    assert_null(guest.display);
    assert_null(guest.token_file);
    assert_null(guest.command);
    assert_false(guest.no_auth || guest.check);
    assert_string_equal(guest.gpu, "auto");
    assert_int_equal(guest.log_level, LOG_LEVEL_INFO);
}

static void test_guest_options(void **state)
{
    (void)state;
    good(false,
         "--connect unix:/x --display wayland-9 --token /t --no-auth --check --log-level debug");
    assert_string_equal(guest.connect.path, "/x");
    assert_string_equal(guest.display, "wayland-9");
    assert_string_equal(guest.token_file, "/t");
    assert_true(guest.no_auth && guest.check);
    assert_int_equal(guest.log_level, LOG_LEVEL_DEBUG);
    good(false, "--connect=vsock-mux:/v:7 --display=/run/wl");
    assert_int_equal(guest.connect.kind, ADDRESS_VSOCK_MUX);
    assert_string_equal(guest.display, "/run/wl");
}

static void test_guest_command(void **state)
{
    (void)state;
    good(false, "--connect unix:/x -- foot --server -x -- y");
    static const char *const words[] = {"foot", "--server", "-x", "--", "y"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(guest.command[i], words[i]);
    assert_null(guest.command[5]);
    good(false, "-- foot");
    assert_string_equal(guest.command[0], "foot");
    bad(false, "--connect unix:/x foot", "unexpected \"foot\"; a command comes after --");
    bad(false, "foot -- bar", "unexpected \"foot\"");
    bad(false, "--connect unix:/x --", "there is no command after --");
}

static void test_guest_connect_from_the_environment(void **state)
{
    (void)state;
    setenv("WAYVSOCK_CONNECT", "vsock:7:8", 1);
    good(false, "");
    assert_int_equal(guest.connect.cid, 7);
    good(false, "--connect vsock:9:8"); /* the command line comes first */
    assert_int_equal(guest.connect.cid, 9);
    setenv("WAYVSOCK_CONNECT", "", 1);
    good(false, "");
    assert_int_equal(guest.connect.cid, 2);
    setenv("WAYVSOCK_CONNECT", "tcp", 1);
    bad(false, "", "WAYVSOCK_CONNECT: bad address \"tcp\"");
}

static void test_guest_mistakes(void **state)
{
    (void)state;
    bad(false, "--conect unix:/x", "unknown option --conect");
    bad(false, "--check -x", "unknown option -x");
    bad(false, "--display", "--display needs a value");
    bad(false, "--no-auth=yes", "the option takes no value");
    bad(false, "--log-level loud", "\"loud\" is none of error, warn, info, debug");
    bad(false, "--connect /x", "--connect: bad address \"/x\": write vsock:CID:PORT");
    bad(false, "--connect vsock:1100", "say vsock:CID:PORT, as in vsock:2:1100");
    bad(false, "--display=", "--display: give a name");
    bad(false, "--gpu maybe", "\"maybe\" is neither auto nor off nor the path of a render node");
}

static void test_gpu(void **state)
{
    (void)state;
    good(false, "--gpu off");
    assert_string_equal(guest.gpu, "off");
    good(false, "--gpu=/dev/dri/renderD129");
    assert_string_equal(guest.gpu, "/dev/dri/renderD129");
    good(true, "--listen vsock:1 --gpu /run/x --vm a:3"); /* wherever it stands */
    assert_string_equal(config.vms[0].gpu, "/run/x");
    good(true, "--listen unix:/a");
    assert_null(config.vms[0].gpu);
    bad(true, "--listen vsock:1 --gpu /run/x --vm a:3 --vm b:4", "each VM has a device of its own");
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    good(true, "--listen vsock:1 --gpu auto --vm a:3 --vm b:4");
    assert_string_equal(config.vms[0].gpu, "/run/user/7/wayvsock-gpu");
    assert_string_equal(config.vms[1].gpu, "/run/user/7/wayvsock-gpu");
    unsetenv("XDG_RUNTIME_DIR");
    good(true, "--listen vsock:1 --vm a:3 --gpu auto");
    assert_string_equal(config.vms[0].gpu, "/run/wayvsock-gpu");
    bad(true, "--listen vsock:1 --vm a:3 --gpu=", "--gpu: give the path");
}

static void test_help_and_version(void **state)
{
    static const char *const both[] = {"--token FILE",      "--no-auth", "--check",
                                       "--log-level LEVEL", "--help",    "--version"};
    (void)state;
    for (int host = 0; host < 2; host++) {
        assert_int_equal(parse(host, "--version"), OPTIONS_DONE);
        assert_string_equal(said, host ? "wayvsock-host " WAYVSOCK_VERSION "\n"
                                       : "wayvsock-guest " WAYVSOCK_VERSION "\n");
        assert_int_equal(parse(host, "--help"), OPTIONS_DONE);
        for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
            assert_non_null(strstr(said, both[i]));
    }
    static const char *const host_only[] = {"--listen ADDR", "--compositor DISPLAY",
                                            "--config FILE", "--vm NAME[:CID]",
                                            "--allow GLOB",  "--peer-timeout SECONDS"};
    for (size_t i = 0; i < sizeof(host_only) / sizeof(host_only[0]); i++)
        assert_non_null(strstr(said, host_only[i]));
    parse(false, "--help");
    assert_non_null(strstr(said, "--connect ADDR"));
    assert_non_null(strstr(said, "--display NAME-OR-PATH"));
    assert_non_null(strstr(said, "[-- COMMAND [ARG...]]"));
}

static void test_host_options(void **state)
{
    (void)state;
    good(true, "--listen vsock:1100 --compositor wayland-3 --vm work:42 --token /t --allow zwlr_* "
               "--peer-timeout 5 --no-auth --check --log-level warn");
    assert_int_equal(config.n_listen, 1);
    assert_string_equal(config.compositor, "wayland-3");
    assert_int_equal(config.n_vms, 1);
    assert_string_equal(config.vms[0].name, "work");
    assert_int_equal(config.vms[0].cid, 42);
    assert_string_equal(config.vms[0].token_files[0], "/t");
    assert_string_equal(config.vms[0].allow[0], "zwlr_*");
    assert_null(config.vms[0].allow[1]);
    assert_int_equal(config.peer_timeout_s, 5);
    assert_true(config.no_auth && config.check);
    assert_int_equal(config.log_level, LOG_LEVEL_WARN);
}

static void test_host_lists_take_several_values(void **state)
{
    (void)state;
    good(true, "--listen unix:/a unix:/b --allow a_* b_* --listen vsock:1 --vm x --allow c");
    assert_int_equal(config.n_listen, 1);
    assert_int_equal(config.vms[0].n_listen, 2);
    assert_string_equal(config.vms[0].allow[0], "a_*");
    assert_string_equal(config.vms[0].allow[1], "b_*");
    assert_string_equal(config.vms[0].allow[2], "c");
    bad(true, "unix:/a", "unexpected \"unix:/a\"");
    bad(true, "--listen vsock:1 --vm x unix:/a", "unexpected \"unix:/a\"");
    bad(true, "--listen vsock:1 -- foot", "this daemon runs no command");
}

static void test_host_vms(void **state)
{
    (void)state;
    good(true, "--listen vsock:1100 --token /t --allow * --vm a:3 --vm b:4");
    assert_int_equal(config.n_vms, 2);
    for (size_t i = 0; i < 2; i++) { /* concern all, wherever they stand */
        assert_string_equal(config.vms[i].token_files[0], "/t");
        assert_string_equal(config.vms[i].allow[0], "*");
    }
    good(true, "--listen vsock:1100 --token /t --token /u --vm a:3");
    assert_string_equal(config.vms[0].token_files[1], "/u");
    assert_null(config.vms[0].token_files[2]);
    good(true, "--listen unix:/a --vm test");
    assert_string_equal(config.vms[0].listen[0].path, "/a");
    assert_false(config.vms[0].has_cid);
    good(true, "--listen unix:/a");
    assert_string_equal(config.vms[0].name, "vm");
    good(true, "--listen vsock:1100 --vm loop:1");
    assert_int_equal(config.vms[0].cid, 1);

    bad(true, "--listen vsock:1 --vm a:3 --vm a:4", "the VM \"a\" is there already");
    bad(true, "--listen vsock:1 --vm a:3 --vm b:3", "CID 3 is already that of the VM \"a\"");
    bad(true, "--listen vsock:1 --vm a:x", "\"x\" is no CID");
    bad(true, "--listen vsock:1 --vm a:3:4", "is no CID");
    bad(true, "--listen vsock:1 --vm :3", "is no name for a VM");
    bad(true, "--listen vsock:1 --vm a/b:3", "is no name for a VM");
    bad(true, "--listen unix:/a --vm a:3 --vm b:4", "nothing tells which of the 2 VMs");
}

static void test_host_default_token(void **state)
{
    char folder[64], path[96];
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/wayvsock.token", folder);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    good(true, "--listen unix:/a --vm test");
    assert_string_equal(config.vms[0].token_files[0], path);
    good(true, "--listen unix:/a --vm test --token /mine");
    assert_string_equal(config.vms[0].token_files[0], "/mine");
    remove_folder(folder);
}

static void test_host_file_and_options_together(void **state)
{
    char folder[64], path[96], line[256];
    static const char text[] = "[host]\nlisten = vsock:1100\npeer-timeout = 7\n[vm a]\nallow = x\n"
                               "token = /a\n[vm b]\ncid = 4\n";
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/host.conf", folder);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    snprintf(line, sizeof(line),
             "--vm a:3 --listen vsock:1101 --allow y --token /t --config %s --compositor w", path);
    good(true, line);
    assert_int_equal(config.n_listen, 2);
    assert_int_equal(config.peer_timeout_s, 7);
    assert_string_equal(config.compositor, "w");
    assert_int_equal(config.n_vms, 2);
    assert_int_equal(config.vms[0].cid, 3); /* the file's VM, made more precise */
    assert_string_equal(config.vms[0].allow[0], "x");
    assert_string_equal(config.vms[0].allow[1], "y");
    assert_string_equal(config.vms[0].token_files[0], "/a");
    assert_string_equal(config.vms[1].token_files[0], "/t");

    snprintf(line, sizeof(line), "--config %s --vm b:9", path);
    bad(true, line, "the VM \"b\" is there already");
    snprintf(line, sizeof(line), "--config %s --config %s", path, path);
    bad(true, line, "only one file");
    assert_int_equal(write(fd, "color = red\n", 12), 12);
    snprintf(line, sizeof(line), "--config %s", path);
    snprintf(path + strlen(path), 8, ":9: ");
    bad(true, line, path);
    assert_int_equal(parse(true, "--config /nowhere/x"), -ENOENT);
    assert_non_null(strstr(said, "cannot read /nowhere/x"));
    close(fd);
    remove_folder(folder);
}

static void test_host_mistakes(void **state)
{
    (void)state;
    bad(true, "", "nothing to listen on: give --listen ADDR");
    bad(true, "--vm a:3", "nothing to listen on");
    bad(true, "--lisen vsock:1", "unknown option --lisen");
    bad(true, "--listen vsock:1 -v", "unknown option -v");
    bad(true, "--listen", "--listen needs a value");
    bad(true, "--check=1", "the option takes no value");
    bad(true, "--listen tcp:1", "--listen: bad address \"tcp:1\"");
    bad(true, "--listen vsock:1 --peer-timeout 0", "--peer-timeout: \"0\" is no time");
    bad(true, "--listen vsock:1 --log-level x", "none of error, warn, info, debug");
    bad(true, "--listen unix:/a --allow a/b", "--allow: \"a/b\" matches no interface");
    bad(true, "--listen vsock:1 --compositor=", "--compositor: give a display's name");
}

static void test_host_needs_no_listener_of_its_own(void **state)
{
    (void)state;
    good(true, "--check");
    setenv("LISTEN_FDS", "1", 1);
    good(true, "--vm a:3");
}

#define t(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        t(test_guest_defaults),
        t(test_guest_options),
        t(test_guest_command),
        t(test_guest_connect_from_the_environment),
        t(test_guest_mistakes),
        t(test_gpu),
        t(test_help_and_version),
        t(test_host_options),
        t(test_host_lists_take_several_values),
        t(test_host_vms),
        t(test_host_default_token),
        t(test_host_file_and_options_together),
        t(test_host_mistakes),
        t(test_host_needs_no_listener_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
