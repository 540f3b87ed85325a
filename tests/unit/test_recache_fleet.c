/* A simulated fleet on a fake clock: 8 render services of 50 tabs that fail, stall and restart, 50 hosts, and as many
 * entries as LARDER_FLEET says (100,000; a million take a minute or two). Each entry ends rendered or as a dead letter,
 * exactly once; what holds of priorities, fairness and capacity is printed and checked. */
#include "unit.h"

#include "recache_world.h"

#include <stdio.h>
#include <stdlib.h>

#define HOSTS 50
#define SERVICES 8
#define TABS 50

static struct service {
    unsigned load;
    int64_t down_until, stalled_until;
} services[SERVICES];

static recache_world w;
static unsigned per_host;
static uint8_t *rendered;        /* by entry: how often */
static int64_t used_ms[HOSTS + 1]; /* tab time by host, while all hosts have work */
static int64_t began, ended_sum[3], ended_last[3], first_start[3];
static uint64_t ended[3], finished, restarts, stalls;
static bool all_have_work;

static int64_t now_ms(void)
{
    return clk_mono_ms(&w.clock.base);
}

static void numbers_of(const render_op *op, unsigned *host, unsigned *number)
{
    assert_int_equal(sscanf(op->url.p, "https://www.%u.example/p/%u", host, number), 2);
}

static unsigned priority_of(unsigned number)
{
    return number % 10 < 2 ? RECACHE_HIGH : number % 10 < 7 ? RECACHE_NORMAL : RECACHE_AUTO;
}

static unsigned count_tabs(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SERVICES; i++)
        n += services[i].down_until <= now_ms() ? TABS : 0;
    return n;
}

static struct service *least_loaded(void)
{
    struct service *best = NULL;

    for (unsigned i = 0; i < SERVICES; i++)
        if (services[i].down_until <= now_ms() && services[i].load < TABS && (!best || services[i].load < best->load))
            best = &services[i];
    return best;
}

/* Pages of odd hosts are three times as slow. */
static world_answer decide(recache_world *world, const render_op *op)
{
    struct service *s = least_loaded();
    world_answer a = {.result = RENDER_OK, .status = 301, .final_url = "https://www.1.example/elsewhere"};
    const uint64_t luck = random_below(1000);
    unsigned host, number;

    (void)world;
    assert_non_null(s); /* nothing is started beyond the capacity */
    s->load++;
    ((render_op *)(uintptr_t)op)->impl = s;
    numbers_of(op, &host, &number);
    const unsigned p = priority_of(number);
    if (first_start[p] == 0)
        first_start[p] = now_ms() - began;
    a.takes_ms = (int64_t)(host % 2 ? 300 : 100) + (int64_t)random_below(200);
    if (s->stalled_until > now_ms())
        a.takes_ms += s->stalled_until - now_ms();
    if (luck < 30)
        a = (world_answer){.result = RENDER_FAILED_FOR_NOW, .error_type = "network_error", .takes_ms = a.takes_ms};
    else if (luck < 32)
        a = (world_answer){.result = RENDER_FAILED, .error_type = "response_too_large", .takes_ms = a.takes_ms};
    ((render_op *)(uintptr_t)op)->user = (void *)(intptr_t)now_ms();
    return a;
}

static void on_finish(recache_world *world, const render_op *op)
{
    unsigned host, number;

    (void)world;
    ((struct service *)op->impl)->load--;
    numbers_of(op, &host, &number);
    if (all_have_work)
        used_ms[host] += now_ms() - (intptr_t)op->user;
    if (op->result != RENDER_OK)
        return;
    const unsigned p = priority_of(number);
    assert_int_equal(rendered[(host - 1) * per_host + number]++, 0);
    ended[p]++;
    ended_sum[p] += now_ms() - began;
    ended_last[p] = now_ms() - began;
    finished++;
}

/* What a service had under way fails when it goes down. */
static void restart(struct service *s)
{
    s->down_until = now_ms() + SECONDS(10);
    restarts++;
    for (unsigned i = 0; i < w.n_under_way; i++) {
        if (w.under_way[i].op->impl != s)
            continue;
        w.under_way[i].answer = (world_answer){
            .result = RENDER_FAILED_FOR_NOW, .error_type = "service_unreachable", .service_failed = true};
        w.under_way[i].ends_at = now_ms();
    }
}

static void trouble(void)
{
    if (random_below(100) == 0)
        restart(&services[random_below(SERVICES)]);
    if (random_below(100) == 0) {
        services[random_below(SERVICES)].stalled_until = now_ms() + SECONDS(5);
        stalls++;
    }
    w.tabs = count_tabs();
}

