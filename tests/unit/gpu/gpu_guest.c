/* SPDX-License-Identifier: MIT */
/* Every command is in memory of its own size, so that a sanitizer sees who reads beyond it. */
#include "tests/unit/gpu/gpu_guest.h"

uint8_t guest_response[COMMANDS_RESPONSE_MAX];

static void on_gone(void *user, struct resource *resource)
{
    struct world *w = user;
    w->last_gone = resource;
    w->n_gone++;
}

int commands_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    int fd = fd_memfd("ram", 2 * REGION);
    assert_true(fd >= 0);
    w->bytes = mmap(NULL, 2 * REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_int_equal(guest_ram_add(&w->ram, LOW, REGION, 0x1000, 0, dup(fd)), 0);
    assert_int_equal(guest_ram_add(&w->ram, HIGH, REGION, 0x40000000, REGION, fd), 0);
    assert_int_equal(commands_init(&w->commands, on_gone, w), 0);
    w->commands.ram = &w->ram;
    w->commands.features = COMMANDS_FEATURES;
    *state = w;
    return 0;
}

int commands_teardown(void **state)
{
    struct world *w = *state;
    commands_finish(&w->commands);
    guest_ram_finish(&w->ram);
    munmap(w->bytes, 2 * REGION);
    free(w);
    return 0;
}

uint32_t execute_held(struct world *w, const void *command, size_t size,
                      struct resource **ret_doomed)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, command, size);
    /* The device hands over a buffer of the largest size; what is not there is not looked at. */
    uint8_t *request = calloc(1, size < 256 ? 256 : size);
    memcpy(request, exact, size);
    size_t n = commands_control(&w->commands, request, size, guest_response, ret_doomed);
    struct virtio_gpu_ctrl_hdr h;
    assert_true(n >= sizeof(h) && n <= COMMANDS_RESPONSE_MAX);
    memcpy(&h, guest_response, sizeof(h));
    free(request);
    free(exact);
    return h.type;
}

uint32_t execute(struct world *w, const void *command, size_t size)
{
    struct resource *doomed;
    uint32_t type = execute_held(w, command, size, &doomed);
    assert_null(doomed);
    return type;
}

uint32_t create_2d(struct world *w, uint32_t id, uint32_t width, uint32_t height, uint32_t format)
{
    struct virtio_gpu_resource_create_2d c = {HDR(RESOURCE_CREATE_2D), .resource_id = id,
                                              .format = format, .width = width, .height = height};
    return execute(w, &c, sizeof(c));
}

uint32_t unref(struct world *w, uint32_t id)
{
    struct virtio_gpu_resource_unref c = {HDR(RESOURCE_UNREF), .resource_id = id};
    return execute(w, &c, sizeof(c));
}

uint32_t detach(struct world *w, uint32_t id)
{
    struct virtio_gpu_resource_detach_backing c = {HDR(RESOURCE_DETACH_BACKING), .resource_id = id};
    return execute(w, &c, sizeof(c));
}

uint32_t attach_claiming(struct world *w, uint32_t id, const struct virtio_gpu_mem_entry *entries,
                         uint32_t listed, uint32_t claimed)
{
    struct virtio_gpu_resource_attach_backing c = {HDR(RESOURCE_ATTACH_BACKING), .resource_id = id,
                                                   .nr_entries = claimed};
    uint8_t *all = malloc(sizeof(c) + listed * sizeof(*entries));
    memcpy(all, &c, sizeof(c));
    if (listed)
        memcpy(all + sizeof(c), entries, listed * sizeof(*entries));
    uint32_t type = execute(w, all, sizeof(c) + listed * sizeof(*entries));
    free(all);
    return type;
}

uint32_t attach(struct world *w, uint32_t id, const struct virtio_gpu_mem_entry *entries,
                uint32_t n)
{
    return attach_claiming(w, id, entries, n, n);
}

uint32_t create_blob(struct world *w, struct virtio_gpu_resource_create_blob c,
                     const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
    uint8_t *all = malloc(sizeof(c) + n * sizeof(*entries));
    c.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB;
    memcpy(all, &c, sizeof(c));
    if (n)
        memcpy(all + sizeof(c), entries, n * sizeof(*entries));
    uint32_t type = execute(w, all, sizeof(c) + n * sizeof(*entries));
    free(all);
    return type;
}
