/* Listening: ports, Unix sockets and the files they leave. Served through the http room, since a listener alone says
 * little. */
#include "http_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/larder-net-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails when a socket file was left */
}

static str path_of(site *w, const char *name)
{
    static char path[200];
    (void)w;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return str_c(path);
}

static void open_on_unix(site *w, const char *name)
{
    site_init(w);
    w->where = (net_listen){.addr.is_unix = true, .path = path_of(w, name)};
    site_open(w);
}

/* A socket file on which nobody listens. */
static void leave_socket(str path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    memcpy(sa.sun_path, path.p, path.n);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    close(fd);
}

static bool exists(str path)
{
    struct stat st;
    return lstat(path.p, &st) == 0;
}

static void a_unix_socket_serves_and_its_file_goes_with_it(void **state)
{
    (void)state;
    site w;
    open_on_unix(&w, "a");
    assert_true(str_starts(w.url, STR("unix:/")));
    assert_true(exists(w.where.path));
    char *got = ask(&w, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_has(got, "hello\n");
    mem_free(got);
    site_close(&w);
    assert_false(exists(path_of(&w, "a")));
}

static void a_dead_servers_socket_is_replaced(void **state)
{
    (void)state;
    site w;
    leave_socket(path_of(&w, "dead"));
    open_on_unix(&w, "dead");
    char *got = ask(&w, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_has(got, "hello\n");
    mem_free(got);
    site_close(&w);
}

static void ignore(void *arg, net_listener *ls, int fd, const net_addr *peer)
{
    (void)arg, (void)ls, (void)peer;
    close(fd);
}

static void a_live_servers_place_is_not_taken(void **state)
{
    (void)state;
    site w;
    net_listener *ls;
    open_on_unix(&w, "live");
    assert_int_equal(net_listener_open(w.loop, &w.where, ignore, NULL, &ls), -EADDRINUSE);
    assert_true(exists(w.where.path));
    site_close(&w);

    site_init(&w);
    site_open(&w);
    assert_int_equal(net_listener_open(w.loop, &w.where, ignore, NULL, &ls), -EADDRINUSE); /* its TCP port */
    site_close(&w);
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    site w;
    net_listener *ls;
    site_init(&w);
    site_open(&w);
    str path = path_of(&w, "file");
    FILE *f = fopen(path.p, "w");
    assert_non_null(f);
    fclose(f);
    net_listen where = {.addr.is_unix = true, .path = path};
    assert_int_equal(net_listener_open(w.loop, &where, ignore, NULL, &ls), -EADDRINUSE);
    assert_true(exists(path));
    assert_int_equal(unlink(path.p), 0);

    where.path = path_of(&w, "no/such/folder");
    assert_int_equal(net_listener_open(w.loop, &where, ignore, NULL, &ls), -ENOENT);
    site_close(&w);
}

static void a_file_that_has_become_another_servers_is_not_removed(void **state)
{
    (void)state;
    site w;
    open_on_unix(&w, "taken");
    str path = path_of(&w, "taken");
    assert_int_equal(unlink(path.p), 0);
    leave_socket(path);
    site_close(&w);
    assert_true(exists(path));
    assert_int_equal(unlink(path.p), 0);
}

static void version_6_is_listened_on_beside_version_4(void **state)
{
    (void)state;
    site w;
    site_init(&w);
    site_open(&w);
    net_listen where = {.addr.ip = {[15] = 1}, .addr.port = w.where.addr.port}; /* the same port on ::1 */
    str url;
    int r = http_server_listen(w.server, &where, &w.arena, &url);
    if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) {
        print_message("this machine has no IPv6\n");
    } else {
        assert_int_equal(r, 0);
        assert_true(str_starts(url, STR("http://[::1]:")));
    }
    site_close(&w);
}

static void a_look_before_sees_that_a_folder_is_missing(void **state)
{
    (void)state;
    site w;
    site_init(&w);
    site_open(&w);
    net_listen where = {.addr.is_unix = true, .path = path_of(&w, "none/socket")};
    assert_int_equal(net_listen_check(&where), -ENOENT);
    where.path = path_of(&w, "socket");
    assert_int_equal(net_listen_check(&where), 0);
    assert_false(exists(where.path));
    where.path = STR("in-the-working-folder");
    assert_int_equal(net_listen_check(&where), 0);
    site_close(&w);
}

static void no_memory_opens_nothing(void **state)
{
    (void)state;
    site w;
    net_listener *ls;
    site_init(&w);
    site_open(&w);
    net_listen where = {.addr.is_unix = true, .path = path_of(&w, "none")};
    mem_fail_at(0);
    assert_int_equal(net_listener_open(w.loop, &where, ignore, NULL, &ls), -ENOMEM);
    mem_fail_at(-1);
    assert_false(exists(where.path));
    site_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_socket_serves_and_its_file_goes_with_it),
        cmocka_unit_test(a_dead_servers_socket_is_replaced),
        cmocka_unit_test(a_look_before_sees_that_a_folder_is_missing),
        cmocka_unit_test(a_live_servers_place_is_not_taken),
        cmocka_unit_test(other_files_are_left_alone),
        cmocka_unit_test(a_file_that_has_become_another_servers_is_not_removed),
        cmocka_unit_test(version_6_is_listened_on_beside_version_4),
        cmocka_unit_test(no_memory_opens_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
