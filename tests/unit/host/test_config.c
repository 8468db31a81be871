/* SPDX-License-Identifier: MIT */
/* The configuration file: every key, its defaults, and every mistake with the line that it is on
 * and what would be right; and which VM a listener or CID leads to. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/vm_sockets.h>

#include "host-proxy/config.h"

static struct host_config config;
static char error[1024];

static int setup(void **state)
{
    (void)state;
    host_config_init(&config);
    error[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_config_finish(&config);
    return 0;
}

static int read_bytes(const char *text, size_t n)
{
    return host_config_read_text(&config, "host.conf", text, n, error, sizeof(error));
}

static void accept_text(const char *text)
{
    if (read_bytes(text, strlen(text)) < 0 ||
        host_config_complete(&config, error, sizeof(error)) < 0)
        fail_msg("%s", error);
}

static void expect_error(int result, const char *start, const char *needle)
{
    assert_int_equal(result, -EINVAL);
    if (strncmp(error, start, strlen(start)) != 0 || !strstr(error, needle))
        fail_msg("\"%s\" does not say \"%s…%s\"", error, start, needle);
    host_config_finish(&config);
    host_config_init(&config);
}

static void refuse_line(const char *text, unsigned line, const char *needle)
{
    char start[32];
    snprintf(start, sizeof(start), "host.conf:%u: ", line);
    expect_error(read_bytes(text, strlen(text)), start, needle);
}

static void refuse_whole(const char *text, const char *needle)
{
    assert_int_equal(read_bytes(text, strlen(text)), 0);
    expect_error(host_config_complete(&config, error, sizeof(error)), "", needle);
}

static struct address address(const char *text)
{
    struct address parsed;
    assert_int_equal(address_parse(text, &parsed, error, sizeof(error)), 0);
    return parsed;
}

static const char *owner(const char *text)
{
    struct address a = address(text);
    const struct vm_config *vm = host_config_owner(&config, &a);
    return vm ? vm->name : "";
}

static void test_defaults(void **state)
{
    (void)state;
    accept_text("");
    assert_int_equal(config.n_vms, 0);
    assert_int_equal(config.n_listen, 0);
    assert_null(config.compositor);
    assert_int_equal(config.peer_timeout_s, 600);
    assert_false(config.no_auth || config.check);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);

    accept_text("[vm work]\ncid = 42\n");
    const struct vm_config *vm = &config.vms[0];
    assert_string_equal(vm->name, "work");
    assert_true(vm->has_cid);
    assert_int_equal(vm->cid, 42);
    assert_int_equal(vm->n_listen, 0);
    assert_null(vm->token_files);
    assert_null(vm->allow);
    assert_null(vm->deny);
    assert_int_equal(vm->clipboard, CLIPBOARD_BOTH);
    assert_null(vm->title_prefix);
    assert_null(vm->app_id_prefix);
    assert_true(vm->security_context);
    assert_false(vm->output_names);
    assert_int_equal(vm->dmabuf, DMABUF_YES);
    assert_int_equal(vm->limits.clients, 256);
    assert_int_equal(vm->limits.memory, UINT64_C(2) << 30);
    assert_int_equal(vm->limits.fds, UINT64_MAX);
    assert_int_equal(vm->limits.queue, 16 << 20);
}

static void test_every_key(void **state)
{
    (void)state;
    accept_text("# a comment\n"
                "; another\n"
                "\n"
                "[host]\n"
                "listen = vsock:1100\n"
                "listen=vsock:2:1101\r\n"
                "  compositor \t=  wayland-7  \n"
                "peer-timeout = 30\n"
                "[vm work]\n"
                "cid = 42\n"
                "listen = unix:/run/work.sock\n"
                "listen = vsock-mux:/run/v.sock:1100\n"
                "token = /etc/token of mine\n"
                "allow = zwlr_layer_shell_v1 zwlr_*,ext_a\t  ext_b\n"
                "allow = *\n"
                "deny = wp_[a-c]*\n"
                "clipboard = from-vm\n"
                "title-prefix = \"[work] \"\n"
                "app-id-prefix = work.\n"
                "security-context = no\n"
                "output-names = real\n"
                "dmabuf = linear\n"
                "max-daemons = 3\n"
                "max-clients = 7\n"
                "max-memory = 3M\n"
                "max-fds = 9\n"
                "max-queue = 64K\n"
                "[vm Other.vm_2-x]\n"
                "cid = 43");
    assert_int_equal(config.n_listen, 2);
    assert_int_equal(config.listen[1].cid, 2);
    assert_int_equal(config.listen[1].port, 1101);
    assert_string_equal(config.compositor, "wayland-7");
    assert_int_equal(config.peer_timeout_s, 30);
    assert_int_equal(config.n_vms, 2);
    const struct vm_config *vm = &config.vms[0];
    assert_int_equal(vm->n_listen, 2);
    assert_string_equal(vm->listen[0].path, "/run/work.sock");
    assert_int_equal(vm->listen[1].kind, ADDRESS_VSOCK_MUX);
    assert_string_equal(vm->token_files[0], "/etc/token of mine");
    static const char *const allow[] = {"zwlr_layer_shell_v1", "zwlr_*", "ext_a", "ext_b", "*"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(vm->allow[i], allow[i]);
    assert_null(vm->allow[5]);
    assert_string_equal(vm->deny[0], "wp_[a-c]*");
    assert_null(vm->deny[1]);
    assert_int_equal(vm->clipboard, CLIPBOARD_FROM_VM);
    assert_string_equal(vm->title_prefix, "[work] ");
    assert_string_equal(vm->app_id_prefix, "work.");
    assert_false(vm->security_context);
    assert_true(vm->output_names);
    assert_int_equal(vm->dmabuf, DMABUF_LINEAR);
    assert_int_equal(vm->limits.clients, 7);
    assert_int_equal(vm->limits.memory, 3 << 20);
    assert_int_equal(vm->limits.fds, 9);
    assert_int_equal(vm->limits.queue, 64 << 10);
    assert_string_equal(config.vms[1].name, "Other.vm_2-x");
}

static void test_clipboard_values(void **state)
{
    (void)state;
    accept_text("[vm a]\ncid=11\nclipboard = both\n[vm b]\ncid=12\nclipboard=off\n"
                "[vm c]\ncid=13\nclipboard=to-vm\n");
    assert_int_equal(config.vms[0].clipboard, CLIPBOARD_TO_VM | CLIPBOARD_FROM_VM);
    assert_int_equal(config.vms[1].clipboard, 0);
    assert_int_equal(config.vms[2].clipboard, CLIPBOARD_TO_VM);
}

static void test_values_keep_what_looks_like_syntax(void **state)
{
    (void)state;
    accept_text("[vm a]\ntitle-prefix = a = b # c ; d\napp-id-prefix = \"\"\n"
                "start = virsh start \"a\" # now\n");
    assert_string_equal(config.vms[0].start, "virsh start \"a\" # now");
    assert_string_equal(config.vms[0].title_prefix, "a = b # c ; d");
    assert_null(config.vms[0].app_id_prefix);
}

static void test_token_in_the_home_folder(void **state)
{
    (void)state;
    setenv("HOME", "/home/me", 1);
    accept_text(
        "[vm a]\ncid = 8\ntoken = ~/t\ngpu = ~/g\n[vm b]\ncid=9\ntoken = ~other/t\ngpu = /run/g\n");
    assert_string_equal(config.vms[0].gpu, "/home/me/g");
    assert_string_equal(config.vms[1].gpu, "/run/g");
    assert_string_equal(config.vms[0].token_files[0], "/home/me/t");
    assert_string_equal(config.vms[1].token_files[0], "~other/t");
    accept_text("[vm c]\ncid = 10\ntoken = ~/t\ntoken = /u\n"); /* of two users */
    assert_string_equal(config.vms[2].token_files[0], "/home/me/t");
    assert_string_equal(config.vms[2].token_files[1], "/u");
    assert_null(config.vms[2].token_files[2]);
}

