/* SPDX-License-Identifier: MIT */
/* top: owns the terminal while it runs: another screen, without an echo, which is given back
 * however it ends, but by SIGKILL. Keys come as they are, Ctrl-C as one of them. */
#include "command/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "command/command-options.h"
#include "command/gather.h"
#include "command/show.h"
#include "common/base/loop.h"

#define EVERY_MS 1000
#define CTRL_C 3
#define SCREEN_ON "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"

static volatile sig_atomic_t ended;

static void on_end(int signo)
{
    ended = signo;
}

static void on_size(int signo)
{
    (void)signo; /* it is enough that waiting ends */
}

static void catch_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = on_end};
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        sigaction(ends[i], &action, NULL);
    action.sa_handler = on_size;
    sigaction(SIGWINCH, &action, NULL);
}

/* --- rates --- */

static const json_t *find_by(const json_t *list, const char *key, const json_t *value)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one) if (json_equal(json_object_get(one, key), value)) return one;
    return NULL;
}

static void rate_set(json_t *now, const json_t *before, int64_t ms)
{
    uint64_t bytes = show_bytes(now), earlier = before ? show_bytes(before) : 0;
    uint64_t rate =
        bytes > earlier && before && ms > 0 ? (bytes - earlier) * 1000 / (uint64_t)ms : 0;
    json_object_set_new(now, "rate", json_count(rate));
}

static bool is_service(const json_t *one, const json_t *other)
{
    return json_equal(json_object_get(one, "name"), json_object_get(other, "name")) &&
           json_equal(json_object_get(one, "direction"), json_object_get(other, "direction"));
}

static void rates_of(json_t *now, const json_t *before, int64_t ms)
{
    json_t *one;
    const json_t *then, *services = json_object_get(before, "services");
    size_t i, k;
    json_array_foreach(json_object_get(now, "clients"), i, one) rate_set(
        one, find_by(json_object_get(before, "clients"), "since", json_object_get(one, "since")),
        ms);
    json_array_foreach(json_object_get(now, "services"), i, one)
    {
        const json_t *same = NULL;
        json_array_foreach(services, k, then) if (!same && is_service(one, then)) same = then;
        rate_set(one, same, ms);
    }
}

/* How much crossed in a second since @before. */
static void rates(json_t *status, const json_t *before, int64_t ms)
{
    static const char *const lists[][2] = {{"vms", "name"}, {"guest", "display"}};
    for (int i = 0; i < 2; i++) {
        json_t *one;
        size_t n;
        json_array_foreach(json_object_get(status, lists[i][0]), n, one)
            rates_of(one,
                     find_by(json_object_get(before, lists[i][0]), lists[i][1],
                             json_object_get(one, lists[i][1])),
                     ms);
    }
}

/* --- the screen --- */

static void top_size(size_t *ret_columns, size_t *ret_lines)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row;
    *ret_columns = known ? size.ws_col : 80;
    *ret_lines = known ? size.ws_row : 24;
}

/* As many lines of @text as fit; the rest of each is cleared, not the screen, which would flicker.
 */
static void top_put(const char *text, size_t lines)
{
    fputs("\033[H", stdout);
    for (size_t i = 0; i + 1 < lines && *text; i++) {
        const char *end = strchrnul(text, '\n');
        printf("%.*s\033[K\r\n", (int)(end - text), text);
        text = *end ? end + 1 : end;
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

static void top_show(const json_t *status)
{
    size_t columns, lines, size;
    char *text = NULL, clock[16];
    time_t now = time(NULL);
    struct tm tm;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    top_size(&columns, &lines);
    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
    fprintf(out, "wayvsock top, %s; q ends it\n\n", clock);
    if (status)
        show_status(out, status, columns);
    else
        fputs("No daemon answers here.\n", out);
    if (fclose(out) == 0)
        top_put(text, lines);
    free(text);
}

/* --- keys --- */

/* Until @until. False: somebody wants to leave. */
static bool top_wait(int64_t until)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t left;
    while (!ended && (left = until - loop_now_ms()) > 0) {
        char key;
        int r = poll(&p, 1, (int)left);
        if (r < 0 && errno == EINTR)
            return !ended; /* of another size, perhaps */
        if (r > 0 &&
            (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q' || key == CTRL_C))
            return false;
    }
    return !ended;
}

static void top_loop(const struct command_options *o)
{
    json_t *before = NULL;
    int64_t then = 0;
    bool go_on = true;
    while (go_on && !ended) {
        int64_t now = loop_now_ms();
        json_t *status = gather_status(o);
        rates(status, before, now - then);
        if (o->json && status) {
            json_dumpf(status, stdout, JSON_COMPACT);
            go_on = putchar('\n') >= 0 && fflush(stdout) == 0;
        } else if (!o->json) {
            top_show(status);
        }
        json_decref(before);
        before = status;
        then = now;
        if (o->json)
            poll(NULL, 0, EVERY_MS);
        else
            go_on = top_wait(now + EVERY_MS);
    }
    json_decref(before);
}

int top_run(const struct command_options *o)
{
    struct termios before, raw;
    if (!o->json && (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)) {
        fprintf(stderr, "wayvsock: top is for a terminal, top --json for programs\n");
        return 1;
    }
    catch_signals();
    if (o->json) {
        top_loop(o);
        return 0;
    }
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    fputs(SCREEN_ON, stdout);
    top_loop(o);
    fputs(SCREEN_OFF, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    return 0;
}
