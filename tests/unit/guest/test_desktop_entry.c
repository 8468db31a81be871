/* SPDX-License-Identifier: MIT */
/* Files of the guest's menu: what is in them, and which words their command stands for. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "guest-proxy/run/desktop-entry.h"

static struct desktop_entry e;
static char buffer[2 * DESKTOP_VALUE_MAX];
static char *words[DESKTOP_WORDS_MAX + 1];

static int parse(const char *text)
{
    return desktop_entry_parse(text, strlen(text), &e);
}

#define BEGIN "[Desktop Entry]\nType=Application\n"

static void test_an_entry(void **state)
{
    (void)state;
    assert_int_equal(parse("# a comment\n" BEGIN
                           "Name=Foot\nName[de]=Fu\xc3\x9f\nGenericName = Terminal \r\n"
                           "Exec=foot\nTerminal=true\nIcon=foot\nPath=/tmp\n\nnonsense\n"
                           "[Desktop Action new]\nName=New\nExec=other\n"),
                     0);
    assert_string_equal(e.name, "Foot");
    assert_string_equal(e.generic_name, "Terminal ");
    assert_string_equal(e.exec, "foot");
    assert_string_equal(e.folder, "/tmp");
    assert_true(e.terminal);
    assert_false(e.hidden);
}

static void test_hidden(void **state)
{
    static const char *const lines[] = {"NoDisplay=true", "Hidden=true", "OnlyShowIn=GNOME;"};
    char text[200];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), BEGIN "Name=x\nExec=x\n%s\n", lines[i]);
        assert_int_equal(parse(text), 0);
        assert_true(e.hidden);
    }
    assert_int_equal(parse(BEGIN "Name=x\nExec=x\nNoDisplay=false\n"), 0);
    assert_false(e.hidden);
}

static void test_what_is_none(void **state)
{
    static char text[DESKTOP_VALUE_MAX + 100];
    (void)state;
    assert_int_equal(parse(""), -EINVAL);
    assert_int_equal(parse("[Desktop Entry]\nType=Link\nName=x\nExec=x\n"), -EINVAL);
    assert_int_equal(parse("[Other]\nType=Application\nName=x\nExec=x\n"), -EINVAL);
    assert_int_equal(parse(BEGIN "Name=x\n"), -EINVAL);
    assert_int_equal(parse(BEGIN "Exec=x\n"), -EINVAL);
    assert_int_equal(parse(BEGIN "Name=\nExec=x\n"), -EINVAL);
    int n = snprintf(text, sizeof(text), BEGIN "Name=x\nExec=%0*d", DESKTOP_VALUE_MAX - 1, 0);
    assert_int_equal(parse(text), 0);
    text[n] = '0';
    assert_int_equal(parse(text), -EINVAL);
    assert_int_equal(desktop_entry_parse(BEGIN "Name=a\0b\nExec=x\n", 50, &e), -EINVAL);
}

/* @expected: the words with a bar between them; NULL: it is no command. */
static void expect(const char *exec, const char *expected)
{
    char text[DESKTOP_VALUE_MAX + 100], got[4096] = "";
    snprintf(text, sizeof(text), BEGIN "Name=A name\nIcon=an icon\nExec=%s\n", exec);
    assert_int_equal(parse(text), 0);
    int n = desktop_entry_words(&e, buffer, words);
    for (int i = 0; i < n; i++) {
        strcat(got, i ? "|" : "");
        strcat(got, words[i]);
    }
    if (n > 0)
        assert_null(words[n]);
    if (!expected)
        assert_int_equal(n, -EINVAL);
    else
        assert_string_equal(got, expected);
}

static void test_words(void **state)
{
    (void)state;
    expect("foot", "foot");
    expect("  a   b\tc ", "a|b|c");
    expect("a \"b c\" d", "a|b c|d");
    expect("a \"\" d", "a||d");
    expect("a \"x\\\\\"y\\\\$z\\\\\\\\\"", "a|x\"y$z\\");
    expect("a\\sb", "a|b");
    expect("editor %F", "editor");
    expect("editor %U --x=%u", "editor|--x=");
    expect("a %i %c", "a|--icon|an icon|A name");
    expect("a 100%%", "a|100%");
    expect("sh -c \"echo %%\"", "sh|-c|echo %");
    expect("a %", NULL);
    expect("a %x", NULL);
    expect("a \"b", NULL);
    expect("\"\" b", NULL);
    expect("%f", NULL);
}

static void test_bounds(void **state)
{
    char exec[DESKTOP_VALUE_MAX - 20] = "", long_name[DESKTOP_VALUE_MAX + 100];
    (void)state;
    for (int i = 0; i < DESKTOP_WORDS_MAX; i++)
        strcat(exec, "a ");
    snprintf(long_name, sizeof(long_name), BEGIN "Name=x\nExec=%s\n", exec);
    assert_int_equal(parse(long_name), 0);
    assert_int_equal(desktop_entry_words(&e, buffer, words), DESKTOP_WORDS_MAX);
    strcat(exec, "a");
    expect(exec, NULL);
    memset(long_name, 'n', sizeof(long_name));
    memcpy(long_name, BEGIN "Name=", strlen(BEGIN "Name="));
    strcpy(long_name + DESKTOP_VALUE_MAX - 50, "\nExec=a %c%c%c\n");
    assert_int_equal(parse(long_name), 0);
    assert_int_equal(desktop_entry_words(&e, buffer, words), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry),     cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_what_is_none), cmocka_unit_test(test_words),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
