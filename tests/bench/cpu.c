/* SPDX-License-Identifier: MIT */
/* CPU time of other processes: their CPU clocks, exact where /proc counts in ticks. */
#include "tests/bench/client.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 32768

struct process {
    pid_t pid, parent;
    uint64_t children_ticks; /* of children that have ended and been waited for */
    bool ours;
};

static bool process_read(const char *name, struct process *process)
{
    unsigned long long user, system;
    char path[64], text[1024], *end;
    FILE *file;
    size_t n;

    snprintf(path, sizeof(path), "/proc/%.16s/stat", name);
    file = fopen(path, "re");
    if (!file)
        return false;
    n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    end = strrchr(text, ')'); /* the name before it may hold anything */
    if (!end || sscanf(end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu",
                       &process->parent, &user, &system) != 3)
        return false;
    process->pid = (pid_t)atoi(name);
    process->children_ticks = user + system;
    process->ours = false;
    return true;
}

static size_t processes_read(struct process *processes)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    size_t n = 0;

    while (dir && n < PROCESSES_MAX && (entry = readdir(dir))) {
        if (isdigit((unsigned char)entry->d_name[0]) && process_read(entry->d_name, &processes[n]))
            n++;
    }
    if (dir)
        closedir(dir);
    return n;
}

/* Marks the roots and, until nothing changes, whatever has a marked parent. */
static void processes_mark(struct process *processes, size_t n, const struct cpu *cpu)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < n; i++) {
            bool ours = processes[i].ours;

            for (unsigned k = 0; !ours && k < cpu->n_roots; k++)
                ours = processes[i].pid == cpu->roots[k];
            for (size_t k = 0; !ours && k < n; k++)
                ours = processes[k].ours && processes[k].pid == processes[i].parent;
            changed |= ours != processes[i].ours;
            processes[i].ours = ours;
        }
    }
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;

    if (clock_gettime(clock, &time) < 0)
        return 0; /* it has ended meanwhile */
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t cpu_used(const struct cpu *cpu)
{
    uint64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    struct process *processes;
    size_t n;

    if (cpu->n_roots == 0)
        return used;
    processes = calloc(PROCESSES_MAX, sizeof(*processes));
    if (!processes)
        return used;
    n = processes_read(processes);
    processes_mark(processes, n, cpu);
    for (size_t i = 0; i < n; i++) {
        clockid_t clock;

        if (!processes[i].ours)
            continue;
        used += processes[i].children_ticks * tick_ns;
        if (clock_getcpuclockid(processes[i].pid, &clock) == 0)
            used += clock_ns(clock);
    }
    free(processes);
    return used;
}
