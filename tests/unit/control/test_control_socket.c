/* SPDX-License-Identifier: MIT */
/* Who asks is heard once the line is there, however it comes, and gets a word where it cannot be
 * heard; what is behind the line stays for whoever answers. Answers go out to readers of any speed.
 */
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/base/fd.h"
#include "common/control/control-answer.h"
#include "common/control/control-request.h"
#include "common/control/control-socket.h"

static struct world {
    char folder[64];
    struct loop *loop;
    struct control_socket *socket;
    struct answers answers;
    unsigned requests;
    char line[CONTROL_REQUEST_MAX];
    int fd; /* of the last one */
    int fds;
} T;

static void requested(void *user, const struct control_request *request, const char *line, size_t n,
                      int fd)
{
    (void)user;
    (void)request;
    T.requests++;
    memcpy(T.line, line, n);
    T.line[n] = 0;
    fd_close(T.fd);
    T.fd = fd;
}

static int setup(void **state)
{
    (void)state;
    char error[256];
    T = (struct world){.fds = count_fds(), .fd = -1};
    make_folder(T.folder);
    setenv("XDG_RUNTIME_DIR", T.folder, 1);
    T.loop = loop_create();
    answers_init(&T.answers, T.loop);
    T.socket =
        control_socket_create(T.loop, "host.sock", NULL, requested, NULL, error, sizeof(error));
    return T.socket ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    answers_finish(&T.answers);
    control_socket_destroy(T.socket);
    loop_destroy(T.loop);
    fd_close(T.fd);
    remove_folder(T.folder);
    return count_fds() == T.fds ? 0 : -1;
}

static int caller(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", control_socket_path(T.socket));
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    turn_times(T.loop, 3);
    return fd;
}

static void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn_times(T.loop, 3);
}

/* What it has heard, up to the end. */
static const char *heard(int fd)
{
    static char text[4096];
    size_t n = 0;
    ssize_t r;
    turn_times(T.loop, 3);
    while ((r = recv(fd, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT)) > 0)
        n += (size_t)r;
    assert_int_equal(r, 0); /* not an error, which takes what was said with it */
    text[n] = 0;
    fd_close(fd);
    return text;
}

static void test_a_line(void **state)
{
    (void)state;
    int fd = caller();
    put(fd, "{\"command\":");
    assert_int_equal(T.requests, 0);
    put(fd, "\"status\"}\nand more\nof it");
    assert_int_equal(T.requests, 1);
    assert_string_equal(T.line, "{\"command\":\"status\"}");
    char rest[64];
    assert_int_equal(recv(T.fd, rest, sizeof(rest), MSG_DONTWAIT), 14);
    assert_memory_equal(rest, "and more\nof it", 14);
    fd_close(fd);
}

static void test_no_request(void **state)
{
    (void)state;
    static char long_[2 * CONTROL_REQUEST_MAX];
    int fd = caller();
    put(fd, "nonsense\nand more");
    assert_non_null(strstr(heard(fd), "\"error\""));
    fd = caller();
    memset(long_, ' ', sizeof(long_) - 1);
    put(fd, long_);
    assert_string_equal(heard(fd), "{\"error\":\"the request is too long\"}\n");
    fd = caller();
    put(fd, "{\"command\"");
    fd_close(fd); /* it leaves */
    turn_times(T.loop, 3);
    assert_int_equal(T.requests, 0);
}

/* Those who say nothing make room for who comes later. */
static void test_many(void **state)
{
    (void)state;
    int fds[80];
    for (size_t i = 0; i < 80; i++)
        fds[i] = caller();
    assert_string_equal(heard(fds[0]), "{\"error\":\"too many ask at a time\"}\n");
    put(fds[79], "{\"command\":\"status\"}\n");
    assert_int_equal(T.requests, 1);
    for (size_t i = 1; i < 80; i++)
        fd_close(fds[i]);
    turn_times(T.loop, 3);
}

