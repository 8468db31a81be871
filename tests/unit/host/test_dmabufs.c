/* SPDX-License-Identifier: MIT */
/* Memory that is a picture of the device's, or the guest's own, as the compositor is told of it: in
 * linux-dmabuf's words, while the guest's daemon speaks of pools. (A memfd stands for the dmabuf,
 * which nobody looks into here. What the compositor takes, this file decides in place of
 * trials.c.) */
#include "tests/unit/wayland/attacker.h"

#include <drm_fourcc.h>

#include "common/base/fourcc.h"
#include "host-proxy/pixels/dmabufs.h"
#include "host-proxy/pixels/import-note.h"
#include "host-proxy/pixels/trials.h"
#include "protocol/export.h"

#define SIZE (2u << 20)
#define DMABUF "zwp_linux_dmabuf_v1"
#define PARAMS "zwp_linux_buffer_params_v1"
#define DMABUF_GLOBAL 9

/* linux-dmabuf's opcodes. */
enum { DMABUF_FORMAT = 0, DMABUF_MODIFIER = 1, PARAMS_FAILED = 1 };
enum { SYNC = REGISTRY + 1, OUR_SHM, OUR_NEXT }; /* the first is taken for the object of ours */

static struct {
    struct dmabufs dmabufs;
    struct export_buffer picture;
    int fd;
    bool pages; /* it is the guest's memory instead */
    bool takes;
    struct export_buffer layout; /* that was asked about */
} D;

bool trials_takes(struct trials *trials, const struct export_buffer *layout, int fd)
{
    assert_null(trials);
    assert_true(fd >= 0);
    D.layout = *layout;
    return D.takes;
}

static void on_hidden(struct relay *r, const struct wl_message *m, const struct wl_iface *iface)
{
    (void)r;
    dmabufs_global(&D.dmabufs, m, iface);
}

static bool on_keep_id(struct relay *r, uint32_t id)
{
    return dmabufs_keep_id(&D.dmabufs, r, id);
}

static enum relay_verdict on_event(struct relay *r, const struct wl_message *m)
{
    return dmabufs_event(&D.dmabufs, r, m);
}

static enum relay_verdict create_pool_hook(struct relay *r, struct wl_message *m)
{
    return dmabufs_create_pool(&D.dmabufs, r, m);
}

static enum relay_verdict create_buffer_hook(struct relay *r, struct wl_message *m)
{
    return dmabufs_create_buffer(&D.dmabufs, NULL, r, m);
}

static enum relay_verdict destroy_pool_hook(struct relay *r, struct wl_message *m)
{
    return dmabufs_destroy_pool(&D.dmabufs, r, m);
}

static enum relay_verdict destroy_registry_hook(struct relay *r, struct wl_message *m)
{
    (void)r;
    dmabufs_destroy_registry(&D.dmabufs, m);
    return RELAY_PASS;
}

static relay_hook *const hooks[_WL_HOOK_N] = {
    [WL_HOOK_SHM_CREATE_POOL] = create_pool_hook,
    [WL_HOOK_POOL_CREATE_BUFFER] = create_buffer_hook,
    [WL_HOOK_POOL_RESIZE] = dmabufs_resize_pool,
    [WL_HOOK_POOL_DESTROY] = destroy_pool_hook,
    [WL_HOOK_DESTROY_REGISTRY] = destroy_registry_hook,
};

static int on_import(void *user, const struct link_import *import)
{
    (void)user;
    (void)import;
    return 0;
}

static void pages_gone(struct import_note *note)
{
    free(note);
}

static struct memory *on_memory(void *user, const struct link_mem_import *import)
{
    struct import_note *note = calloc(1, sizeof(*note));
    (void)user;
    *note = (struct import_note){
        .late = true, .picture = D.pages ? NULL : &D.picture, .gone = pages_gone};
    struct memory *m = memory_share(dup(D.fd), import->size, NULL);
    import_note_attach(m, note);
    return m;
}

static const struct gpu_memory_ops gpu_ops = {.import = on_import, .memory = on_memory};
static const struct relay_ops ops = {.hooks = hooks,
                                     .global = relays_global,
                                     .hidden = on_hidden,
                                     .keep_id = on_keep_id,
                                     .own_event = on_event,
                                     .ended = relays_ended,
                                     .gpu = &gpu_ops};