static void test_refuse_structure(void **state)
{
    (void)state;
    refuse_line("listen = vsock:1\n", 1, "write [host] or [vm NAME] first");
    refuse_line("[host]\nlisten\n", 2, "\"listen\" is no setting: write \"key = value\"");
    refuse_line("[guest]\n", 1,
                "unknown section \"[guest]\"; there are [host], [vm NAME] and [forward NAME]");
    refuse_line("[host\n", 1, "unknown section");
    refuse_line("[vmwork]\n", 1, "unknown section");
    refuse_line("[vm work\n", 1, "unknown section");
    refuse_line("[vm]\n", 1, "unknown section");
    refuse_line("[", 1, "unknown section");
    refuse_line("[host]\n\n#\ncid = 4\n", 4,
                "unknown key \"cid\"; this section has: listen compositor");
    refuse_line("[vm a]\nclip = off\n", 2,
                "unknown key \"clip\"; this section has: cid listen token");
    refuse_line("[vm a]\n= off\n", 2, "unknown key \"\"");
}

static void test_refuse_repeated_keys(void **state)
{
    (void)state;
    refuse_line("[host]\npeer-timeout=1\npeer-timeout=2\n", 3, "\"peer-timeout\" is set twice");
    refuse_line("[vm a]\ncid=5\ncid=6\n", 3, "\"cid\" is set twice");
    refuse_line("[vm a]\nclipboard=off\nclipboard=both\n", 3, "\"clipboard\" is set twice");
    accept_text("[vm a]\ncid=5\nclipboard=off\n[vm b]\ncid=6\nclipboard=off\n");
}

