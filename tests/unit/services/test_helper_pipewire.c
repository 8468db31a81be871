/* SPDX-License-Identifier: MIT */
/* PipeWire through its helper: what passes and how it is changed, what is declined, what ends the
 * connection, and what the server's memory is for. */
#include "tests/unit/support.h"

#include <stdlib.h>
#include <string.h>

#include "common/services/helper-pipewire.h"
#include "common/services/pipewire-messages.h"
#include "common/services/pipewire-objects.h"
#include "common/services/pod.h"
#include "tests/support/helper_feed.h"
#include "tests/unit/services/pipewire_build.h"

static struct service_settings settings;
static struct feed feed;
static const uint8_t long_value[70 << 10];

static int begin(void **state)
{
    (void)state;
    settings = (struct service_settings){.prefix = "[vm] "};
    feed_init(&feed, &helper_pipewire, &settings);
    return 0;
}

static int end(void **state)
{
    (void)state;
    feed_finish(&feed);
    return 0;
}

static void again(void)
{
    feed_finish(&feed);
    feed_init(&feed, &helper_pipewire, &settings);
}

static void say(enum service_way way, uint32_t id, uint8_t opcode, uint32_t fds)
{
    size_t n = pw_finish(id, opcode, fds);
    feed_clear(&feed);
    feed_say(&feed, way, pw_bytes, n, 0);
}

static void client(uint32_t id, uint8_t opcode)
{
    say(SERVICE_FROM_CLIENT, id, opcode, 0);
}

static void server(uint32_t id, uint8_t opcode, uint32_t fds)
{
    say(SERVICE_FROM_SERVER, id, opcode, fds);
    assert_false(feed.failed);
}

static void create(const char *factory, uint32_t new_id, const char *const *strings)
{
    pw_message();
    pod_write_string(&pw_w, factory);
    pod_write_string(&pw_w, "PipeWire:Interface:ClientNode");
    pod_write_int(&pw_w, 4);
    pw_properties(strings);
    pod_write_int(&pw_w, new_id);
    client(0, CORE_CREATE_OBJECT);
}

static const char *const nothing[] = {NULL};

/* What the other side got is one message, whose values follow. */
static struct pod_reader said(enum service_way way)
{
    struct pipewire_head head;
    struct pod_reader in, got;
    assert_false(feed.failed);
    assert_true(feed.said[way].n >= PIPEWIRE_HEAD);
    pipewire_head_read(feed.said[way].bytes, &head);
    assert_int_equal(feed.said[way].n, PIPEWIRE_HEAD + head.size);
    got = (struct pod_reader){feed.said[way].bytes + PIPEWIRE_HEAD,
                              feed.said[way].bytes + feed.said[way].n};
    assert_true(pod_read_struct(&got, &in));
    return in;
}

static const char *string(struct pod_reader *in)
{
    const char *text;
    assert_true(pod_read_string(in, &text));
    return text;
}

static uint32_t number(struct pod_reader *in)
{
    uint32_t n;
    assert_true(pod_read_int(in, &n));
    return n;
}

static void assert_properties(struct pod_reader in, const char *const *strings)
{
    uint32_t n = 0;
    while (strings[2 * n])
        n++;
    assert_int_equal(number(&in), n);
    for (uint32_t i = 0; i < 2 * n; i++)
        assert_string_equal(string(&in), strings[i]);
}

/* It went to the server as it is. */
static void assert_passed(enum service_way way)
{
    assert_false(feed.failed);
    assert_int_equal(feed.said[way].n, PIPEWIRE_HEAD + pw_w.n);
    assert_memory_equal(feed.said[way].bytes, pw_bytes, feed.said[way].n);
    assert_int_equal(feed.answered, 0);
}

/* The client was told an error about that object, and the server nothing. */
static void assert_declined(uint32_t object)
{
    struct pipewire_head head;
    struct pod_reader in = said(SERVICE_FROM_SERVER);
    assert_int_equal(feed.said[SERVICE_FROM_CLIENT].n, 0);
    pipewire_head_read(feed.said[SERVICE_FROM_SERVER].bytes, &head);
    assert_int_equal(head.id, 0);
    assert_int_equal(head.opcode, CORE_ERROR_EVENT);
    assert_int_equal(number(&in), object);
    assert_int_equal(number(&in), 9);
    assert_int_equal((int)number(&in), -13);
}

static void assert_ended(const char *text)
{
    assert_true(feed.failed);
    assert_string_equal(feed.text, text);
    again();
}