static void assert_words(const struct wl_message *m, const uint32_t *words, size_t n)
{
    assert_int_equal(m->size, WL_HEADER_SIZE + 4 * n);
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, m->bytes + WL_HEADER_SIZE + 4 * i, 4);
        assert_int_equal(word, words[i]);
    }
}
#define ASSERT_WORDS(m, ...)                                                                       \
    assert_words(m, (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4)

/* Frames to the guest with messages to @object and this opcode. */
static unsigned messages_to_guest(uint32_t object, uint16_t opcode)
{
    struct link_header header;
    const uint8_t *payload;
    unsigned n = 0;
    turn_times(R.loop, 10);
    while (attack_next_frame(&header, &payload)) {
        struct wl_message m;
        assert_int_equal(header.type, LINK_WAYLAND);
        for (size_t at = 0; at < header.size; at += m.size) {
            assert_int_equal(wl_message_header(payload + at, header.size - at, &m), WL_MESSAGE_OK);
            n += m.object == object && m.opcode == opcode;
        }
    }
    return n;
}

/* A client's beginning, on a compositor with linux-dmabuf of that version (0: without). */
static void begin(uint32_t version)
{
    relays_start(false, true);
    relays_use(R.host, &ops);
    attack_ready();
    ATTACK_MESSAGE(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", SYNC);
    attack_deliver();
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    wire_expect(&R.compositor, 1, "wl_display", "sync");
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", 1, "wl_shm", 1);
    if (version)
        wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", DMABUF_GLOBAL, DMABUF, version);
    wire_send(&R.compositor, SYNC, CALLBACK_DONE, "u", 77);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", SYNC);
}

static int setup(void **state)
{
    (void)state;
    memset(&D, 0, sizeof(D));
    D.picture = (struct export_buffer){.memory = EXPORT_MEMORY_HOST,
                                       .kind = EXPORT_KIND_DMABUF,
                                       .width = 64,
                                       .height = 64,
                                       .fourcc = DRM_FORMAT_ABGR8888,
                                       .modifier = 0x0123456789abcdef,
                                       .n_planes = 1,
                                       .offset = {4096},
                                       .stride = {1024}};
    D.fd = -1;
    return 0;
}

static int teardown(void **state)
{
    D.fd = fd_close(D.fd);
    return relays_stop(state);
}

/* The object of ours is there, and wl_shm is the client's. */
static void begin_with_shm(uint32_t version)
{
    begin(version);
    struct wl_message m = wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
    assert_int_equal(m.args[0].u, DMABUF_GLOBAL);
    assert_string_equal(m.args[1].n.interface, DMABUF);
    assert_int_equal(m.args[1].n.version, version < 4 ? version : 4);
    assert_int_equal(m.args[1].n.id, SYNC);
    ATTACK_MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 1, "wl_shm", 1, OUR_SHM);
    attack_deliver();
    wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
    D.fd = fd_memfd("picture", SIZE);
}

static void put_pool(uint32_t id)
{
    attack_n += link_import_encode(attack_bytes + attack_n, &(struct link_import){id, 7, SIZE});
    attack_n +=
        link_mem_import_encode(attack_bytes + attack_n, &(struct link_mem_import){id, id, SIZE});
    attack_memory(id, SIZE);
    ATTACK_MESSAGE(OUR_SHM, SHM_CREATE_POOL, "uu", OUR_NEXT, SIZE);
}

static void put_buffer(uint32_t id, uint32_t width, uint32_t format)
{
    ATTACK_MESSAGE(OUR_NEXT, POOL_CREATE_BUFFER, "uuuuuu", id, 0, width, 64, 256, format);
}

static void expect_buffer(uint32_t id, uint32_t width, uint32_t fourcc)
{
    struct stat a, b;
    struct wl_message m = wire_expect(&R.compositor, SYNC, DMABUF, "create_params");
    ASSERT_WORDS(&m, OUR_NEXT);
    m = wire_expect(&R.compositor, OUR_NEXT, PARAMS, "add");
    ASSERT_WORDS(&m, 0, 4096, 1024, 0x01234567, 0x89abcdef);
    int fd = wire_fd(&R.compositor);
    assert_true(fstat(fd, &a) == 0 && fstat(D.fd, &b) == 0 && a.st_ino == b.st_ino);
    fd_close(fd);
    m = wire_expect(&R.compositor, OUR_NEXT, PARAMS, "create_immed");
    ASSERT_WORDS(&m, id, width, 64, fourcc, 0);
    assert_int_equal(R.compositor.fds_n, 0);
}

static void expect_end(const char *why)
{
    turn_until(R.loop, attack_error_came, NULL);
    if (!strstr(attack_reason, why))
        fail_msg("ended with \"%s\", not \"%s\"", attack_reason, why);
}

static void test_a_buffer(void **state)
{
    (void)state;
    begin_with_shm(3);
    put_pool(1);
    put_buffer(OUR_NEXT + 1, 60, 1);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    expect_buffer(OUR_NEXT + 1, 60, DRM_FORMAT_XBGR8888); /* the guest wants no alpha */
    struct wl_message m = wire_expect(&R.compositor, OUR_NEXT, PARAMS, "destroy");
    ASSERT_WORDS(&m);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", OUR_NEXT);
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 1); /* the pool's, and not ours */
    wire_send(&R.compositor, OUR_NEXT + 1, BUFFER_RELEASE, "");
    assert_int_equal(messages_to_guest(OUR_NEXT + 1, BUFFER_RELEASE), 1);
}

