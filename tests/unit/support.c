/* SPDX-License-Identifier: MIT */
/* What many tests share and none of them changes: nothing is kept between calls. */
#include "tests/unit/support.h"

int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n - 3; /* ".", ".." and the folder's own */
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void make_folder(char path[64])
{
    snprintf(path, 64, "/tmp/wayvsock-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

void remove_folder(const char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