static void assert_role(unsigned i, struct service_role expected)
{
    assert_true(feed.roles_n > i);
    assert_int_equal(feed.roles[i].what, expected.what);
    assert_int_equal(feed.roles[i].memory, expected.memory);
    assert_int_equal(feed.roles[i].event, expected.event);
    assert_int_equal(feed.roles[i].node, expected.node);
    assert_int_equal(feed.roles[i].peer, expected.peer);
}

/* --- the client --- */

static void test_greeting(void **state)
{
    (void)state;
    pw_message();
    PW_INTS(3);
    client(0, CORE_HELLO);
    assert_passed(SERVICE_FROM_CLIENT);
    pw_message();
    PW_INTS(0, 7);
    client(0, CORE_SYNC);
    assert_passed(SERVICE_FROM_CLIENT);
    pw_message();
    pw_properties((const char *const[]){"application.name", "a\x1b[31m", "pipewire.access",
                                        "flatpak", "application.process.id", "1",
                                        "pipewire.sec.engine", "x", NULL});
    client(1, CLIENT_UPDATE_PROPERTIES);
    struct pod_reader in = said(SERVICE_FROM_CLIENT), dict;
    assert_true(pod_read_struct(&in, &dict));
    assert_properties(dict, (const char *const[]){"application.name", "[vm] a [31m", NULL});
    assert_true(in.at == in.end);
}

static void test_streams(void **state)
{
    (void)state;
    create("client-node", 2,
           (const char *const[]){"node.name", "player", "node.driver", "true", "media.class",
                                 "Audio/Sink", "node.force-quantum", "1", "object.linger", "1",
                                 "audio.rate", "48000", "media.filename", "/a/b",
                                 "stream.capture.sink", "true", NULL});
    struct pod_reader in = said(SERVICE_FROM_CLIENT), dict;
    assert_string_equal(string(&in), "client-node");
    assert_string_equal(string(&in), "PipeWire:Interface:ClientNode");
    assert_int_equal(number(&in), 4);
    assert_true(pod_read_struct(&in, &dict));
    assert_properties(dict, (const char *const[]){"node.name", "[vm] player", "audio.rate", "48000",
                                                  "media.filename", "_a_b", NULL});
    assert_int_equal(number(&in), 2);
    create("client-node", 3, (const char *const[]){"media.class", "Stream/Output/Audio", NULL});
    in = said(SERVICE_FROM_CLIENT);
    string(&in);
    string(&in);
    number(&in);
    assert_true(pod_read_struct(&in, &dict));
    assert_properties(dict, (const char *const[]){"media.class", "Stream/Output/Audio", NULL});
}

/* It asks for what there is not, so that the server counts the number as given. */
static void test_other_factories(void **state)
{
    static const char *const factories[] = {"link-factory", "adapter", "metadata",
                                            "spa-node-factory"};
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        create(factories[i], 2 + i, nothing);
        struct pod_reader in = said(SERVICE_FROM_CLIENT);
        assert_string_equal(string(&in), "refused-by-host");
        pw_message();
        client(2 + i, CLIENT_NODE_SET_ACTIVE);
        assert_declined(2 + i);
    }
}

static void test_declined(void **state)
{
    (void)state;
    pw_message();
    PW_INTS(1, 0);
    client(0, CORE_DESTROY);
    assert_declined(0);
    pw_message();
    client(0, CORE_DESTROY + 1);
    assert_declined(0);
    pw_message();
    client(1, CLIENT_UPDATE_PERMISSIONS);
    assert_declined(1);
    pw_message();
    client(1, CLIENT_ERROR);
    assert_declined(1);
    pw_message();
    client(77, 1);
    assert_declined(77);
    pw_message();
    PW_INTS(3, 2);
    client(0, CORE_GET_REGISTRY);
    assert_passed(SERVICE_FROM_CLIENT);
    pw_message();
    PW_INTS(30);
    client(2, REGISTRY_DESTROY);
    assert_declined(2);
    create("client-node", 3, nothing);
    pw_message();
    client(3, CLIENT_NODE_PORT_BUFFERS);
    assert_declined(3);
}

static void port_update(uint32_t direction)
{
    pw_message();
    PW_INTS(direction, 0, 3, 1);
    pw_id(4); /* a parameter */
    size_t info = pod_begin_struct(&pw_w);
    uint64_t flags = 1;
    pod_write(&pw_w, POD_LONG, &flags, 8);
    pod_write(&pw_w, POD_LONG, &flags, 8);
    PW_INTS(0, 1, 2);
    pod_write_string(&pw_w, "port.name");
    pod_write_string(&pw_w, "out");
    pod_write_string(&pw_w, "object.linger");
    pod_write_string(&pw_w, "true");
    PW_INTS(0);
    pod_end_struct(&pw_w, info);
    client(2, CLIENT_NODE_PORT_UPDATE);
}