static void test_a_buffer_with_alpha(void **state)
{
    (void)state;
    begin_with_shm(5);
    put_pool(1);
    put_buffer(OUR_NEXT + 1, 64, 0);
    attack_deliver();
    expect_buffer(OUR_NEXT + 1, 64, DRM_FORMAT_ABGR8888);
}

/* As guest-proxy does it: a pool of its own first, which the import's replaces. */
static void replace_pool(void)
{
    attack_memory(1, SIZE);
    ATTACK_MESSAGE(OUR_SHM, SHM_CREATE_POOL, "uu", OUR_NEXT, SIZE);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_n += link_import_encode(attack_bytes + attack_n, &(struct link_import){1, 7, SIZE});
    attack_n +=
        link_mem_import_encode(attack_bytes + attack_n, &(struct link_mem_import){2, 1, SIZE});
    attack_memory(2, SIZE);
    ATTACK_MESSAGE(OUR_SHM, SHM_CREATE_POOL, "uu", OUR_NEXT, SIZE);
}

static void expect_replaced(void)
{
    wire_expect(&R.compositor, OUR_SHM, "wl_shm", "create_pool");
    fd_close(wire_fd(&R.compositor));
    wire_expect(&R.compositor, OUR_NEXT, "wl_shm_pool", "destroy");
}

static void test_a_pool_that_was_another(void **state)
{
    (void)state;
    begin_with_shm(4);
    replace_pool();
    put_buffer(OUR_NEXT + 1, 64, 0);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    expect_replaced();
    expect_buffer(OUR_NEXT + 1, 64, DRM_FORMAT_ABGR8888);
    wire_expect(&R.compositor, OUR_NEXT, PARAMS, "destroy");
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", OUR_NEXT);
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 0);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", OUR_NEXT);
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 1);
}

/* --- the guest's own memory --- */

static void begin_with_pages(bool takes)
{
    begin_with_shm(4);
    D.pages = true;
    D.takes = takes;
    /* Where the dmabuf's rows are is the guest's to say. */
    D.picture = (struct export_buffer){0};
}

static void test_pages_that_are_taken(void **state)
{
    (void)state;
    begin_with_pages(true);
    replace_pool();
    ATTACK_MESSAGE(OUR_NEXT, POOL_CREATE_BUFFER, "uuuuuu", OUR_NEXT + 1, 512, 500, 600, 2048, 1);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    expect_replaced();
    struct wl_message m = wire_expect(&R.compositor, SYNC, DMABUF, "create_params");
    ASSERT_WORDS(&m, OUR_NEXT);
    m = wire_expect(&R.compositor, OUR_NEXT, PARAMS, "add");
    ASSERT_WORDS(&m, 0, 512, 2048, 0, 0);
    fd_close(wire_fd(&R.compositor));
    m = wire_expect(&R.compositor, OUR_NEXT, PARAMS, "create_immed");
    ASSERT_WORDS(&m, OUR_NEXT + 1, 500, 600, DRM_FORMAT_XRGB8888, 0);
    wire_expect(&R.compositor, OUR_NEXT, PARAMS, "destroy");
    assert_true(D.layout.width == 500 && D.layout.height == 600 && D.layout.offset[0] == 512 &&
                D.layout.stride[0] == 2048 && D.layout.fourcc == DRM_FORMAT_XRGB8888);
}

