/* Services over TLS: who is trusted renders, who is not is never told what to render. */
#include <stdlib.h>
#include <unistd.h>

#include "farm.h"
#include "tls_site.h"

#define HEALTH                                      \
    "HTTP/1.1 200 OK\r\nContent-Length: 76\r\n\r\n" \
    "{\"status\":\"ok\",\"pool_size\":10,\"available_instances\":10,\"active_instances\":0}"

static cert ca, other_ca, good, unknown;
static char ca_file[40];

static int set_up(void **state)
{
    (void)state;
    setenv("SSL_CERT_FILE", "/nonexistent/bundle.crt", 1);
    cert_make(&ca, &(cert_spec){.name = "Test CA", .is_ca = true}, NULL);
    cert_make(&other_ca, &(cert_spec){.name = "Other CA", .is_ca = true}, NULL);
    cert_make(&good, &(cert_spec){.name = "x", .dns = "localhost"}, &ca);
    cert_make(&unknown, &(cert_spec){.name = "x", .dns = "localhost"}, &other_ca);
    cert_file((const cert *const[]){&ca}, 1, ca_file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cert *all[] = {&ca, &other_ca, &good, &unknown};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        cert_done(all[i]);
    unlink(ca_file);
    return 0;
}

/* A farm whose one service is a TLS server. */
typedef struct secure {
    farm f;
    tls_site site;
    tls_server server;
    tls_trust *trust;
    render_service_options service;
} secure;

static void secure_open(secure *s, const cert *c)
{
    *s = (secure){0};
    farm_open(&s->f, 0);
    tls_site_init(&s->site, (const cert *const[]){c}, 1, TLS_FORGETS);
    s->server.say = HEALTH;
    tls_server_start(&s->server, &s->site);
    assert_int_equal(tls_trust_new(ca_file, &s->f.w.clock.base, &s->trust), 0);
    s->service = (render_service_options){.url = str_c(s->server.url), .key = {STR("X-Render-Key"), STR("secret")}};
    s->f.options.services = &s->service;
    s->f.options.n_services = 1;
    s->f.options.services_trust = s->trust;
    farm_start(&s->f);
}

static void secure_close(secure *s)
{
    tls_trust_unref(s->trust);
    farm_close(&s->f);
    tls_server_stop(&s->server);
    tls_site_done(&s->site);
}

static void a_trusted_service_renders(void **state)
{
    (void)state;
    secure s;
    page p;
    secure_open(&s, &good);
    peer_run_until(s.f.w.loop, farm_service(&s.f, 0).heard_at > 0);
    assert_int_equal(render_fleet_capacity(s.f.fleet).available, 10);
    atomic_store(&s.server.say,
                 "HTTP/1.1 503 No\r\nContent-Length: 35\r\n\r\n{\"success\":false,\"error\":\"is busy\"}");
    page_init(&p, "https://example.com/");
    page_run(&p, &s.f);
    assert_str(p.op.error_type, "pool_unavailable");
    assert_true(str_ends(p.op.why, STR(": is busy")));
    assert_true(str_starts(str_c(s.server.last), STR("POST /render HTTP/1.1\r\n")));
    assert_str(peer_header(str_c(s.server.last), "X-Render-Key"), "secret");
    assert_int_equal(atomic_load(&s.server.connections), 1);
    page_done(&p);
    secure_close(&s);
}

static void a_service_that_is_not_trusted_is_told_nothing(void **state)
{
    (void)state;
    secure s;
    secure_open(&s, &unknown);
    peer_run_until(s.f.w.loop, farm_service(&s.f, 0).last_error[0] != '\0');
    assert_true(str_starts(str_c(farm_service(&s.f, 0).last_error), STR("/health: localhost: ")));
    assert_int_equal(render_fleet_capacity(s.f.fleet).all, 0);
    assert_int_equal(atomic_load(&s.server.requests), 0);
    secure_close(&s);
}

static void without_trust_there_is_no_https(void **state)
{
    (void)state;
    secure s;
    secure_open(&s, &good);
    s.f.options.services_trust = NULL;
    assert_int_equal(render_fleet_set_options(s.f.fleet, &s.f.options), 0);
    farm_pass(&s.f, SECONDS(2));
    peer_run_until(s.f.w.loop, farm_service(&s.f, 0).last_error[0] != '\0');
    secure_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_service_renders),
        cmocka_unit_test(a_service_that_is_not_trusted_is_told_nothing),
        cmocka_unit_test(without_trust_there_is_no_https),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