static void test_recording(void **state)
{
    (void)state;
    for (int record = 0; record < 2; record++) {
        settings.record = record;
        again();
        create("client-node", 2, nothing);
        port_update(DIRECTION_INPUT);
        if (!record)
            assert_declined(2);
        port_update(record ? DIRECTION_INPUT : DIRECTION_OUTPUT);
        struct pod_reader in = said(SERVICE_FROM_CLIENT), info;
        struct pod pod;
        uint64_t flags;
        assert_int_equal(number(&in), record ? DIRECTION_INPUT : DIRECTION_OUTPUT);
        number(&in);
        number(&in);
        number(&in);
        assert_true(pod_read(&in, &pod) && pod.type == POD_ID);
        assert_true(pod_read_struct(&in, &info));
        assert_true(pod_read_long(&info, &flags) && pod_read_long(&info, &flags));
        number(&info);
        number(&info);
        assert_int_equal(number(&info), 1);
        assert_string_equal(string(&info), "port.name");
        assert_string_equal(string(&info), "out");
        assert_int_equal(number(&info), 0);
    }
    port_update(7); /* a direction that there is not, and an update without one */
    assert_false(feed.failed);
    pw_message();
    client(2, CLIENT_NODE_PORT_UPDATE);
    assert_ended("pipewire: a message that is not what it has to be");
}

static void test_a_node_of_its_own(void **state)
{
    (void)state;
    create("client-node", 2, nothing);
    pw_message();
    PW_INTS(3, 3);
    client(2, CLIENT_NODE_GET_NODE);
    assert_passed(SERVICE_FROM_CLIENT);
    for (uint8_t opcode = NODE_SUBSCRIBE_PARAMS; opcode <= NODE_SEND_COMMAND + 1; opcode++) {
        pw_message();
        client(3, opcode);
        if (opcode <= NODE_SEND_COMMAND)
            assert_passed(SERVICE_FROM_CLIENT);
        else
            assert_declined(3);
    }
}

static void show(uint32_t global, const char *type, const char *class)
{
    pw_message();
    PW_INTS(global, 0x1ff);
    pod_write_string(&pw_w, type);
    PW_INTS(3);
    pw_properties((const char *const[]){"node.name", "n", "media.class", class, NULL});
    server(2, REGISTRY_GLOBAL_EVENT, 0);
}

static void bind_to(uint32_t global, const char *type, uint32_t new_id)
{
    pw_message();
    PW_INTS(global);
    pod_write_string(&pw_w, type);
    PW_INTS(3, new_id);
    client(2, REGISTRY_BIND);
}

#define NODE "PipeWire:Interface:Node"

static void test_registry(void **state)
{
    static const struct {
        const char *type, *class;
        bool shown;
    } globals[] = {
        {NODE, "Audio/Sink", true},
        {NODE, "Audio/Source", true},
        {NODE, "Stream/Output/Audio", false},
        {"PipeWire:Interface:Client", "Audio/Sink", false},
        {"PipeWire:Interface:Metadata", "", true},
        {"PipeWire:Interface:Link", "", false},
    };
    (void)state;
    pw_message();
    PW_INTS(3, 2);
    client(0, CORE_GET_REGISTRY);
    for (uint32_t i = 0; i < 6; i++) {
        show(30 + i, globals[i].type, globals[i].class);
        assert_int_equal(feed.dropped, !globals[i].shown);
        bind_to(30 + i, globals[i].type, 3 + i);
        struct pod_reader in = said(SERVICE_FROM_CLIENT);
        assert_int_equal(number(&in), globals[i].shown ? 30 + i : PIPEWIRE_NO_ID);
        pw_message();
        client(3 + i, NODE_ENUM_PARAMS);
        if (i < 2)
            assert_passed(SERVICE_FROM_CLIENT);
        else
            assert_declined(3 + i); /* a metadata's would be to clear it */
        pw_message();
        client(3 + i, NODE_SET_PARAM);
        assert_declined(3 + i);
    }
    show(5000, NODE, "Audio/Sink"); /* a number beyond what we keep */
    assert_int_equal(feed.dropped, 1);
    bind_to(5000, NODE, 20);
    struct pod_reader in = said(SERVICE_FROM_CLIENT);
    assert_int_equal(number(&in), PIPEWIRE_NO_ID);
}

