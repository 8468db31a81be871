/* SPDX-License-Identifier: MIT */
/* gpu_frontend: one command at a time, each waited for. */
#include "tests/unit/gpu/gpu_frontend.h"

static int connect_device(void *device, int fd, void (*closed)(void *user, int reason), void *user)
{
    return device_connect(device, fd, closed, user);
}

void gpu_frontend_init(struct fake_frontend *f, struct loop *loop, struct device *device)
{
    frontend_init(f, loop, 2, connect_device, device);
}

struct virtio_gpu_ctrl_hdr driver_answer(struct fake_frontend *f, unsigned i, unsigned slot)
{
    struct virtio_gpu_ctrl_hdr h;
    memcpy(&h, frontend_answer(f, i, slot), sizeof(h));
    return h;
}

uint32_t driver_command(struct fake_frontend *f, const void *command, size_t size)
{
    uint32_t written;
    unsigned slot = frontend_put(f, 0, command, size, SLOT_OUT);
    frontend_kick(f, 0);
    assert_int_equal(frontend_take(f, 0, &written), slot);
    assert_true(written >= sizeof(struct virtio_gpu_ctrl_hdr));
    return driver_answer(f, 0, slot).type;
}

uint32_t driver_create(struct fake_frontend *f, uint32_t id, uint32_t width, uint32_t height)
{
    struct virtio_gpu_resource_create_2d c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D},
                                              .resource_id = id,
                                              .format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
                                              .width = width,
                                              .height = height};
    return driver_command(f, &c, sizeof(c));
}

uint32_t driver_attach(struct fake_frontend *f, uint32_t id,
                       const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
    struct {
        struct virtio_gpu_resource_attach_backing c;
        struct virtio_gpu_mem_entry e[32];
    } all = {.c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING},
                   .resource_id = id,
                   .nr_entries = n}};
    memcpy(all.e, entries, n * sizeof(*entries));
    return driver_command(f, &all, sizeof(all.c) + n * sizeof(*entries));
}

uint32_t driver_simple(struct fake_frontend *f, uint32_t type, uint32_t id)
{
    struct virtio_gpu_resource_unref c = {.hdr = {.type = type}, .resource_id = id};
    return driver_command(f, &c, sizeof(c));
}

void driver_make(struct fake_frontend *f, uint32_t id, uint64_t first, uint64_t second)
{
    const struct virtio_gpu_mem_entry e[2] = {{.addr = first, .length = PAGE},
                                              {.addr = second, .length = PAGE}};
    assert_int_equal(driver_create(f, id, 64, 32), VIRTIO_GPU_RESP_OK_NODATA);
    assert_int_equal(driver_attach(f, id, e, 2), VIRTIO_GPU_RESP_OK_NODATA);
    assert_int_equal(driver_simple(f, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, id),
                     VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
}
