/* SPDX-License-Identifier: MIT */
/* A guest may have several virtio-gpus, and may be told lies about them by nobody but itself: the
 * host sends a nonce, we put it into a resource, and the host finds it there through the VM's own
 * device. So both know which device is meant. */
#include "guest-proxy/pixels/gpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "guest-proxy/pixels/file-udmabuf.h"

struct search {
    struct gpu *gpu;
    char error[256]; /* of a virtio-gpu that could not be opened */
};

static void found(void *user, const char *path)
{
    struct search *search = user;
    struct gpu *gpu = search->gpu;
    char error[256];
    struct virtgpu *device =
        gpu->n < GPU_DEVICES_MAX ? virtgpu_open(path, error, sizeof(error)) : NULL;
    if (device)
        gpu->devices[gpu->n++] = device;
    else if (gpu->n < GPU_DEVICES_MAX && errno != ENODEV)
        snprintf(search->error, sizeof(search->error), "%s", error);
}

/* Opens what was chosen. -errno, with a message, if that is a node that does not serve. */
static int open_devices(struct gpu *gpu, char *error, size_t error_size)
{
    gpu->n = 0;
    if (strcmp(gpu->choice, "auto") != 0) {
        gpu->devices[0] = virtgpu_open(gpu->choice, error, error_size);
        gpu->n = gpu->devices[0] ? 1 : 0;
        return gpu->n ? 0 : -errno;
    }
    struct search search = {.gpu = gpu};
    virtgpu_each_node(found, &search);
    snprintf(error, error_size, "%s",
             *search.error ? search.error : "this VM has no virtio-gpu with a render node");
    return 0;
}

int gpu_init(struct gpu *gpu, const char *choice, char *error, size_t error_size)
{
    *gpu = (struct gpu){.udmabuf = -1};
    if (strcmp(choice, "off") == 0) {
        snprintf(gpu->why, sizeof(gpu->why), "--gpu off");
        return 0;
    }
    gpu->choice = choice;
    int e = open_devices(gpu, error, error_size);
    snprintf(gpu->why, sizeof(gpu->why), "%s", gpu->n ? "the host has not looked yet" : error);
    return e;
}

bool gpu_is_away(const struct gpu *gpu)
{
    for (size_t i = 0; i < gpu->n; i++)
        if (!virtgpu_alive(gpu->devices[i]))
            return true;
    return false;
}

/* A driver that leaves takes the devices with it that were open, for good. */
static void look_again(struct gpu *gpu)
{
    struct gpu now = {.choice = gpu->choice};
    char error[256];
    if (!gpu_is_away(gpu))
        return;
    if (open_devices(&now, error, sizeof(error)) < 0 || now.n == 0)
        return; /* not yet */
    for (size_t i = 0; i < gpu->n; i++)
        virtgpu_close(gpu->devices[i]);
    memcpy(gpu->devices, now.devices, sizeof(gpu->devices));
    gpu->n = now.n;
}

void gpu_finish(struct gpu *gpu)
{
    virtgpu_buffer_destroy(&gpu->probe);
    for (size_t i = 0; i < gpu->n; i++)
        virtgpu_close(gpu->devices[i]);
    gpu->n = 0;
    gpu->bound = false;
    gpu->udmabuf = fd_close(gpu->udmabuf);
}

/* Whether a client's sealed memfd can be a resource; some kernels make none of another's memory. */
static bool takes_files(struct gpu *gpu, struct virtgpu *device)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct virtgpu_buffer buffer;
    if (gpu->udmabuf < 0) {
        int e = udmabuf_open();
        gpu->udmabuf = e < 0 ? -1 : e;
    }
    _cleanup_(fd_closep) int file = gpu->udmabuf < 0 ? -1 : fd_memfd("wayvsock-trial", page);
    if (file < 0 || fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
        return false;
    _cleanup_(fd_closep) int dmabuf = udmabuf_of_file(gpu->udmabuf, file, 0, page, -1);
    if (dmabuf < 0 || virtgpu_buffer_import(device, dmabuf, page, &buffer) < 0)
        return false;
    virtgpu_buffer_destroy(&buffer);
    return true;
}

static uint32_t try_device(struct gpu *gpu, const uint8_t nonce[LINK_NONCE_SIZE])
{
    for (; gpu->at < gpu->n; gpu->at++) {
        int e = virtgpu_buffer_create(gpu->devices[gpu->at], LINK_NONCE_SIZE, &gpu->probe);
        if (e == 0) {
            memcpy(gpu->probe.map, nonce, LINK_NONCE_SIZE);
            return gpu->probe.resource;
        }
        snprintf(gpu->why, sizeof(gpu->why), "%s gives no memory: %s",
                 virtgpu_path(gpu->devices[gpu->at]), strerror(-e));
    }
    return 0;
}

uint32_t gpu_probe(struct gpu *gpu, const uint8_t nonce[LINK_NONCE_SIZE])
{
    gpu_unbind(gpu, gpu->n ? "the host is looking" : gpu->why);
    gpu->at = 0;
    look_again(gpu);
    return try_device(gpu, nonce);
}

uint32_t gpu_answer(struct gpu *gpu, bool bound, const char *why)
{
    if (!gpu->probe.gpu || bound) { /* an answer that nobody asked for is bad news, or none */
        bool answer = gpu->probe.gpu && bound;
        virtgpu_buffer_destroy(&gpu->probe);
        if (!answer) {
            gpu_unbind(gpu, why);
            return 0;
        }
        gpu->bound = true;
        gpu->serial++;
        gpu->why[0] = 0;
        gpu->takes_files = takes_files(gpu, gpu->devices[gpu->at]);
        log_info(NULL, "the host looks into %s: pixels do not cross the link; %s",
                 virtgpu_path(gpu->devices[gpu->at]), gpu_how(gpu));
        return 0;
    }
    uint8_t nonce[LINK_NONCE_SIZE];
    memcpy(nonce, gpu->probe.map, sizeof(nonce));
    log_debug(NULL, "the host does not find its nonce in %s: %s",
              virtgpu_path(gpu->devices[gpu->at]), why);
    snprintf(gpu->why, sizeof(gpu->why), "%s", why);
    virtgpu_buffer_destroy(&gpu->probe);
    gpu->at++;
    return try_device(gpu, nonce);
}

void gpu_unbind(struct gpu *gpu, const char *why)
{
    char text[sizeof(gpu->why)];
    snprintf(text, sizeof(text), "%s", why);
    memcpy(gpu->why, text, sizeof(text));
    virtgpu_buffer_destroy(&gpu->probe);
    if (gpu->bound)
        gpu->serial++;
    gpu->bound = false;
}

struct virtgpu *gpu_device(const struct gpu *gpu)
{
    return gpu && gpu->bound ? gpu->devices[gpu->at] : NULL;
}

const char *gpu_how(const struct gpu *gpu)
{
    if (gpu->takes_files)
        return "shared memory that its client has sealed is not copied in the guest, other is";
    return gpu->udmabuf < 0
               ? "shared memory is copied within the guest (no access to /dev/udmabuf)"
               : "shared memory is copied within the guest (the kernel's driver imports none)";
}