static void test_who_the_server_is(void **state)
{
    uint64_t mask = 1;
    (void)state;
    pw_message();
    PW_INTS(0, 4711);
    pod_write_string(&pw_w, "alice");
    pod_write_string(&pw_w, "desk");
    pod_write_string(&pw_w, "1.4.2");
    pod_write_string(&pw_w, "pipewire-alice-77");
    pod_write(&pw_w, POD_LONG, &mask, sizeof(mask));
    pw_properties((const char *const[]){"default.clock.rate", "48000", "application.process.user",
                                        "alice", "core.name", "pipewire-alice-77",
                                        "link.max-buffers", "16", NULL});
    server(0, CORE_INFO_EVENT, 0);
    struct pod_reader in = said(SERVICE_FROM_SERVER), dict;
    assert_int_equal(number(&in), 0);
    assert_int_equal(number(&in), 4711);
    assert_string_equal(string(&in), "user");
    assert_string_equal(string(&in), "host");
    assert_string_equal(string(&in), "1.4.2");
    assert_string_equal(string(&in), "pipewire-0");
    assert_true(pod_read_long(&in, &mask));
    assert_true(pod_read_struct(&in, &dict));
    assert_properties(
        dict, (const char *const[]){"default.clock.rate", "48000", "link.max-buffers", "16", NULL});
}

static void test_numbers(void **state)
{
    (void)state;
    create("client-node", 2, nothing);
    create("client-node", 2, nothing);
    assert_ended("pipewire: an object's number is given twice");
    create("client-node", 0, nothing);
    assert_ended("pipewire: an object's number is given twice");
    create("client-node", PIPEWIRE_OBJECTS_MAX, nothing);
    assert_ended("pipewire: a client with too many objects");
    create("client-node", PIPEWIRE_OBJECTS_MAX - 1, nothing);
    pw_message();
    PW_INTS(PIPEWIRE_OBJECTS_MAX - 1);
    server(0, CORE_REMOVE_ID_EVENT, 0);
    assert_passed(SERVICE_FROM_SERVER);
    create("client-node", PIPEWIRE_OBJECTS_MAX - 1, nothing);
    said(SERVICE_FROM_CLIENT);
}

static void test_descriptors_and_sizes(void **state)
{
    (void)state;
    pw_message();
    say(SERVICE_FROM_CLIENT, 0, CORE_HELLO, 1);
    assert_ended("pipewire: a client that passes descriptors");
    pw_message();
    say(SERVICE_FROM_CLIENT, 0, CORE_HELLO, 4); /* how servers tell clients from before version 3 */
    assert_ended("pipewire: a client that passes descriptors");
    pw_message();
    say(SERVICE_FROM_SERVER, 0, CORE_ADD_MEM_EVENT, 254);
    assert_ended("pipewire: a message with too many descriptors");
    pw_message();
    pod_write(&pw_w, 9, long_value, sizeof(long_value));
    client(0, CORE_SYNC);
    assert_ended("pipewire: a message that is too long");
    pw_message();
    pod_write(&pw_w, 9, long_value, sizeof(long_value));
    server(0, 40, 0); /* the server may say much, of what nobody here looks at */
    assert_passed(SERVICE_FROM_SERVER);
    pw_message();
    pod_write(&pw_w, 9, long_value, sizeof(long_value));
    say(SERVICE_FROM_SERVER, 0, CORE_ADD_MEM_EVENT, 1);
    assert_ended("pipewire: a message that is too long");
}

/* All messages that are looked into, each cut after each of its pw_bytes and said to be that short.
 */
static void cut(enum service_way way, uint32_t object, uint8_t opcode, uint32_t fds)
{
    size_t whole = pw_finish(object, opcode, fds);
    uint8_t *copy = malloc(whole);
    memcpy(copy, pw_bytes, whole);
    for (size_t n = PIPEWIRE_HEAD; n < whole; n++) {
        again();
        struct pipewire_head head = {object, opcode, (uint32_t)(n - PIPEWIRE_HEAD), 1, fds};
        if (object == 2 && opcode != CORE_GET_REGISTRY) {
            create("client-node", 2, nothing);
            feed_clear(&feed);
        }
        pipewire_head_write(copy, &head);
        feed_say(&feed, way, copy, n, 0);
        assert_true(feed.failed);
        assert_string_equal(feed.text, "pipewire: a message that is not what it has to be");
    }
    free(copy);
}