static void test_refuse_vm_names(void **state)
{
    char text[128];
    (void)state;
    refuse_line("[vm ]\n", 1, "is no name for a VM: write 1 to 64 letters");
    refuse_line("[vm a b]\n", 1, "\"a b\" is no name for a VM");
    refuse_line("[vm a/b]\n", 1, "is no name");
    refuse_line("[vm \xc3\xa9]\n", 1, "is no name");
    refuse_line("[vm a]\ncid=4\n[vm a]\n", 3, "the VM \"a\" is there already");
    snprintf(text, sizeof(text), "[vm %065d]\n", 0);
    refuse_line(text, 1, "is no name");
    snprintf(text, sizeof(text), "[vm %064d]\n", 0);
    accept_text(text);
}

static void test_refuse_cids(void **state)
{
    static const char *const bad[] = {
        "", "x", "-1", "+3", "4294967295", "4294967296", "0x10", "3 4", "99999999999999999999999"};
    char text[128];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "[vm a]\ncid = %s\n", bad[i]);
        refuse_line(text, 2, "is no CID: write a number from 3 to 4294967294");
    }
    refuse_line("[vm a]\ncid=5\n[vm b]\ncid=5\n", 4, "CID 5 is already that of the VM \"a\"");
}

static void test_low_cids_count_when_they_are_named(void **state)
{
    (void)state;
    accept_text("[vm loop]\ncid = 1\n[vm host]\ncid=2\n[vm null]\ncid=0\n");
    assert_string_equal(host_config_vm_of_cid(&config, 1)->name, "loop");
    assert_string_equal(host_config_vm_of_cid(&config, 2)->name, "host");
    assert_string_equal(host_config_vm_of_cid(&config, 0)->name, "null");
}

