/* SPDX-License-Identifier: MIT */
/* Files of the guest's menu: what is in them, and which words their command stands for. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "guest-proxy/run/desktop-entry.h"
#include "guest-proxy/run/desktop-locale.h"

static struct desktop_entry e;
static char buffer[2 * DESKTOP_VALUE_MAX];
static char *words[DESKTOP_WORDS_MAX + 1];

static int parse_in(const char *language, const char *text, size_t n)
{
    struct desktop_locale locale;
    desktop_locale_init(&locale, language);
    return desktop_entry_parse(text, n, &locale, &e);
}

static int parse(const char *text)
{
    return parse_in("C.UTF-8", text, strlen(text));
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
    assert_int_equal(parse_in("C", BEGIN "Name=a\0b\nExec=x\n", 50), -EINVAL);
}

/* The name of an entry with many, in that language. */
static const char *name_in(const char *language)
{
    static const char text[] = BEGIN "Name[de_AT]=de_AT\nName[sr@latin]=sr@latin\nName=none\n"
                                     "Name[de]=de\nName[sr]=sr\nName[sr_RS]=sr_RS\n"
                                     "Name[de_AT@euro]=de_AT@euro\nName[pt_BR]=pt_BR\nName[C]=C\n"
                                     "Name[]=nobody\nName[x=x\nName]x[=x\nName[fr]=\nExec=x\n"
                                     "Exec[de]=other\nType[de]=Link\n";
    assert_int_equal(parse_in(language, text, strlen(text)), 0);
    assert_string_equal(e.exec, "x");
    return e.name;
}

static void test_languages(void **state)
{
    static const struct {
        const char *language, *name;
    } cases[] = {
        {"", "none"},
        {"C", "none"},
        {"C.UTF-8", "none"},
        {"POSIX", "none"},
        {"en_US.UTF-8", "none"},
        {"de", "de"},
        {"de_DE.UTF-8", "de"},
        {"de_AT", "de_AT"},
        {"de_AT.UTF-8", "de_AT"},
        {"de_AT.UTF-8@euro", "de_AT@euro"},
        {"de_CH@euro", "de"},
        {"sr_RS.UTF-8@latin", "sr_RS"},
        {"sr_ME@latin", "sr@latin"},
        {"sr", "sr"},
        {"pt_PT.UTF-8", "none"},
        {"pt_BR.UTF-8", "pt_BR"},
        {"fr_FR.UTF-8", "none"},
        {"_AT", "none"},
        {"@", "none"},
        {"d", "none"},
    };
    static char text[2 * DESKTOP_VALUE_MAX], far[200];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_string_equal(name_in(cases[i].language), cases[i].name);
    memset(far, 'd', sizeof(far) - 1);
    assert_string_equal(name_in(far), "none");
    snprintf(text, sizeof(text), BEGIN "Name=x\nExec=x\nName[de]=%0*d\n", DESKTOP_VALUE_MAX, 0);
    assert_int_equal(parse_in("de", text, strlen(text)), 0); /* it is too long: the other one */
    assert_string_equal(e.name, "x");
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
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
