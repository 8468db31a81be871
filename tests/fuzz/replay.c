/* SPDX-License-Identifier: MIT */
/* replay: runs a fuzz target over the files of corpus folders, without libFuzzer: each file whole,
 * and cut short in a few places. An input that leaks a descriptor ends the run, as does a corpus
 * that is not there. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1 << 20)

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

/* In memory of exactly its size, so that a read beyond it is seen. */
static void run(const uint8_t *bytes, size_t n, const char *path)
{
    int before = count_fds();
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        abort();
    memcpy(exact, bytes, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    if (count_fds() != before) {
        fprintf(stderr, "%s: %zu bytes of it leak a descriptor\n", path, n);
        exit(1);
    }
}

static void run_file(const char *path)
{
    static uint8_t bytes[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    run(bytes, n, path);
    size_t step = n / 64 + 1;
    for (size_t cut = 0; cut < n; cut += step)
        run(bytes, cut, path);
}

int main(int argc, char **argv)
{
    unsigned n = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(folder));) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            run_file(path);
            n++;
        }
        closedir(folder);
    }
    printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