/* One that a service manager made is known by its path, and stays there. */
static void test_inherited(void **state)
{
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char path[CONTROL_PATH_MAX];
    snprintf(path, sizeof(path), "%s", control_socket_path(T.socket));
    control_socket_destroy(T.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memcpy(name.sun_path, path, sizeof(name.sun_path));
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_false(control_socket_is(fd, "host.sock")); /* nobody listens */
    assert_int_equal(listen(fd, 8), 0);
    assert_true(control_socket_is(fd, "host.sock"));
    assert_false(control_socket_is(fd, "guest.sock"));
    T.socket = control_socket_take(T.loop, fd, requested, NULL);
    assert_non_null(T.socket);
    assert_string_equal(control_socket_path(T.socket), path);
    int asker = caller();
    put(asker, "{\"command\":\"status\"}\n");
    assert_int_equal(T.requests, 1);
    fd_close(asker);
    control_socket_destroy(T.socket);
    T.socket = NULL;
    assert_int_equal(unlink(path), 0);
}

static void test_where_it_is(void **state)
{
    (void)state;
    struct stat st;
    char error[256] = "";
    assert_int_equal(stat(control_socket_path(T.socket), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_null(
        control_socket_create(T.loop, "host.sock", NULL, requested, NULL, error, sizeof(error)));
    assert_int_not_equal(*error, 0);
    struct control_socket *other = control_socket_create(T.loop, "host.sock", "guest-7.sock",
                                                         requested, NULL, error, sizeof(error));
    assert_non_null(strstr(control_socket_path(other), "/wayvsock/guest-7.sock"));
    control_socket_destroy(other);
}

static unsigned left;

static void on_left(void *user)
{
    (void)user;
    left++;
}

static void test_answers(void **state)
{
    (void)state;
    int ends[2];
    make_sockets(ends, 0);
    struct answer *a = answer_create(&T.answers, ends[0], on_left, NULL);
    assert_true(answer_say(a, json_pack("{si}", "one", 1)));
    turn_times(T.loop, 3);
    shutdown(ends[1], SHUT_WR); /* as a program in a pipe does: it still reads */
    answer_say_all(a, json_pack("{si}", "two", 2));
    answer_end(a);
    assert_string_equal(heard(ends[1]), "{\"one\":1}\n{\"two\":2}\n");
    left = 0;
    make_sockets(ends, 0);
    answer_create(&T.answers, ends[0], on_left, NULL);
    fd_close(ends[1]);
    turn_times(T.loop, 3);
    assert_int_equal(left, 1);
    assert_int_equal(T.answers.n, 0);
}

/* What does not fit is not queued without end; what has to be said is, and arrives. */
static void test_a_slow_reader(void **state)
{
    (void)state;
    int ends[2];
    char text[65536];
    make_sockets(ends, 4096);
    struct answer *a = answer_create(&T.answers, ends[0], NULL, NULL);
    unsigned said = 0;
    while (answer_say(a, json_pack("{ss}", "text", "a line of some length, as most of them are")))
        said++;
    assert_in_range(said, ANSWER_QUEUE_MAX / 100, ANSWER_QUEUE_MAX / 10);
    assert_false(answer_has_room(a));
    answer_say_all(a, json_pack("{ss}", "text", "the last"));
    answer_end(a);
    unsigned lines = 0;
    ssize_t n;
    for (unsigned idle = 0; idle < 100; idle++) {
        turn_times(T.loop, 2);
        while ((n = recv(ends[1], text, sizeof(text), MSG_DONTWAIT)) > 0) {
            for (ssize_t i = 0; i < n; i++)
                lines += text[i] == '\n';
            idle = 0;
        }
        if (n == 0)
            break;
    }
    assert_int_equal(lines, said + 1);
    assert_int_equal(T.answers.n, 0);
    fd_close(ends[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_line),        TEST(test_no_request),  TEST(test_many),
        TEST(test_inherited),     TEST(test_where_it_is), TEST(test_answers),
        TEST(test_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
