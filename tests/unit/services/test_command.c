/* SPDX-License-Identifier: MIT */
/* The words of a command: what separates them, what they stand for, and that nothing else is done
 * to them. */
#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/services/command.h"

static char error[512];

/* @expected: the words, with bars between them. */
static void expect_words(char **words, const char *what, const char *expected)
{
    char joined[512] = "";
    if (!words)
        fail_msg("%s: %s", what, error);
    for (char **word = words; *word; word++)
        snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
                 word == words ? "" : "|", *word);
    assert_string_equal(joined, expected);
    command_free(words);
}

static void splits(const char *text, const char *expected)
{
    expect_words(command_split(text, error, sizeof(error)), text, expected);
}

static void refuses(const char *text, const char *needle)
{
    assert_null(command_split(text, error, sizeof(error)));
    if (!strstr(error, needle))
        fail_msg("%s: %s", text, error);
}

static void test_split(void **state)
{
    (void)state;
    char many[200] = "", large[5000];
    splits("a", "a");
    splits("  a \t b  ", "a|b");
    splits("a 'b c' \"d 'e\" f'g h'i ''", "a|b c|d 'e|fg hi|");
    splits("a ;rm -rf * $(b) `c` \\ > /d", "a|;rm|-rf|*|$(b)|`c`|\\|>|/d");
    refuses("", "write a program");
    refuses("  ", "write a program");
    refuses("'' a", "write a program");
    refuses("a 'b", "a quotation mark has no other");
    refuses("a \"b'", "a quotation mark has no other");
    for (int i = 0; i < 65; i++)
        strcat(many, "a ");
    refuses(many, "more than 64 words");
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    refuses(large, "too long");
}

static char **fill(const char *text, const char *socket)
{
    char **words = command_split(text, error, sizeof(error));
    assert_non_null(words);
    char **filled = command_fill(words, "work", socket, error, sizeof(error));
    command_free(words);
    return filled;
}

static void test_fill(void **state)
{
    (void)state;
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    setenv("A_PATH", "/with a space", 1);
    unsetenv("NO_SUCH");
    expect_words(fill("a u:path=%t/bus %s %v-%% $A_PATH x$A_PATH %", "/s/1"), "",
                 "a|u:path=/run/user/7/bus|/s/1|work-%|/with a space|x$A_PATH|%");
    expect_words(fill("a --at=%s,%s", "/s"), "", "a|--at=/s,/s");
    assert_null(fill("a %s", NULL));
    assert_non_null(strstr(error, "\"%s\" stands for nothing: there are %t, %v and %%"));
    assert_null(fill("a %q", "/s"));
    assert_non_null(strstr(error, "there are %t, %v, %s and %%"));
    assert_null(fill("a $NO_SUCH", "/s"));
    assert_non_null(strstr(error, "NO_SUCH is not set"));
    char large[4000];
    memset(large, 'l', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    assert_null(fill("a %s%s", large));
    assert_non_null(strstr(error, "too long"));
}

static bool makes(const char *text)
{
    char **words = command_split(text, error, sizeof(error));
    bool result = command_makes_socket(words);
    command_free(words);
    return result;
}

static void test_makes_socket(void **state)
{
    (void)state;
    assert_true(makes("a %s"));
    assert_true(makes("a x --at=%t%s"));
    assert_false(makes("a %%s %t %"));
    assert_false(makes("a $A%s")); /* a variable's name, which is as it is */
}

static void check(const char *text, int result)
{
    char **words = command_split(text, error, sizeof(error));
    assert_int_equal(command_check(words, "work", error, sizeof(error)), result);
    command_free(words);
}

static void test_check(void **state)
{
    (void)state;
    char folder[64], path[128];
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/program", folder);
    FILE *f = fopen(path, "w");
    fclose(f);
    check(path, -ENOENT); /* nobody may execute it */
    chmod(path, 0700);
    check(path, 0);
    check("sh -c %s", 0);
    check(folder, -ENOENT);
    check("no-such-program-is-there", -ENOENT);
    assert_string_equal(error, "no-such-program-is-there is no program that is there");
    snprintf(path, sizeof(path), "/nowhere::%s", folder);
    char *before = strdup(getenv("PATH"));
    setenv("PATH", path, 1);
    check("program", 0);
    check("sh", -ENOENT);
    setenv("PATH", before, 1);
    free(before);
    check("sh %q", -EINVAL);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_makes_socket),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