static void test_cut(void **state)
{
    (void)state;
    pw_message();
    PW_INTS(3, 2);
    cut(SERVICE_FROM_CLIENT, 0, CORE_GET_REGISTRY, 0);
    pw_message();
    pod_write_string(&pw_w, "client-node");
    pod_write_string(&pw_w, "t");
    pod_write_int(&pw_w, 4);
    pw_properties((const char *const[]){"node.name", "player", NULL});
    pod_write_int(&pw_w, 2);
    cut(SERVICE_FROM_CLIENT, 0, CORE_CREATE_OBJECT, 0);
    pw_message();
    pw_properties((const char *const[]){"node.name", "player", NULL});
    cut(SERVICE_FROM_CLIENT, 1, CLIENT_UPDATE_PROPERTIES, 0);
    pw_message();
    PW_INTS(1);
    pw_id(2);
    pw_fd(0);
    cut(SERVICE_FROM_SERVER, 0, CORE_ADD_MEM_EVENT, 1);
    pw_message();
    pw_fd(0);
    pw_fd(1);
    PW_INTS(1, 0);
    cut(SERVICE_FROM_SERVER, 2, CLIENT_NODE_TRANSPORT_EVENT, 2);
    pw_message();
    PW_INTS(50);
    pw_fd(0);
    PW_INTS(1, 0, 2312);
    cut(SERVICE_FROM_SERVER, 2, CLIENT_NODE_SET_ACTIVATION_EVENT, 1);
    pw_message();
    PW_INTS(1, 0, 0, 0, 1, 1, 0, 64, 1);
    pw_id(1);
    PW_INTS(8, 1);
    pw_id(2);
    PW_INTS(1, 0, 0, 64);
    cut(SERVICE_FROM_SERVER, 2, CLIENT_NODE_USE_BUFFERS_EVENT, 0);
}

/* --- the server's memory --- */

static void add_memory(uint32_t memory)
{
    pw_message();
    PW_INTS(memory);
    pw_id(2);
    pw_fd(0);
    PW_INTS(3);
    server(0, CORE_ADD_MEM_EVENT, 1);
    assert_passed(SERVICE_FROM_SERVER);
    assert_role(0, (struct service_role){.what = SERVICE_ROLE_SHOWN, .memory = feed.vfd});
}

static void transport(uint32_t memory)
{
    pw_message();
    pw_fd(0);
    pw_fd(1);
    PW_INTS(memory, 0, 2312);
    say(SERVICE_FROM_SERVER, 2, CLIENT_NODE_TRANSPORT_EVENT, 2);
}

static void activation(uint32_t peer, int64_t event, uint32_t memory)
{
    pw_message();
    PW_INTS(peer);
    pw_fd(event);
    PW_INTS(memory, 0, 2312);
    say(SERVICE_FROM_SERVER, 2, CLIENT_NODE_SET_ACTIVATION_EVENT, event < 0 ? 0 : 1);
}

static enum service_signals signals(unsigned i)
{
    struct service_descriptor known = {0};
    helper_pipewire.descriptor(feed.helper, SERVICE_FROM_SERVER, i, &known);
    return known.signals;
}

static void test_nodes(void **state)
{
    (void)state;
    create("client-node", 2, nothing);
    add_memory(5); /* VFD 1 */
    add_memory(6); /* 2 */
    transport(5);  /* 3 and 4 */
    assert_int_equal(signals(0), SERVICE_SIGNALS_TO_GUEST);
    assert_int_equal(signals(1), SERVICE_SIGNALS_TO_HOST);
    assert_role(
        0, (struct service_role){.what = SERVICE_ROLE_NODE, .memory = 1, .event = 3, .node = 2});
    activation(50, 0, 6); /* 5 */
    assert_int_equal(signals(0), SERVICE_SIGNALS_TO_HOST);
    assert_role(0, (struct service_role){
                       .what = SERVICE_ROLE_PEER, .memory = 2, .event = 5, .node = 2, .peer = 50});
    activation(50, -1, PIPEWIRE_NO_ID);
    assert_role(0, (struct service_role){.what = SERVICE_ROLE_PEER_GONE, .node = 2, .peer = 50});
    pw_message();
    PW_INTS(2);
    server(0, CORE_REMOVE_ID_EVENT, 0);
    assert_role(0, (struct service_role){.what = SERVICE_ROLE_NODE_GONE, .node = 2});
}

