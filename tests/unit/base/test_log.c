/* SPDX-License-Identifier: MIT */
/* Log lines: what a reader sees for each level and subject, and what a hostile text or a flood
 * turns into. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/log.h"

static char captured[128 << 10];

/* Runs with stderr in a file, then reads the file into captured[]. */
struct capture {
    int saved, file;
};

static struct capture capture_begin(void)
{
    struct capture c = {.saved = dup(STDERR_FILENO)};
    char name[] = "/tmp/wayvsock-log-XXXXXX";
    c.file = mkstemp(name);
    assert_true(c.file >= 0);
    unlink(name);
    dup2(c.file, STDERR_FILENO);
    return c;
}

static void capture_end(struct capture c)
{
    dup2(c.saved, STDERR_FILENO);
    close(c.saved);
    ssize_t n = pread(c.file, captured, sizeof(captured) - 1, 0);
    assert_true(n >= 0);
    captured[n] = '\0';
    close(c.file);
}

static unsigned count_lines(const char *needle)
{
    unsigned n = 0;
    for (const char *at = captured; (at = strstr(at, needle)); at += strlen(needle))
        n++;
    return n;
}

static void one_line(const char *text)
{
    struct capture c = capture_begin();
    log_info(NULL, "%s", text);
    capture_end(c);
}

static void test_levels_are_labelled(void **state)
{
    (void)state;
    log_init("prog", LOG_LEVEL_DEBUG);
    struct capture c = capture_begin();
    log_error(NULL, "one %d", 1);
    log_warn(NULL, "two");
    log_info(NULL, "three");
    log_debug(NULL, "four");
    capture_end(c);
    assert_string_equal(captured, "prog: error: one 1\nprog: warning: two\nprog: three\n"
                                  "prog: debug: four\n");
}

static void test_levels_above_the_limit_are_dropped(void **state)
{
    (void)state;
    log_init("prog", LOG_LEVEL_WARN);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_true(log_enabled(LOG_LEVEL_WARN));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    struct capture c = capture_begin();
    log_info(NULL, "hidden");
    log_debug(NULL, "hidden");
    log_warn(NULL, "shown");
    capture_end(c);
    assert_string_equal(captured, "prog: warning: shown\n");
}

static void test_level_names(void **state)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    enum log_level level;
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_int_equal(log_level_parse("Error", &level), -EINVAL);
    assert_int_equal(log_level_parse("debugging", &level), -EINVAL);
    assert_int_equal(log_level_parse("3", &level), -EINVAL);
}

static void test_subject_and_parents_are_named(void **state)
{
    struct log_subject vm = {.name = "vm work"};
    struct log_subject client = {.name = "client 7 (foot)", .parent = &vm};
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    struct capture c = capture_begin();
    log_warn(&client, "gone");
    log_warn(&vm, "silent");
    capture_end(c);
    assert_string_equal(captured, "prog: warning: vm work client 7 (foot): gone\n"
                                  "prog: warning: vm work: silent\n");
}

static void test_hostile_text_is_escaped(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"a\nprog: forged", "prog: a\\nprog: forged\n"},
        {"tab\there", "prog: tab\\there\n"},
        {"\x1b[31mred\x7f", "prog: \\x1b[31mred\\x7f\n"},
        {"h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80",
         "prog: h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80\n"},
        {"c1 \xc2\x9b", "prog: c1 \\xc2\\x9b\n"},
        {"cut \xe2\x82", "prog: cut \\xe2\\x82\n"},
        {"stray \x80 \xff", "prog: stray \\x80 \\xff\n"},
        {"overlong \xc0\xaf \xe0\x80\xaf", "prog: overlong \\xc0\\xaf \\xe0\\x80\\xaf\n"},
        {"surrogate \xed\xa0\x80", "prog: surrogate \\xed\\xa0\\x80\n"},
        {"too high \xf4\x90\x80\x80", "prog: too high \\xf4\\x90\\x80\\x80\n"},
        {"override \xe2\x80\xae", "prog: override \\xe2\\x80\\xae\n"},
        {"zero \xe2\x80\x8b", "prog: zero \\xe2\\x80\\x8b\n"},
        {"tag \xf3\xa0\x81\xa1", "prog: tag \\xf3\\xa0\\x81\\xa1\n"},
    };
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        one_line(cases[i].text);
        assert_string_equal(captured, cases[i].line);
    }
}

static void test_hostile_subject_is_escaped(void **state)
{
    struct log_subject subject = {.name = "app\nprog: forged"};
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    struct capture c = capture_begin();
    log_info(&subject, "x");
    capture_end(c);
    assert_string_equal(captured, "prog: app\\nprog: forged: x\n");
}

static void test_long_text_is_one_bounded_line(void **state)
{
    static char text[10000];
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    for (char filler = 0; filler < 2; filler++) { /* plain, and growing fourfold when escaped */
        memset(text, filler ? '\x01' : 'x', sizeof(text) - 1);
        one_line(text);
        size_t n = strlen(captured);
        assert_true(n > 1500 && n <= 2048);
        assert_string_equal(captured + n - 4, "…\n");
        assert_ptr_equal(strchr(captured, '\n'), captured + n - 1);
    }
}