static void test_refuse_values(void **state)
{
    static const struct {
        const char *line, *needle;
    } cases[] = {
        {"listen = tcp:1", "write vsock:CID:PORT"},
        {"listen =", "write vsock:CID:PORT"},
        {"token =", "write the path"},
        {"gpu =", "write the path"},
        {"allow =", "write interface names"},
        {"allow = , ,", "write interface names"},
        {"allow = wl_shm; rm", "\"wl_shm;\" matches no interface"},
        {"deny = wp/x", "\"wp/x\" matches no interface"},
        {"clipboard = yes", "write both, to-vm, from-vm or off"},
        {"clipboard =", "write both, to-vm, from-vm or off"},
        {"security-context = maybe", "neither yes nor no"},
        {"output-names = yes", "neither plain nor real"},
        {"dmabuf = maybe", "none of yes, no and linear"},
        {"start =", "write the command"},
        {"menu = maybe", "neither yes nor no"},
        {"title-prefix = a\x01", "control characters"},
        {"app-id-prefix = a\x7f", "control characters"},
        {"max-daemons = 0", "\"0\" is no count: write a number from 1 to 1024"},
        {"max-daemons = 1025", "is no count"},
        {"max-clients = 0", "\"0\" is no count: write a number from 1 to 65536"},
        {"max-clients = 65537", "is no count"},
        {"max-clients = 1K", "is no count"},
        {"max-clients = -1", "is no count"},
        {"max-fds = 0", "is no count"},
        {"max-fds =", "is no count"},
        {"max-memory = 1023K", "is no size"},
        {"max-memory = 1T", "is no size: write a number from 1048576 to"},
        {"max-memory = 1MB", "is no size"},
        {"max-memory = M", "is no size"},
        {"max-memory = 18446744073709551615G", "is no size"},
        {"max-memory = 17179869184G", "is no size"}, /* 2^64 */
        {"max-memory = 99999999999999999999", "is no size"},
        {"max-queue = 65535", "is no size"},
        {"max-queue = 2G", "is no size"},
    };
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "[vm a]\n%s\n", cases[i].line);
        refuse_line(text, 2, cases[i].needle);
    }
    snprintf(text, sizeof(text), "[vm a]\ntitle-prefix = %0129d\n", 0);
    refuse_line(text, 2, "longer than 128 bytes");
    static const char *const times[] = {"0", "604801", "1m", "-1", "", "1.5"};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        snprintf(text, sizeof(text), "[host]\npeer-timeout = %s\n", times[i]);
        refuse_line(text, 2, "is no time: write seconds, from 1 to 604800");
    }
    refuse_line("[host]\ncompositor = \n", 2, "write a display's name");
}

static void test_refuse_lines_that_are_no_text(void **state)
{
    static char line[5000];
    (void)state;
    memset(line, '#', sizeof(line) - 1);
    refuse_line(line, 1, "longer than 4095 bytes");
    line[4095] = '\0';
    accept_text(line);
    expect_error(read_bytes("[host]\n\0", 8), "host.conf:2: ", "NUL byte");
}

static void test_every_prefix_is_read_safely(void **state)
{
    static const char text[] = "[host]\nlisten = vsock:1100\n[vm work]\ncid = 42\nallow = zwlr_*\n"
                               "title-prefix = \"x \"\nmax-memory = 64M\n";
    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        char *exact = malloc(n ? n : 1); /* so that ASan sees a byte too far */
        memcpy(exact, text, n);
        int result = read_bytes(exact, n);
        assert_true(result == 0 || (result == -EINVAL && strncmp(error, "host.conf:", 10) == 0));
        free(exact);
        host_config_finish(&config);
        host_config_init(&config);
    }
}

static void test_files(void **state)
{
    char folder[64], path[96], text[128];
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/host.conf", folder);
    assert_int_equal(host_config_read(&config, path, error, sizeof(error)), -ENOENT);
    assert_non_null(strstr(error, path));
    assert_int_equal(host_config_read(&config, folder, error, sizeof(error)), -EINVAL);
    assert_non_null(strstr(error, "no regular file"));

    int before = count_fds();
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "[vm a]\ncid=5\nx=1\n", 17), 17);
    snprintf(text, sizeof(text), "%s:3: unknown key", path);
    assert_int_equal(host_config_read(&config, path, error, sizeof(error)), -EINVAL);
    assert_memory_equal(error, text, strlen(text));
    host_config_finish(&config);
    host_config_init(&config);
    assert_int_equal(ftruncate(fd, 13), 0);
    assert_int_equal(host_config_read(&config, path, error, sizeof(error)), 0);
    assert_int_equal(config.n_vms, 1);
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    assert_int_equal(host_config_read(&config, path, error, sizeof(error)), -EINVAL);
    assert_non_null(strstr(error, "larger than 1 MiB"));
    close(fd);
    assert_int_equal(count_fds(), before);
    remove_folder(folder);
}

static void test_sockets_go_to_the_only_vm(void **state)
{
    (void)state;
    accept_text(
        "[host]\nlisten = unix:/a\nlisten = vsock:1100\nlisten = vsock-mux:/b:7\n[vm work]\n");
    assert_int_equal(config.n_listen, 1);
    assert_int_equal(config.listen[0].kind, ADDRESS_VSOCK);
    assert_int_equal(config.vms[0].n_listen, 2);
    assert_string_equal(owner("unix:/a"), "work");
    assert_string_equal(owner("vsock-mux:/b:7"), "work");
    assert_string_equal(owner("unix:/b_7"), "work"); /* as an inherited socket looks */
    assert_string_equal(owner("vsock:1100"), "");    /* by CID */
}

