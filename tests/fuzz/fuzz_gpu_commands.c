/* SPDX-License-Identifier: MIT */
/* The guest's commands, one after the other: {u16 size, command}. Whatever they are, each is
 * answered, the table adds up, no resource reaches beyond the memory, and the renderer is not asked
 * for what makes no sense. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/commands.h"
#include "tests/support/renderer_fake.h"

#define PAGES 64u
#define PAGE 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    const struct guest_ram *ram;
    uint32_t n;
    uint64_t runs;
};

static void gone(void *user, struct resource *resource)
{
    (void)user;
    (void)resource;
}

static void check(void *user, struct resource *r)
{
    struct sum *sum = user;
    uint64_t at = 0;
    uint8_t byte;
    for (uint32_t i = 0; i < r->n_runs; i++) {
        if (r->runs[i].at != at || !guest_ram_at(sum->ram, r->runs[i].gpa, r->runs[i].size))
            abort();
        at += r->runs[i].size;
    }
    if (at != r->backing_size || at > sum->ram->size || r->id == 0)
        abort();
    if (at > 0 && resource_copy(r, sum->ram, at - 1, &byte, 1, false) < 0)
        abort();
    sum->n++;
    sum->runs += r->n_runs;
}

/* There is no device that would hear of it. */
static void transferred(void *user, const struct renderer_transfer *transfer, int result)
{
    struct commands *c = user;
    commands_3d_transferred(&c->drawing, &c->table, c->ram, transfer, result);
}

static const struct renderer_listener listener = {.transferred = transferred};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(8) uint8_t request[COMMANDS_REQUEST_MAX];
    struct commands commands;
    struct guest_ram ram = {0};
    int fd = fd_memfd("ram", PAGES * PAGE);
    if (fd < 0 || commands_init(&commands, gone, NULL) < 0 ||
        guest_ram_add(&ram, 0, PAGES / 2 * PAGE, 0, 0, dup(fd)) < 0 ||
        guest_ram_add(&ram, PAGES / 2 * PAGE, PAGES / 4 * PAGE, 1 << 30, PAGES / 2 * PAGE, fd) < 0)
        abort();
    commands.ram = &ram;
    commands.features = size & 1 ? COMMANDS_FEATURES : 0;
    if (size & 2) {
        commands.drawing.renderer = fake_renderer();
        fake.renderer.listener = &listener;
        fake.renderer.user = &commands;
        commands.features |= COMMANDS_3D_FEATURES;
    }
    while (size >= 2) {
        uint8_t response[COMMANDS_RESPONSE_MAX];
        struct resource *doomed = NULL;
        struct virtio_gpu_ctrl_hdr h;
        size_t n = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        n = n < size ? n : size;
        memset(request, 0, sizeof(struct virtio_gpu_set_scanout_blob));
        memcpy(request, data, n);
        data += n;
        size -= n;
        size_t answer = n % 7 == 0 ? commands_cursor(&commands, request, n, response)
                                   : commands_control(&commands, request, n, response, &doomed);
        memcpy(&h, response, sizeof(h));
        if (answer < sizeof(h) || answer > sizeof(response) || doomed ||
            h.type < VIRTIO_GPU_RESP_OK_NODATA)
            abort();
    }
    struct sum sum = {.ram = &ram};
    resources_each(&commands.table, check, &sum);
    if (sum.n != commands.table.n || sum.runs != commands.table.n_runs)
        abort();
    commands_finish(&commands);
    if (fake.n_contexts > 0 || fake.n_resources > 0)
        abort();
    guest_ram_finish(&ram);
    return 0;
}
