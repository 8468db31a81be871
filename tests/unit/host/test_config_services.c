/* SPDX-License-Identifier: MIT */
/* [forward NAME] sections and "forward = NAME": what a service is, and mistakes in it. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "common/services/helper.h"
#include "common/services/settings-text.h"
#include "host-proxy/config.h"

static struct host_config config;
static char error[1024];

static int setup(void **state)
{
    (void)state;
    host_config_init(&config);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_config_finish(&config);
    return 0;
}

static int read_all(const char *text)
{
    host_config_finish(&config);
    host_config_init(&config);
    int r = host_config_read_text(&config, "host.conf", text, strlen(text), error, sizeof(error));
    if (r == 0)
        r = host_config_complete(&config, error, sizeof(error));
    return r == 0 ? host_config_check_services(&config, error, sizeof(error)) : r;
}

static const struct service_settings *service(const char *text, const char *name)
{
    if (read_all(text) < 0)
        fail_msg("%s: %s", text, error);
    const struct service_settings *s = host_config_service(&config, name);
    assert_non_null(s);
    return s;
}

static void refuse(const char *text, const char *needle)
{
    assert_int_equal(read_all(text), -EINVAL);
    if (!strstr(error, needle))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, error, needle);
}

static void test_defaults_and_keys(void **state)
{
    (void)state;
    const struct service_settings *s = service("[forward x]\npath = /run/x\n", "x");
    assert_true(s->files && s->memory == LINK_MEMORY_ONCE && s->type == LINK_SOCKET_STREAM);
    assert_int_equal(s->max_connections, 64);
    assert_null(s->helper);
    s = service("[forward a.b-c_1]\npath = %t/x\ntype = seqpacket\nfiles = refuse\n"
                "memory = refuse\nmax-connections = 3\nprotocol = none\n",
                "a.b-c_1");
    assert_true(!s->files && s->memory == LINK_MEMORY_REFUSED);
    assert_int_equal(s->type, LINK_SOCKET_SEQPACKET);
    assert_int_equal(s->max_connections, 3);
    assert_true(!s->share && s->dmabufs == LINK_DMABUFS_REFUSED);
    s = service("[forward x]\npath = /x\nmemory = share\ndmabufs = share\n"
                "sync-files = once\n",
                "x");
    assert_true(s->sync_files);
    assert_true(s->share && s->memory == LINK_MEMORY_MIRROR && s->dmabufs == LINK_DMABUFS_SHARE);
    s = service("[forward x]\npath = /x\nmemory = mirror\ndmabufs = once\n", "x");
    assert_true(!s->share && s->memory == LINK_MEMORY_MIRROR && s->dmabufs == LINK_DMABUFS_ONCE);
    refuse("[forward x]\npath = /x\ndmabufs = yes\n", "is none of refuse, share or once");
    refuse("[forward x]\npath = /x\nmemory = yes\n", "is none of refuse, once, mirror or share");
}

static void test_protocols(void **state)
{
    (void)state;
    const struct service_settings *s = service("[vm a]\ncid = 5\nforward = sound\n", "sound");
    assert_string_equal(s->helper->name, "pulse");
    assert_string_equal(s->path, "%t/pulse/native");
    assert_true(!s->record && !s->cookie_file);
    s = service("[forward sound]\nrecord = yes\ncookie = /etc/passwd\n", "sound");
    assert_true(s->record && s->helper);
    assert_int_equal(host_config_prepare_services(&config, error, sizeof(error)), 0);
    assert_int_equal(s->cookie[0], 'r');
    s = service("[forward bus]\npath = /x\nprotocol = dbus\n", "bus");
    assert_string_equal(s->helper->name, "dbus");
    assert_int_equal(host_config_prepare_services(&config, error, sizeof(error)), 0);
    service("[forward sound]\ncookie = /nowhere\n", "sound");
    assert_int_equal(host_config_prepare_services(&config, error, sizeof(error)), -ENOENT);
    assert_string_equal(error, "/nowhere: No such file or directory");
    refuse("[forward x]\npath = /x\nrecord = maybe\n", "\"maybe\" is none of no or yes");
    refuse("[forward x]\npath = /x\ncookie =\n", "write a path");
    refuse("[forward x]\npath = /x\nprotocol = pulse\ntype = seqpacket\n",
           "a protocol is known of streams only");
}

static void test_commands(void **state)
{
    (void)state;
    const struct service_settings *s = service("[vm a]\ncid = 5\nforward = notify\n", "notify");
    assert_string_equal(s->helper->name, "dbus");
    assert_string_equal(s->exec[0], "xdg-dbus-proxy");
    assert_string_equal(s->exec[2], "%s");
    assert_null(s->path);
    s = service("[forward notify]\npath = /x\n", "notify"); /* in place of the preset's */
    assert_true(s->path && !s->exec && s->helper);
    s = service("[forward agent]\nexec = \"a b\" c \"d\"\n", "agent");
    assert_null(s->path);
    assert_string_equal(s->exec[0], "a b");
    assert_string_equal(s->exec[2], "d");
    assert_null(s->exec[3]);
    refuse("[forward x]\npath = /x\nexec = a\n", "\"path\" and \"exec\" are two places");
    refuse("[forward x]\nexec = a\npath = /x\n", "\"path\" and \"exec\" are two places");
    refuse("[forward x]\nexec =\n", "write a program");
    refuse("[forward x]\nexec = 'a\n", "a quotation mark has no other");
    refuse("[forward x]\nexec = a\ndirection = to-guest\nlisten = /x\n",
           "has \"exec\", which does not go with direction = to-guest");
}