static void test_flood_is_counted(void **state)
{
    struct log_subject subject = {.name = "client 1"};
    (void)state;
    log_init("prog", LOG_LEVEL_DEBUG);
    struct capture c = capture_begin();
    for (int i = 0; i < 1000; i++)
        log_warn(&subject, "bad message");
    for (int i = 0; i < 30; i++)
        log_debug(&subject, "detail"); /* asked for by the person who reads */
    capture_end(c);
    assert_int_equal(count_lines("bad message"), 20);
    assert_int_equal(count_lines("too many lines"), 1);
    assert_int_equal(count_lines("detail"), 30);

    /* The window passes: the count is told, and lines appear again. */
    subject.window_start_ms -= 10000;
    c = capture_begin();
    log_warn(&subject, "bad message");
    capture_end(c);
    assert_string_equal(captured, "prog: warning: client 1: 980 more lines were left out\n"
                                  "prog: warning: client 1: bad message\n");
}

static void test_flood_of_children_is_counted_too(void **state)
{
    struct log_subject vm = {.name = "vm work"}, other = {.name = "vm other"};
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    struct capture c = capture_begin();
    for (int i = 0; i < 1000; i++) {
        struct log_subject client = {.name = "client", .parent = &vm};
        log_warn(&client, "refused");
    }
    log_warn(&other, "heard");
    capture_end(c);
    assert_int_equal(count_lines("refused"), 200);
    assert_int_equal(count_lines("too many lines"), 1);
    assert_int_equal(count_lines("heard"), 1);
}

/* What a VM whose clients come and go, each with something to say, writes in a day: time goes by in
 * steps of ten minutes. */
static void test_a_day_of_a_flood(void **state)
{
    static char text[1000];
    struct log_subject vm = {.name = "vm bad"}, other = {.name = "vm good"};
    size_t bytes = 0;
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    memset(text, 'x', sizeof(text) - 1);
    for (int minute = 0; minute < 24 * 60; minute += 10) {
        struct capture c = capture_begin();
        for (int i = 0; i < 300; i++) {
            struct log_subject client = {.name = "client", .parent = &vm};
            log_warn(&client, "%s", i % 2 ? text : "refused");
        }
        log_warn(&other, "heard");
        log_warn(NULL, "ours");
        capture_end(c);
        assert_int_equal(count_lines("heard"), 1); /* neither is kept from speaking */
        assert_int_equal(count_lines("ours"), 1);
        assert_true(count_lines("too many lines") <= 1 && count_lines("left out") <= 2);
        bytes += strlen(captured);
        vm.budget.filled_ms -= 600000;
        other.budget.filled_ms -= 600000;
        other.window_start_ms -= 600000;
    }
    assert_true(bytes < 10 << 20);
    /* It is told once how many there were, and lines appear again. */
    vm.budget.filled_ms -= 3600000;
    struct capture c = capture_begin();
    for (int i = 0; i < 3; i++) {
        struct log_subject client = {.name = "client", .parent = &vm};
        log_warn(&client, "refused");
    }
    capture_end(c);
    assert_int_equal(count_lines("lines were left out"), 1);
    assert_int_equal(count_lines("refused"), 3);
}

static void test_long_lines_cost_more(void **state)
{
    static char text[1500];
    struct log_subject vm = {.name = "vm bad"};
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    memset(text, '\x01', sizeof(text) - 1); /* growing when it is escaped */
    struct capture c = capture_begin();
    for (int i = 0; i < 200; i++) {
        struct log_subject client = {.name = "client", .parent = &vm};
        log_warn(&client, "%s", text);
    }
    capture_end(c);
    assert_true(strlen(captured) < 65536 + 128); /* and what is said of it */
    assert_int_equal(count_lines("too many lines"), 1);
}

static void test_journal_gets_priorities(void **state)
{
    struct stat st;
    char stream[64];
    (void)state;
    struct capture c = capture_begin();
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("prog", LOG_LEVEL_DEBUG);
    log_error(NULL, "e");
    log_warn(NULL, "w");
    log_info(NULL, "i");
    log_debug(NULL, "d");
    setenv("JOURNAL_STREAM", "1:1", 1); /* stderr was redirected */
    log_init("prog", LOG_LEVEL_INFO);
    log_info(NULL, "plain");
    capture_end(c);
    unsetenv("JOURNAL_STREAM");
    assert_string_equal(captured, "<3>e\n<4>w\n<6>i\n<7>d\nprog: plain\n");
}

static void test_errno_survives(void **state)
{
    (void)state;
    log_init("prog", LOG_LEVEL_INFO);
    struct capture c = capture_begin();
    close(STDERR_FILENO);
    errno = ENOTTY;
    log_error(NULL, "to nobody");
    assert_int_equal(errno, ENOTTY);
    capture_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_are_labelled),
        cmocka_unit_test(test_levels_above_the_limit_are_dropped),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_subject_and_parents_are_named),
        cmocka_unit_test(test_hostile_text_is_escaped),
        cmocka_unit_test(test_hostile_subject_is_escaped),
        cmocka_unit_test(test_long_text_is_one_bounded_line),
        cmocka_unit_test(test_flood_is_counted),
        cmocka_unit_test(test_flood_of_children_is_counted_too),
        cmocka_unit_test(test_a_day_of_a_flood),
        cmocka_unit_test(test_long_lines_cost_more),
        cmocka_unit_test(test_journal_gets_priorities),
        cmocka_unit_test(test_errno_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