static void expect_pool_and_buffer(void)
{
    struct stat a, b;
    wire_expect(&R.compositor, OUR_SHM, "wl_shm", "create_pool");
    int fd = wire_fd(&R.compositor);
    assert_true(fstat(fd, &a) == 0 && fstat(D.fd, &b) == 0 && a.st_ino == b.st_ino);
    fd_close(fd);
    wire_expect(&R.compositor, OUR_NEXT, "wl_shm_pool", "create_buffer");
    wire_expect(&R.compositor, OUR_NEXT, "wl_shm_pool", "destroy");
}

static void test_pages_that_are_not_taken(void **state)
{
    (void)state;
    begin_with_pages(false);
    replace_pool();
    ATTACK_MESSAGE(OUR_NEXT, POOL_CREATE_BUFFER, "uuuuuu", OUR_NEXT + 1, 0, 500, 600, 2048, 1);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    expect_replaced();
    expect_pool_and_buffer();
    assert_int_equal(D.layout.width, 500); /* it was asked about */
}

static void test_rows_that_gpus_do_not_read(void **state)
{
    (void)state;
    begin_with_pages(true);
    replace_pool();
    ATTACK_MESSAGE(OUR_NEXT, POOL_CREATE_BUFFER, "uuuuuu", OUR_NEXT + 1, 0, 500, 600, 2052, 1);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    expect_replaced();
    expect_pool_and_buffer();
    assert_int_equal(D.layout.width, 0);
}

static void test_a_buffer_that_may_be_an_icon(void **state)
{
    (void)state;
    begin_with_pages(true);
    replace_pool();
    ATTACK_MESSAGE(OUR_NEXT, POOL_CREATE_BUFFER, "uuuuuu", OUR_NEXT + 1, 0, 512, 512, 2048, 0);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    expect_replaced();
    expect_pool_and_buffer();
    assert_int_equal(D.layout.width, 0);
}

/* The compositor would miss its id if it heard of the pool late. */
static void test_pages_in_a_pool_with_a_new_id(void **state)
{
    (void)state;
    begin_with_pages(true);
    put_pool(1);
    ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", OUR_NEXT + 1);
    put_buffer(OUR_NEXT + 2, 64, 1);
    attack_deliver();
    wire_expect(&R.compositor, OUR_SHM, "wl_shm", "create_pool");
    wire_expect(&R.compositor, 1, "wl_display", "sync");
    wire_expect(&R.compositor, OUR_NEXT, "wl_shm_pool", "create_buffer");
}

static void test_pages_without_a_buffer(void **state)
{
    (void)state;
    begin_with_pages(true);
    replace_pool();
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    expect_replaced();
    wire_expect(&R.compositor, SYNC, DMABUF, "create_params");
    wire_expect(&R.compositor, OUR_NEXT, PARAMS, "destroy"); /* so its id becomes free */
}

static void test_other_memory_is_a_pool(void **state)
{
    (void)state;
    begin_with_shm(4);
    attack_memory(1, SIZE);
    ATTACK_MESSAGE(OUR_SHM, SHM_CREATE_POOL, "uu", OUR_NEXT, SIZE);
    put_buffer(OUR_NEXT + 1, 64, 0);
    ATTACK_MESSAGE(OUR_NEXT, POOL_RESIZE, "u", SIZE);
    ATTACK_MESSAGE(OUR_NEXT, POOL_DESTROY, "");
    attack_deliver();
    wire_expect(&R.compositor, OUR_SHM, "wl_shm", "create_pool");
    wire_expect(&R.compositor, OUR_NEXT, "wl_shm_pool", "create_buffer");
    wire_expect(&R.compositor, OUR_NEXT, "wl_shm_pool", "resize");
    wire_expect(&R.compositor, OUR_NEXT, "wl_shm_pool", "destroy");
}