static void test_what_a_vm_may_have(void **state)
{
    (void)state;
    service("[forward x]\npath = /x\n[vm a]\ncid = 5\nforward = x  agent\nforward = x\n", "agent");
    assert_string_equal(config.vms[0].forward[0], "x");
    assert_string_equal(config.vms[0].forward[1], "agent");
    assert_null(config.vms[0].forward[2]);
    refuse("[vm a]\nforward = y\n", "nothing says what the service \"y\" is");
    refuse("[vm a]\nforward = a/b\n", "\"a/b\" is no name of a service");
    refuse("[vm a]\nforward =\n", "write names of services");
}

static void test_presets_may_be_changed(void **state)
{
    (void)state;
    const struct service_settings *s = service("[forward agent]\nmax-connections = 2\n", "agent");
    assert_string_equal(s->path, "$SSH_AUTH_SOCK");
    assert_int_equal(s->max_connections, 2);
}

static void test_mistakes(void **state)
{
    (void)state;
    refuse("[forward a b]\n", "is no name for a service");
    refuse("[forward .]\n", "is no name for a service");
    refuse("[forward wayvsock.run]\n", "are the daemons' own");
    refuse("[forward 123456789012345678901234567890123]\n", "is no name for a service");
    refuse("[forward x]\npath = /x\n[forward x]\n", "the service \"x\" is there already");
    refuse("[forward x]\n", "leads nowhere");
    refuse("[forward x]\npath = /x\npath = /y\n", "\"path\" is set twice");
    refuse("[forward x]\npath =\n", "write a path");
    refuse("[forward x]\ntype = raw\n", "\"raw\" is none of stream, seqpacket or dgram");
    refuse("[forward x]\nprotocol = nonsense\n", "is none of: none");
    refuse("[forward pipewire]\nmemory = once\n", "needs memory = mirror");
    refuse("[forward x]\ntype = dgram\ndirection = to-guest\nlisten = /x\n",
           "type dgram, which goes to the host only");
    refuse("[forward x]\nfiles = mirror\n", "is none of refuse or once");
    refuse("[forward x]\nmax-connections = 0\n", "is no count");
    refuse("[forward x]\nmax-connections = 4097\n", "is no count");
    refuse("[forward x]\ncolour = red\n", "unknown key \"colour\"; this section has: path");
}

static void path(const char *written, int result, const char *expected)
{
    char at[32];
    assert_int_equal(service_path(written, "work", at, sizeof(at), error, sizeof(error)), result);
    if (!strstr(result == 0 ? at : error, expected))
        fail_msg("%s: %s", written, result == 0 ? at : error);
}

static void test_paths(void **state)
{
    (void)state;
    path("/run/x", 0, "/run/x");
    path("%t/%v-%%", 0, "/run/user/7/work-%");
    path("%x", -EINVAL, "stands for nothing");
    path("x", -EINVAL, "no absolute path");
    setenv("SOME_SOCKET", "/tmp/agent", 1);
    path("$SOME_SOCKET", 0, "/tmp/agent");
    path("$NO_SUCH_VARIABLE", -ENOENT, "NO_SUCH_VARIABLE is not set");
    path("/123456789/123456789/123456789/123456789", -ENAMETOOLONG, "too long");
}

static void test_command_line(void **state)
{
    struct service_settings s;
    const char *at;
    (void)state;
    assert_int_equal(service_parse("sound", &s, &at, error, sizeof(error)), 0);
    assert_true(!at && strcmp(s.name, "sound") == 0 && s.type == LINK_SOCKET_STREAM);
    assert_int_equal(service_parse("x:seqpacket=/a:b=c", &s, &at, error, sizeof(error)), 0);
    assert_true(strcmp(at, "/a:b=c") == 0 && s.type == LINK_SOCKET_SEQPACKET);
    for (const char *const *bad = (const char *const[]){"", "=x", "a/b", ":stream", "x:", "x:raw",
                                                        "x=", "x:stream=", NULL};
         *bad; bad++)
        assert_int_equal(service_parse(*bad, &s, &at, error, sizeof(error)), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults_and_keys),
        TEST(test_protocols),
        TEST(test_commands),
        TEST(test_what_a_vm_may_have),
        TEST(test_presets_may_be_changed),
        TEST(test_mistakes),
        TEST(test_paths),
        TEST(test_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