static void queue_all(void)
{
    static const uint16_t desktop = 1;
    static char texts[RECACHE_URLS_MAX][48];
    static str urls[RECACHE_URLS_MAX];

    for (unsigned host = 1; host <= HOSTS; host++) {
        for (unsigned p = 0; p < RECACHE_PRIORITIES; p++) {
            recache_task t = {.host_id = host,
                              .urls = {urls, 0},
                              .dimensions = &desktop,
                              .n_dimensions = 1,
                              .priority = (recache_priority)p};
            for (unsigned n = 0; n < per_host; n++) {
                if (priority_of(n) != p)
                    continue;
                const int len = snprintf(texts[t.urls.n], sizeof(texts[0]), "https://www.%u.example/p/%u", host, n);
                urls[t.urls.n] = str_of(texts[t.urls.n], (size_t)len);
                t.urls.n++;
            }
            assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
            assert_int_equal(t.accepted - t.deduplicated, t.urls.n);
        }
    }
}

static void pause_it(recache *r, recache_task *t)
{
    recache_pause(r, true, t);
}

static void resume_it(recache *r, recache_task *t)
{
    recache_pause(r, false, t);
}

static double fairness(void)
{
    int64_t least = INT64_MAX, most = 0;

    for (unsigned h = 1; h <= HOSTS; h++) {
        least = used_ms[h] < least ? used_ms[h] : least;
        most = used_ms[h] > most ? used_ms[h] : most;
    }
    return (double)most / (double)(least > 0 ? least : 1);
}

static void print_figures(uint64_t total, int64_t dead)
{
    const double s = (double)(now_ms() - began) / 1000;

    print_message("fleet: %llu entries, %llu rendered, %lld dead letters, %.0f failed attempts\n",
                  (unsigned long long)total, (unsigned long long)finished, (long long)dead,
                  (double)recache_figures_of(w.recache).failed_attempts);
    print_message("fleet: %llu restarts, %llu stalls, %.0f s on the clock, %.0f pages/s\n",
                  (unsigned long long)restarts, (unsigned long long)stalls, s, (double)finished / s);
    for (unsigned p = 0; p < RECACHE_PRIORITIES; p++)
        print_message("fleet: " STR_FMT ": first begun after %.1f s, ended after %.0f s on average, %.0f s the last\n",
                      STR_ARG(recache_priority_name((recache_priority)p)), (double)first_start[p] / 1000,
                      (double)ended_sum[p] / 1000 / (double)ended[p], (double)ended_last[p] / 1000);
    print_message("fleet: rendering time by host, most / least: %.3f; at most %u tabs in use\n", fairness(),
                  w.most_under_way);
}

static void test_each_entry_ends_once_in_order_of_priority_and_in_fair_shares(void **state)
{
    const char *wanted = getenv("LARDER_FLEET");
    const uint64_t total = wanted ? strtoull(wanted, NULL, 10) : ARENA_POISONS ? 10000 : 100000;
    recache_task t = {0};
    int64_t dead = 0;

    (void)state;
    random_seed_for_tests(4711);
    per_host = (unsigned)(total / HOSTS);
    rendered = mem_zalloc((size_t)per_host * HOSTS);
    assert_non_null(rendered);
    world_begin(&w, HOSTS);
    w.tabs = SERVICES * TABS;
    w.step_ms = 100;
    w.decide = decide;
    w.on_finish = on_finish;
    assert_int_equal(world_task(&w, &t, pause_it), 0);
    queue_all();
    assert_int_equal(world_queued(&w), per_host * HOSTS);
    began = now_ms();
    all_have_work = true;
    assert_int_equal(world_task(&w, &t, resume_it), 0);
    for (uint64_t turns = 0; turns < 200000 && world_queued(&w) > 0; turns++) {
        trouble();
        world_turn(&w, w.step_ms);
        all_have_work = all_have_work && finished < total / 10; /* half of what is high */
    }
    for (unsigned h = 1; h <= HOSTS; h++)
        dead += world_dead(&w, h);
    print_figures(total, dead);

    uint64_t once = 0;
    for (size_t i = 0; i < (size_t)per_host * HOSTS; i++)
        once += rendered[i] == 1;
    assert_int_equal(world_queued(&w), 0);
    assert_int_equal(once + (uint64_t)dead, per_host * HOSTS);
    store_view *v = store_read_begin(w.store);
    assert_int_equal(store_count(v, &recache_pages_ks), once);
    store_read_end(v);
    assert_int_equal(w.busy, 0);
    assert_true(w.most_under_way <= SERVICES * TABS);
    assert_true(ended_sum[0] / (int64_t)ended[0] < ended_sum[1] / (int64_t)ended[1]);
    assert_true(ended_sum[1] / (int64_t)ended[1] < ended_sum[2] / (int64_t)ended[2]);
    assert_true(fairness() < (total >= 1000000 ? 1.1 : total >= 100000 ? 1.3 : 2.5));
    world_end(&w);
    mem_free(rendered);
    random_seed_for_tests(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_entry_ends_once_in_order_of_priority_and_in_fair_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