/* From 1.2 on, a node is told of itself, by what wakes it, before it is told which one that is. */
static void test_itself_first(void **state)
{
    (void)state;
    create("client-node", 2, nothing);
    add_memory(5);
    activation(50, 0, 5);
    assert_int_equal(signals(0), SERVICE_SIGNALS_TO_GUEST);
    assert_int_equal(feed.roles_n, 0);
    transport(5);
    activation(51, 0, 5);
    assert_int_equal(signals(0), SERVICE_SIGNALS_TO_HOST);
    assert_int_equal(feed.roles_n, 1);
}

static void test_memory_that_is_missing(void **state)
{
    (void)state;
    create("client-node", 2, nothing);
    transport(5);
    assert_ended("pipewire: a message that lacks its descriptor");
    create("client-node", 2, nothing);
    add_memory(5);
    transport(5);
    activation(50, 1, 5); /* a descriptor that the message has not */
    assert_ended("pipewire: a message that lacks its descriptor");
    pw_message();
    PW_INTS(5);
    pw_id(2);
    pw_fd(-1);
    say(SERVICE_FROM_SERVER, 0, CORE_ADD_MEM_EVENT, 0);
    assert_ended("pipewire: a message that lacks its descriptor");
    create("client-node", 2, nothing);
    add_memory(5);
    pw_message();
    PW_INTS(5);
    server(0, CORE_REMOVE_MEM_EVENT, 0);
    transport(5);
    assert_ended("pipewire: a message that lacks its descriptor");
}

static void set_io(uint32_t type, uint32_t memory)
{
    pw_message();
    PW_INTS(DIRECTION_OUTPUT, 0, 0);
    pw_id(type);
    PW_INTS(memory, 0, 8);
    server(2, CLIENT_NODE_PORT_SET_IO_EVENT, 0);
}

static void buffers(uint32_t direction, uint32_t memory, uint32_t data, uint32_t type)
{
    pw_message();
    PW_INTS(direction, 0, 0, 0, 1, memory, 0, 64, 1);
    pw_id(1);
    PW_INTS(8, 1);
    pw_id(type);
    PW_INTS(data, 0, 0, 64);
    server(2, CLIENT_NODE_USE_BUFFERS_EVENT, 0);
}

static void test_shared(void **state)
{
    (void)state;
    create("client-node", 2, nothing);
    add_memory(5);
    add_memory(6);
    set_io(IO_BUFFERS, 5);
    assert_role(0, (struct service_role){.what = SERVICE_ROLE_SHARED, .memory = 1});
    set_io(IO_POSITION, 5);
    assert_int_equal(feed.roles_n, 0);
    set_io(IO_CLOCK, 5);
    assert_int_equal(feed.roles_n, 0);
    set_io(IO_BUFFERS, PIPEWIRE_NO_ID); /* none any more */
    assert_int_equal(feed.roles_n, 0);
    buffers(DIRECTION_OUTPUT, 5, 6, DATA_MEM_ID);
    assert_role(0, (struct service_role){.what = SERVICE_ROLE_SHARED, .memory = 1});
    assert_role(1, (struct service_role){.what = SERVICE_ROLE_SHARED, .memory = 2});
    buffers(DIRECTION_OUTPUT, 5, 6, 1); /* an offset, in the same memory */
    assert_int_equal(feed.roles_n, 1);
    buffers(DIRECTION_INPUT, 5, 6, DATA_MEM_ID); /* what others record, too */
    assert_int_equal(feed.roles_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_greeting, begin, end),
        cmocka_unit_test_setup_teardown(test_streams, begin, end),
        cmocka_unit_test_setup_teardown(test_other_factories, begin, end),
        cmocka_unit_test_setup_teardown(test_declined, begin, end),
        cmocka_unit_test_setup_teardown(test_recording, begin, end),
        cmocka_unit_test_setup_teardown(test_a_node_of_its_own, begin, end),
        cmocka_unit_test_setup_teardown(test_registry, begin, end),
        cmocka_unit_test_setup_teardown(test_who_the_server_is, begin, end),
        cmocka_unit_test_setup_teardown(test_numbers, begin, end),
        cmocka_unit_test_setup_teardown(test_descriptors_and_sizes, begin, end),
        cmocka_unit_test_setup_teardown(test_cut, begin, end),
        cmocka_unit_test_setup_teardown(test_nodes, begin, end),
        cmocka_unit_test_setup_teardown(test_itself_first, begin, end),
        cmocka_unit_test_setup_teardown(test_memory_that_is_missing, begin, end),
        cmocka_unit_test_setup_teardown(test_shared, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
