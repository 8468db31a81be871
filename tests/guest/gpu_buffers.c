/* SPDX-License-Identifier: MIT */
/* gpu_buffers: makes buffers on the guest's virtio-gpu as it is told over vsock, line by line;
 * every line is answered with "ok …" or "error …". Buffers have names, small numbers.
 *
 *   open                      → ok NODE; of the first virtio-gpu
 *   close
 *   create B WIDTH HEIGHT     → ok RESOURCE SIZE; a 2D resource of the driver's memory
 *   blob B SIZE FLAGS         → ok RESOURCE SIZE; a guest blob
 *   import B SIZE SEED        → ok RESOURCE SIZE; a memfd, filled, through udmabuf
 *   share B                   the buffer is exported as a dmabuf (and that closed)
 *   fill B SEED
 *   write B OFFSET HEX
 *   sum B                     → ok FNV-1a of its bytes
 *   drop B
 *   flood N                   → ok CREATED; so many small resources, until it fails
 *   drain                     drops them again
 *   rebind                    the driver leaves the device and takes it again */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <drm.h>
#include <linux/udmabuf.h>
#include <linux/vm_sockets.h>
#include <virtgpu_drm.h>

/* Newer than some systems' headers. */
struct create_blob {
    uint32_t blob_mem, blob_flags, bo_handle, res_handle;
    uint64_t size;
    uint32_t pad, cmd_size;
    uint64_t cmd, blob_id;
};
#define IOCTL_CREATE_BLOB DRM_IOWR(DRM_COMMAND_BASE + 0x0a, struct create_blob)
#define BLOB_MEM_GUEST 1

#define BUFFERS 64
#define FLOOD_MAX 70000

struct buffer {
    uint32_t handle, resource;
    uint64_t size;
    uint8_t *bytes;
    int memfd, dmabuf;
};

static struct buffer buffers[BUFFERS];
static uint32_t flood[FLOOD_MAX];
static unsigned n_flood;
static int drm = -1;
static FILE *out;

static void answer_errno(const char *what)
{
    fprintf(out, "error %s: %s\n", what, strerror(errno));
}

static bool is_virtio(int fd)
{
    char name[32] = "";
    struct drm_version version = {.name = name, .name_len = sizeof(name) - 1};
    return ioctl(fd, DRM_IOCTL_VERSION, &version) == 0 && strcmp(name, "virtio_gpu") == 0;
}

static void open_device(void)
{
    for (int node = 128; node < 144; node++) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/dri/renderD%d", node);
        drm = open(path, O_RDWR | O_CLOEXEC);
        if (drm >= 0 && is_virtio(drm)) {
            fprintf(out, "ok %s\n", path);
            return;
        }
        if (drm >= 0)
            close(drm);
    }
    drm = -1;
    fprintf(out, "error there is no virtio-gpu\n");
}

static void drop(struct buffer *b)
{
    struct drm_gem_close c = {.handle = b->handle};
    if (b->bytes)
        munmap(b->bytes, b->size);
    if (b->handle)
        ioctl(drm, DRM_IOCTL_GEM_CLOSE, &c);
    if (b->dmabuf > 0)
        close(b->dmabuf);
    if (b->memfd > 0)
        close(b->memfd);
    memset(b, 0, sizeof(*b));
}

static bool map(struct buffer *b)
{
    struct drm_virtgpu_map m = {.handle = b->handle};
    if (ioctl(drm, DRM_IOCTL_VIRTGPU_MAP, &m) < 0)
        return false;
    void *bytes = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, drm, (off_t)m.offset);
    b->bytes = bytes == MAP_FAILED ? NULL : bytes;
    return b->bytes;
}

static void made(struct buffer *b)
{
    fprintf(out, "ok %u %" PRIu64 "\n", b->resource, b->size);
}

static int create_2d(struct buffer *b, uint32_t width, uint32_t height)
{
    struct drm_virtgpu_resource_create c = {.target = 2,
                                            .format = 1,
                                            .bind = 1 << 1,
                                            .width = width,
                                            .height = height,
                                            .depth = 1,
                                            .array_size = 1,
                                            .size = width * height * 4,
                                            .stride = width * 4};
    if (ioctl(drm, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &c) < 0)
        return -1;
    b->handle = c.bo_handle;
    b->resource = c.res_handle;
    b->size = ((uint64_t)c.size + 4095) & ~4095ull;
    return 0;
}

static int create_blob(struct buffer *b, uint64_t size, uint32_t flags)
{
    struct create_blob c = {.blob_mem = BLOB_MEM_GUEST, .blob_flags = flags, .size = size};
    if (ioctl(drm, IOCTL_CREATE_BLOB, &c) < 0)
        return -1;
    b->handle = c.bo_handle;
    b->resource = c.res_handle;
    b->size = size;
    return 0;
}