static void test_sockets_without_any_vm_make_one(void **state)
{
    (void)state;
    accept_text("[host]\nlisten = unix:/a\nlisten = unix:/b\n");
    assert_int_equal(config.n_vms, 1);
    assert_string_equal(config.vms[0].name, "vm");
    assert_string_equal(owner("unix:/b"), "vm");
}

static void test_refuse_sockets_that_could_be_anybodys(void **state)
{
    (void)state;
    refuse_whole("[host]\nlisten = unix:/a\n[vm x]\ncid=5\n[vm y]\ncid=6\n",
                 "nothing tells which of the 2 VMs comes in by unix:/a");
    refuse_whole("[vm x]\ncid=5\n[vm y]\n", "nothing tells the VM \"y\" from the others");
    refuse_whole("[vm x]\nlisten = vsock:1101\n", "add its \"cid = CID\"");
}

static void test_refuse_a_listener_twice(void **state)
{
    (void)state;
    refuse_whole("[host]\nlisten=vsock:1\nlisten=vsock:1\n", "vsock:1 is listed twice");
    refuse_whole("[vm x]\nlisten=unix:/a\n[vm y]\nlisten=unix:/a\n", "unix:/a is listed twice");
    refuse_whole("[vm x]\nlisten=unix:/a_7\nlisten=vsock-mux:/a:7\n", "is listed twice");
    refuse_whole("[host]\nlisten=vsock:1\n[vm x]\ncid=5\nlisten=vsock:1\n",
                 "vsock:1 is listed twice");
}

static void test_owners_of_several_vms(void **state)
{
    (void)state;
    accept_text("[host]\nlisten=vsock:1100\n[vm x]\nlisten=unix:/x\n[vm y]\nlisten=unix:/y\n"
                "[vm z]\ncid=9\nlisten=vsock:1101\n");
    assert_string_equal(owner("unix:/x"), "x");
    assert_string_equal(owner("unix:/y"), "y");
    assert_string_equal(owner("unix:/other"), "");
    assert_string_equal(owner("vsock:1100"), "");
    assert_string_equal(owner("vsock:1101"), "z");
    assert_string_equal(host_config_vm_of_cid(&config, 9)->name, "z");
    assert_null(host_config_vm_of_cid(&config, 10));
    assert_null(host_config_vm_of_cid(&config, 0)); /* VMs without a CID have none */
}

/* An inherited socket is what the configuration calls it. */
static void test_inherited_names(void **state)
{
    (void)state;
    accept_text("[vm x]\nlisten=vsock-device:/x\n[vm y]\nlisten=unix:/y\n");
    struct address a = address("unix:/x");
    host_config_name(&config, &a);
    assert_int_equal(a.kind, ADDRESS_VSOCK_DEVICE);
    assert_string_equal(host_config_owner(&config, &a)->name, "x");
    a = address("unix:/y");
    host_config_name(&config, &a);
    assert_int_equal(a.kind, ADDRESS_UNIX);
    a = address("unix:/z");
    host_config_name(&config, &a);
    assert_int_equal(a.kind, ADDRESS_UNIX);
}

#define t(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        t(test_defaults),
        t(test_every_key),
        t(test_clipboard_values),
        t(test_values_keep_what_looks_like_syntax),
        t(test_token_in_the_home_folder),
        t(test_refuse_structure),
        t(test_refuse_repeated_keys),
        t(test_refuse_vm_names),
        t(test_refuse_cids),
        t(test_low_cids_count_when_they_are_named),
        t(test_refuse_values),
        t(test_refuse_lines_that_are_no_text),
        t(test_every_prefix_is_read_safely),
        t(test_files),
        t(test_sockets_go_to_the_only_vm),
        t(test_sockets_without_any_vm_make_one),
        t(test_refuse_sockets_that_could_be_anybodys),
        t(test_refuse_a_listener_twice),
        t(test_owners_of_several_vms),
        t(test_inherited_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