/* What it tells of formats is for us, and so is the global. */
static void test_the_guest_hears_nothing_of_it(void **state)
{
    (void)state;
    begin_with_shm(3);
    wire_send(&R.compositor, SYNC, DMABUF_FORMAT, "u", DRM_FORMAT_XRGB8888);
    wire_send(&R.compositor, SYNC, DMABUF_MODIFIER, "uuu", DRM_FORMAT_XRGB8888, 0, 0);
    struct link_header header;
    const uint8_t *payload;
    turn_times(R.loop, 10);
    unsigned globals = 0, others = 0;
    while (attack_next_frame(&header, &payload)) {
        struct wl_message m;
        for (size_t at = 0; at < header.size; at += m.size) {
            assert_int_equal(wl_message_header(payload + at, header.size - at, &m), WL_MESSAGE_OK);
            globals += m.object == REGISTRY;
            others += m.object != REGISTRY;
        }
    }
    assert_int_equal(globals, 1); /* wl_shm */
    assert_int_equal(others, 1);  /* the callback's, but not that its id is free */
}

/* For the guest the id is that of an object which it destroyed. */
static void test_nobody_else_uses_our_object(void **state)
{
    (void)state;
    begin_with_shm(4);
    ATTACK_MESSAGE(SYNC, 1, "u", OUR_NEXT);
    attack_deliver();
    expect_end("it is destroyed");
}

static void test_nobody_makes_our_object(void **state)
{
    (void)state;
    begin_with_shm(4);
    ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", SYNC);
    attack_deliver();
    expect_end("id already in use");
}

static void test_one_buffer_only(void **state)
{
    (void)state;
    begin_with_shm(4);
    put_pool(1);
    put_buffer(OUR_NEXT + 1, 64, 0);
    put_buffer(OUR_NEXT + 2, 64, 0);
    attack_deliver();
    expect_end("a picture is one buffer");
}

static void test_a_buffer_that_leaves_the_picture(void **state)
{
    (void)state;
    begin_with_shm(4);
    put_pool(1);
    ATTACK_MESSAGE(OUR_NEXT, POOL_CREATE_BUFFER, "uuuuuu", OUR_NEXT + 1, 0, 64, 40960, 256, 0);
    attack_deliver();
    expect_end("it leaves the picture");
}

static void test_a_picture_does_not_grow(void **state)
{
    (void)state;
    begin_with_shm(4);
    put_pool(1);
    ATTACK_MESSAGE(OUR_NEXT, POOL_RESIZE, "u", SIZE);
    attack_deliver();
    expect_end("it is one buffer's memory");
}

static void test_a_compositor_that_fails_after_all(void **state)
{
    (void)state;
    begin_with_shm(4);
    put_pool(1);
    put_buffer(OUR_NEXT + 1, 64, 0);
    attack_deliver();
    expect_buffer(OUR_NEXT + 1, 64, DRM_FORMAT_ABGR8888);
    wire_send(&R.compositor, OUR_NEXT, PARAMS_FAILED, "");
    expect_end("does not take a dmabuf");
}

/* There is none to be had: the id is the client's as ever. */
static void test_a_compositor_without_dmabufs(void **state)
{
    (void)state;
    begin(0);
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 1);
    wire_expect_nothing(&R.compositor);
    assert_int_equal(D.dmabufs.id, 0);
}

static void test_a_compositor_of_old(void **state)
{
    (void)state;
    begin(1); /* without create_immed */
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 1);
    assert_int_equal(D.dmabufs.id, 0);
}

/* Somebody may wait for the end of what came before. */
static void test_a_client_that_has_memory_keeps_its_ids(void **state)
{
    (void)state;
    relays_start(false, true);
    relays_use(R.host, &ops);
    attack_ready();
    ATTACK_MESSAGE(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    attack_deliver();
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", 1, "wl_shm", 1);
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", DMABUF_GLOBAL, DMABUF, 4);
    turn_times(R.loop, 5);
    ATTACK_MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 1, "wl_shm", 1, SHM);
    attack_memory(1, SIZE);
    ATTACK_MESSAGE(SHM, SHM_CREATE_POOL, "uu", SHM + 1, SIZE);
    ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", SHM + 2);
    attack_deliver();
    wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
    wire_expect(&R.compositor, SHM, "wl_shm", "create_pool");
    wire_expect(&R.compositor, 1, "wl_display", "sync");
    wire_send(&R.compositor, SHM + 2, CALLBACK_DONE, "u", 1);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", SHM + 2);
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 1);
    assert_int_equal(D.dmabufs.id, 0);
    /* Nor later, when it has none: its registry may be gone by then. */
    ATTACK_MESSAGE(SHM + 1, POOL_DESTROY, "");
    attack_with_id(LINK_VFD_CLOSE, 1);
    ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", SHM + 2);
    attack_deliver();
    wire_expect(&R.compositor, SHM + 1, "wl_shm_pool", "destroy");
    wire_expect(&R.compositor, 1, "wl_display", "sync");
    wire_send(&R.compositor, SHM + 2, CALLBACK_DONE, "u", 1);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", SHM + 2);
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 1);
    assert_null(relays_memory(R.host));
    assert_int_equal(D.dmabufs.id, 0);
    fd_close(wire_fd(&R.compositor));
}