static void fill(uint8_t *bytes, uint64_t size, uint32_t seed)
{
    for (uint64_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

static void import(struct buffer *b, uint64_t size, uint32_t seed)
{
    int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    b->memfd = memfd_create("buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    b->size = size;
    if (ftruncate(b->memfd, (off_t)size) < 0 || fcntl(b->memfd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
        answer_errno("memfd");
        return;
    }
    b->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, b->memfd, 0);
    fill(b->bytes, size, seed);
    struct udmabuf_create c = {
        .memfd = (uint32_t)b->memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size};
    b->dmabuf = ioctl(device, UDMABUF_CREATE, &c);
    close(device);
    if (b->dmabuf < 0) {
        answer_errno("udmabuf");
        return;
    }
    struct drm_prime_handle p = {.fd = b->dmabuf};
    struct drm_virtgpu_resource_info info = {0};
    if (ioctl(drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &p) < 0) {
        answer_errno("import");
        return;
    }
    b->handle = info.bo_handle = p.handle;
    if (ioctl(drm, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info) < 0) {
        answer_errno("info");
        return;
    }
    b->resource = info.res_handle;
    /* The kernel queues the import and does not tell the device; any other command does. */
    struct buffer kick = {0};
    if (create_blob(&kick, 4096, 1) == 0)
        drop(&kick);
    made(b);
}

static void share(struct buffer *b)
{
    struct drm_prime_handle p = {.handle = b->handle, .flags = DRM_CLOEXEC | DRM_RDWR};
    if (ioctl(drm, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p) < 0) {
        answer_errno("share");
        return;
    }
    close(p.fd);
    fprintf(out, "ok\n");
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        answer_errno(path);
    else
        fprintf(out, "ok\n");
    if (fd >= 0)
        close(fd);
}

static void rebind(void)
{
    char name[300] = "", path[] = "/sys/bus/virtio/drivers/virtio_gpu";
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (strncmp(e->d_name, "virtio", 6) == 0)
            snprintf(name, sizeof(name), "%s", e->d_name);
    }
    if (folder)
        closedir(folder);
    char *buffer = NULL;
    size_t size;
    FILE *real = out, *scratch = open_memstream(&buffer, &size);
    out = scratch;
    write_file("/sys/bus/virtio/drivers/virtio_gpu/unbind", name);
    write_file("/sys/bus/virtio/drivers/virtio_gpu/bind", name);
    fclose(scratch);
    out = real;
    fprintf(out, strstr(buffer, "error") ? "error rebinding %s\n" : "ok %s\n", name);
    free(buffer);
}

static void execute(char *line)
{
    char word[16] = "", hex[200] = "";
    uint64_t n = 0, a = 0, c = 0;
    sscanf(line, "%15s %" SCNu64 " %" SCNu64 " %" SCNu64, word, &n, &a, &c);
    struct buffer *b = &buffers[n % BUFFERS];
    if (strcmp(word, "open") == 0) {
        open_device();
    } else if (strcmp(word, "close") == 0) {
        close(drm);
        fprintf(out, "ok\n");
    } else if (strcmp(word, "create") == 0) {
        create_2d(b, (uint32_t)a, (uint32_t)c) == 0 && map(b) ? made(b) : answer_errno(word);
    } else if (strcmp(word, "blob") == 0) {
        create_blob(b, a, (uint32_t)c) == 0 && map(b) ? made(b) : answer_errno(word);
    } else if (strcmp(word, "import") == 0) {
        import(b, a, (uint32_t)c);
    } else if (strcmp(word, "share") == 0) {
        share(b);
    } else if (strcmp(word, "fill") == 0) {
        fill(b->bytes, b->size, (uint32_t)a);
        fprintf(out, "ok\n");
    } else if (strcmp(word, "write") == 0) {
        sscanf(line, "%*s %*u %*u %199s", hex);
        for (size_t i = 0; hex[2 * i] && hex[2 * i + 1]; i++)
            sscanf(hex + 2 * i, "%2hhx", &b->bytes[a + i]);
        fprintf(out, "ok\n");
    } else if (strcmp(word, "sum") == 0) {
        uint64_t sum = 14695981039346656037ull;
        for (uint64_t i = 0; i < b->size; i++)
            sum = (sum ^ b->bytes[i]) * 1099511628211ull;
        fprintf(out, "ok %" PRIu64 "\n", sum);
    } else if (strcmp(word, "drop") == 0) {
        drop(b);
        fprintf(out, "ok\n");
    } else if (strcmp(word, "flood") == 0) {
        struct buffer one = {0};
        while (n_flood < n && n_flood < FLOOD_MAX && create_2d(&one, 8, 8) == 0)
            flood[n_flood++] = one.handle;
        fprintf(out, "ok %u\n", n_flood);
    } else if (strcmp(word, "drain") == 0) {
        while (n_flood > 0) {
            struct drm_gem_close g = {.handle = flood[--n_flood]};
            ioctl(drm, DRM_IOCTL_GEM_CLOSE, &g);
        }
        fprintf(out, "ok\n");
    } else if (strcmp(word, "rebind") == 0) {
        rebind();
    } else {
        fprintf(out, "error no such command\n");
    }
    fflush(out);
}

int main(int argc, char **argv)
{
    char line[512];
    struct sockaddr_vm host = {.svm_family = AF_VSOCK,
                               .svm_cid = VMADDR_CID_HOST,
                               .svm_port = argc > 1 ? (unsigned)atoi(argv[1]) : 0};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc != 2 || connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0) {
        perror("usage: gpu_buffers PORT: cannot connect");
        return 1;
    }
    out = fdopen(fd, "w");
    FILE *in = fdopen(dup(fd), "r");
    while (in && out && fgets(line, sizeof(line), in))
        execute(line);
    return 0;
}
