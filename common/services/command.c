/* SPDX-License-Identifier: MIT */
/* command: no shell reads it. Each word of the configuration is one word of the program's,
 * whatever it stands for. */
#include "common/services/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/services/placeholders.h"

#define WORDS_MAX 64
#define WORD_MAX 4096 /* bytes */
#define SPACE " \t"

void command_free(char **words)
{
    for (char **word = words; word && *word; word++)
        free(*word);
    free(words);
}

/* Copies the word at *@at, moves behind it. 1, 0: a quote does not end. */
static int word_take(const char **at, char *word)
{
    char quote = 0;
    for (; **at && (quote || !strchr(SPACE, **at)); ++*at) {
        if (quote ? **at == quote : **at == '"' || **at == '\'')
            quote = quote ? 0 : **at;
        else
            *word++ = **at;
    }
    *word = '\0';
    return !quote;
}

char **command_split(const char *text, char *error, size_t error_size)
{
    char word[WORD_MAX];
    char **words = calloc(WORDS_MAX + 1, sizeof(*words));
    size_t n = 0;
    const char *problem = !words                     ? "out of memory"
                          : strlen(text) >= WORD_MAX ? "the command is too long"
                                                     : NULL;
    while (!problem) {
        text += strspn(text, SPACE);
        if (!*text)
            break;
        if (!word_take(&text, word))
            problem = "a quotation mark has no other";
        else if (n == WORDS_MAX)
            problem = "the command has more than 64 words";
        else if (!(words[n++] = strdup(word)))
            problem = "out of memory";
    }
    if (!problem && (!n || !*words[0]))
        problem = "write a program, and what it is told";
    if (!problem)
        return words;
    command_free(words);
    error_set(-EINVAL, error, error_size, "%s", problem);
    return NULL;
}

bool command_makes_socket(char *const *words)
{
    for (; *words; words++) {
        const char *c = placeholders_is_variable(*words) ? NULL : strchr(*words, '%');
        for (; c && c[1]; c = strchr(c + 2, '%'))
            if (c[1] == 's')
                return true;
    }
    return false;
}

char **command_fill(char *const *words, const char *vm, const char *socket, char *error,
                    size_t error_size)
{
    struct placeholders known = {.vm = vm, .socket = socket};
    char word[WORD_MAX];
    size_t n = 0;
    while (words[n])
        n++;
    char **filled = calloc(n + 1, sizeof(*filled));
    snprintf(error, error_size, "out of memory");
    for (size_t i = 0; filled && i < n; i++) {
        int r = placeholders_fill(words[i], &known, word, sizeof(word), error, error_size);
        if (r == -ENAMETOOLONG)
            error_set(r, error, error_size, "the command is too long");
        if (r == 0)
            filled[i] = strdup(word);
        if (filled[i])
            continue;
        command_free(filled);
        filled = NULL;
    }
    return filled;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int command_check(char *const *words, const char *vm, char *error, size_t error_size)
{
    char **filled = command_fill(words, vm, "", error, error_size);
    if (!filled)
        return -EINVAL;
    const char *path = getenv("PATH"), *program = filled[0];
    bool found = strchr(program, '/') && is_program(program);
    for (path = path ? path : "/usr/bin:/bin"; !strchr(program, '/') && !found && *path;) {
        char at[WORD_MAX + 256];
        size_t n = strcspn(path, ":");
        snprintf(at, sizeof(at), "%.*s/%s", (int)(n < 4096 ? n : 0), path, program);
        found = is_program(at);
        path += n + (path[n] != '\0');
    }
    int r = found ? 0
                  : error_set(-ENOENT, error, error_size, "%.200s is no program that is there",
                              program);
    command_free(filled);
    return r;
}