static void test_a_registry_that_is_gone(void **state)
{
    (void)state;
    relays_start(false, true);
    if (!wl_iface_find("wl_fixes", strlen("wl_fixes")))
        skip(); /* this build's XML is older */
    relays_use(R.host, &ops);
    attack_ready();
    ATTACK_MESSAGE(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    attack_deliver();
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", 1, "wl_fixes", 1);
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", DMABUF_GLOBAL, DMABUF, 4);
    turn_times(R.loop, 5);
    ATTACK_MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 1, "wl_fixes", 1, SHM);
    ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", SHM + 1);
    ATTACK_MESSAGE(SHM, 1, "u", REGISTRY); /* destroy_registry */
    attack_deliver();
    wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
    wire_expect(&R.compositor, 1, "wl_display", "sync");
    wire_expect(&R.compositor, SHM, "wl_fixes", "destroy_registry");
    wire_send(&R.compositor, SHM + 1, CALLBACK_DONE, "u", 1);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", SHM + 1);
    assert_int_equal(messages_to_guest(1, DISPLAY_DELETE_ID), 1);
    assert_int_equal(D.dmabufs.id, 0);
}

static void test_formats(void **state)
{
    (void)state;
    assert_int_equal(fourcc_with_alpha(DRM_FORMAT_XRGB8888, true), DRM_FORMAT_ARGB8888);
    assert_int_equal(fourcc_with_alpha(DRM_FORMAT_XRGB8888, false), DRM_FORMAT_XRGB8888);
    assert_int_equal(fourcc_with_alpha(DRM_FORMAT_RGB565, true), DRM_FORMAT_RGB565);
    assert_int_equal(fourcc_with_alpha(DRM_FORMAT_NV12, true), 0);
    assert_true(fourcc_has_alpha(DRM_FORMAT_BGRA8888));
    assert_false(fourcc_has_alpha(DRM_FORMAT_BGRX8888));
    assert_false(fourcc_has_alpha(DRM_FORMAT_RGB565));
    assert_true(fourcc_alike(DRM_FORMAT_XRGB8888, DRM_FORMAT_RGBA8888));
    assert_false(fourcc_alike(DRM_FORMAT_XRGB8888, DRM_FORMAT_XRGB2101010));
    assert_false(fourcc_alike(DRM_FORMAT_NV12, DRM_FORMAT_NV12));
    assert_int_equal(fourcc_cpp(DRM_FORMAT_ABGR16161616F), 8);
    assert_int_equal(fourcc_cpp(DRM_FORMAT_NV12), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_buffer),
        TEST(test_a_buffer_with_alpha),
        TEST(test_a_pool_that_was_another),
        TEST(test_pages_that_are_taken),
        TEST(test_pages_that_are_not_taken),
        TEST(test_rows_that_gpus_do_not_read),
        TEST(test_a_buffer_that_may_be_an_icon),
        TEST(test_pages_in_a_pool_with_a_new_id),
        TEST(test_pages_without_a_buffer),
        TEST(test_other_memory_is_a_pool),
        TEST(test_the_guest_hears_nothing_of_it),
        TEST(test_nobody_else_uses_our_object),
        TEST(test_nobody_makes_our_object),
        TEST(test_one_buffer_only),
        TEST(test_a_buffer_that_leaves_the_picture),
        TEST(test_a_picture_does_not_grow),
        TEST(test_a_compositor_that_fails_after_all),
        TEST(test_a_compositor_without_dmabufs),
        TEST(test_a_compositor_of_old),
        TEST(test_a_client_that_has_memory_keeps_its_ids),
        TEST(test_a_registry_that_is_gone),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
