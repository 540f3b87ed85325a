/* What goes wrong around scans: GitHub's limits, no memory, no room. Nothing is lost, nothing stays undone. */
#include <unistd.h>

#include "shop.h"

#define ACME "src_acme_tools"
#define CREATE_ACME "{\"repo_url\":\"https://github.com/acme/tools\"}"

static fake_repo *stock(shop *w, const char *owner, const char *name)
{
    fake_repo *r = fake_repo_new(&w->github, owner, name);
    r->license = "MIT";
    r->topic = "tools";
    fake_put(r, "skills/pdf/SKILL.md", "---\nname: pdf\ndescription: Reads\ntags: [a, b]\n---\n");
    fake_put(r, "commands/deploy.md", "# Deploy\n");
    fake_put(r, "README.md", "# Tools\n");
    fake_commit(r);
    return r;
}

/* ---- GitHub's limits ---- */
static void without_quota_a_scan_waits_and_goes_on_where_it_was(void **state)
{
    static const int kinds[] = {ASK_REPOSITORY, ASK_COMMIT, ASK_TREE, ASK_ARCHIVE};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        shop w;
        arena a;
        shop_open(&w);
        arena_init(&a, 0);
        w.options.concurrency = 1;
        sources_configure(w.sources, &w.options);
        fake_repo *r = stock(&w, "acme", "tools");
        stock(&w, "acme", "other");
        w.github.fail_kind = kinds[i];
        w.github.fail_times = 1;
        w.github.fail_result = GITHUB_RATE_LIMITED;
        w.github.retry_after = MINUTES(20);
        assert_int_equal(shop_create(&w, CREATE_ACME), 0);
        source s = shop_source(&w, &a, ACME);
        assert_str(s.scan_status, "scanning");
        assert_int_equal(s.waiting_since, SHOP_NOW);
        assert_int_equal(s.waiting_until, SHOP_NOW + MINUTES(20));
        assert_int_equal(sources_stats_of(w.sources)->waiting, 1);

        /* It takes nobody's place meanwhile. */
        assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/other\"}"), 0);
        assert_status(&w, "src_acme_other", "success");
        errand e;
        errand_rescan(&e, &w, ACME);
        assert_int_equal(errand_wait(&e), -EBUSY);
        errand_end(&e);

        shop_pass(&w, MINUTES(20) - 1);
        assert_status(&w, ACME, "scanning");
        shop_pass(&w, SECONDS(2) + 1);
        s = shop_source(&w, &a, ACME);
        assert_str(s.scan_status, "success");
        assert_int_equal(s.waiting_since, 0);
        assert_int_equal(s.waiting_until, 0);
        assert_int_equal(s.artifact_count, 2);
        for (int kind = 0; kind <= ASK_ARCHIVE; kind++) /* only what was refused is asked again */
            assert_int_equal(r->asked[kind], kind == kinds[i] ? 2 : 1);
        arena_done(&a);
        shop_close(&w);
    }
}

static void many_scans_share_what_is_left_and_all_come_to_an_end(void **state)
{
    (void)state;
    shop w;
    char body[100], id[40];
    shop_open(&w);
    w.github.quota = 10; /* two and a half scans */
    w.github.quota_reset = SHOP_NOW + HOURS(1);
    for (int i = 0; i < 8; i++) {
        char name[20];
        snprintf(name, sizeof(name), "repo%d", i);
        stock(&w, "acme", name);
        snprintf(body, sizeof(body), "{\"repo_url\":\"https://github.com/acme/repo%d\"}", i);
        assert_int_equal(shop_create(&w, body), 0);
    }
    assert_int_equal(sources_stats_of(w.sources)->waiting, 6);
    w.github.quota = 100;
    shop_pass(&w, HOURS(1) + SECONDS(3));
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof(id), "src_acme_repo%d", i);
        assert_status(&w, id, "success");
    }
    shop_close(&w);
}

static void a_github_that_never_stops_refusing_is_asked_ever_less(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    stock(&w, "acme", "tools");
    w.github.fail_kind = ASK_COMMIT;
    w.github.fail_times = UINT32_MAX;
    w.github.fail_result = GITHUB_RATE_LIMITED; /* and says: ask again at once */
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    for (int second = 0; second < 3600; second++)
        shop_pass(&w, SECONDS(1));
    assert_status(&w, ACME, "scanning");
    assert_in_range(w.github.asked[ASK_COMMIT], 50, 70);
    w.github.fail_times = 0;
    shop_pass(&w, MINUTES(2));
    assert_status(&w, ACME, "success");
    shop_close(&w);
}

/* ---- the connection ---- */
static void an_archive_that_is_cut_off_is_begun_anew_twice_at_most(void **state)
{
    (void)state;
    for (unsigned cuts = 1; cuts <= 3; cuts++) {
        shop w;
        shop_open(&w);
        fake_repo *r = stock(&w, "acme", "tools");
        r->truncated = cuts == 2; /* then the archive is the listing, too: nothing may be in it twice */
        w.github.piece = 50;
        w.github.cut_times = cuts;
        assert_int_equal(shop_create(&w, CREATE_ACME), 0);
        if (cuts < 3)
            assert_status(&w, ACME, "success");
        else
            assert_status(&w, ACME, "error");
        assert_int_equal(r->asked[ASK_ARCHIVE], cuts < 3 ? cuts + 1 : 3);
        if (cuts < 3)
            assert_catalogue(&w, ACME, "command deploy commands/deploy.md new\nskill pdf skills/pdf new\n");
        shop_close(&w);
    }
}

static void a_wait_for_quota_is_one_wait_across_a_restart(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    stock(&w, "acme", "tools");
    w.github.quota = 0;
    w.github.quota_reset = SHOP_NOW + HOURS(1);
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    fake_clk_advance(&w.clock, MINUTES(10));
    shop_restart(&w);
    shop_settle(&w);
    source s = shop_source(&w, &a, ACME);
    assert_str(s.scan_status, "scanning");
    assert_int_equal(s.waiting_since, SHOP_NOW);
    assert_int_equal(s.waiting_until, SHOP_NOW + HOURS(1));

    w.github.quota = 100;
    shop_pass(&w, HOURS(1));
    assert_int_equal(shop_source(&w, &a, ACME).waiting_since, 0);
    w.github.quota = 0; /* the next wait is another one */
    w.github.quota_reset = w.clock.wall_ms + HOURS(1);
    errand e;
    errand_rescan(&e, &w, ACME);
    assert_int_equal(errand_wait(&e), 0);
    errand_end(&e);
    shop_settle(&w);
    assert_int_equal(shop_source(&w, &a, ACME).waiting_since, w.clock.wall_ms);
    arena_done(&a);
    shop_close(&w);
}

static void another_configuration_ends_the_wait_for_quota(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    stock(&w, "acme", "tools");
    w.github.fail_kind = ASK_COMMIT;
    w.github.fail_times = 2;
    w.github.fail_result = GITHUB_RATE_LIMITED;
    w.github.retry_after = MINUTES(20);
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_int_equal(sources_stats_of(w.sources)->waiting, 1);
    sources_configure(w.sources, &w.options); /* no other token: it waits on */
    shop_pass(&w, 1);
    assert_int_equal(sources_stats_of(w.sources)->waiting, 1);
    sources_configure(w.sources, &w.options);
    shop_pass(&w, 1);
    assert_int_equal(sources_stats_of(w.sources)->waiting, 0);
    assert_status(&w, ACME, "success");
    shop_close(&w);
}

/* ---- links ---- */
static void links_are_not_followed_and_the_result_names_them(void **state)
{
    (void)state;
    for (int truncated = 0; truncated < 2; truncated++) {
        shop w;
        shop_open(&w);
        fake_repo *r = stock(&w, "acme", "tools");
        r->truncated = truncated;
        assert_int_equal(shop_create(&w, CREATE_ACME), 0);
        fake_put_link(r, "skills/more", "../commands");
        fake_put_link(r, "commands/passwords.md", "/etc/passwd");
        fake_commit(r);
        errand e;
        errand_rescan(&e, &w, ACME);
        e.waits = true;
        assert_int_equal(errand_wait(&e), 0);
        peer_run_until(w.loop, e.ended > 0);
        assert_str(e.result.status, "success");
        assert_string_equal(e.error, "2 symbolic links not followed, wherever they lead: commands/passwords.md, "
                                     "skills/more");
        e.waits = false;
        errand_end(&e);
        assert_catalogue(&w, ACME, "command deploy commands/deploy.md new\nskill pdf skills/pdf new\n");
        shop_close(&w);
    }
}

static void a_root_that_is_not_there_is_told_of(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    (void)stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_int_equal(shop_change(&w, ACME, "{\"root_hint\":\"nowhere\"}"), 0);
    errand e;
    errand_rescan(&e, &w, ACME);
    e.waits = true;
    assert_int_equal(errand_wait(&e), 0);
    peer_run_until(w.loop, e.ended > 0);
    assert_str(e.result.status, "success");
    assert_int_equal(e.result.artifacts_found, 0);
    assert_string_equal(e.error, "root_hint: there is no folder nowhere in the repository");
    e.waits = false;
    errand_end(&e);
    shop_settle(&w);
    shop_close(&w);
}

static void one_artifact_is_not_made_of_a_folder_that_is_not_there(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/tools\",\"root_hint\":\"skills/pdf\","
                                     "\"single_artifact_mode\":true,\"single_artifact_type\":\"skill\"}"),
                     0);
    assert_catalogue(&w, ACME, "skill pdf skills/pdf new\n");
    fake_remove(r, "skills/pdf/SKILL.md");
    fake_commit(r);
    assert_str(shop_rescan(&w, ACME).status, "error");
    source s = shop_source(&w, &a, ACME);
    assert_str(s.last_error, "root_hint: there is no folder skills/pdf in the repository");
    assert_true(s.next_scan_at > SHOP_NOW + SHOP_INTERVAL / 2); /* that is not mended by asking again */
    assert_catalogue(&w, ACME, "skill pdf skills/pdf new\n");
    assert_int_equal(shop_change(&w, ACME, "{\"root_hint\":\"\"}"), 0);
    assert_str(shop_rescan(&w, ACME).status, "success");
    assert_catalogue(&w, ACME, "skill pdf skills/pdf removed\nskill tools . new\n");
    arena_done(&a);
    shop_close(&w);
}

/* ---- again, after a failure ---- */
static void who_asks_by_hand_puts_no_retry_off(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    stock(&w, "acme", "tools");
    w.github.is_dead = true;
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    const source before = shop_source(&w, &a, ACME);
    for (int i = 0; i < 8; i++)
        assert_str(shop_rescan(&w, ACME).status, "error");
    const source after = shop_source(&w, &a, ACME);
    assert_int_equal(after.failed_scans, 1);
    assert_int_equal(after.next_scan_at, before.next_scan_at);
    arena_done(&a);
    shop_close(&w);
}

static void what_may_pass_is_tried_again_ever_later(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    stock(&w, "acme", "tools");
    w.github.is_dead = true;
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    for (int n = 0; n < 12; n++) {
        const source s = shop_source(&w, &a, ACME);
        const int64_t delay = MINUTES(1) << n < SHOP_INTERVAL ? MINUTES(1) << n : SHOP_INTERVAL;
        assert_str(s.scan_status, "error");
        assert_int_equal(w.github.asked_in_all, n + 1);
        assert_in_range(s.next_scan_at - s.updated_at, delay * 9 / 10, delay * 11 / 10);
        shop_pass(&w, s.next_scan_at - clk_wall_ms(&w.clock.base) - 1);
        assert_int_equal(w.github.asked_in_all, n + 1);
        for (int i = 0; i <= 60 && (int)w.github.asked_in_all == n + 1; i++) /* it looks once a minute */
            shop_pass(&w, SECONDS(1));
    }
    w.github.is_dead = false;
    shop_pass(&w, SHOP_INTERVAL * 2);
    source s = shop_source(&w, &a, ACME);
    assert_str(s.scan_status, "success");
    assert_in_range(s.next_scan_at - s.updated_at, SHOP_INTERVAL * 9 / 10, SHOP_INTERVAL * 11 / 10);
    assert_int_equal(s.failed_scans, 0);
    arena_done(&a);
    shop_close(&w);
}

/* ---- a stop ---- */
static void however_many_a_stop_cut_off_all_are_taken_up_again(void **state)
{
    (void)state;
    shop w;
    enum { MANY = 100 };
    char body[100], id[40];
    shop_open(&w);
    w.github.hold = ASK_REPOSITORY;
    for (int i = 0; i < MANY; i++) {
        errand e;
        char name[20];
        snprintf(name, sizeof(name), "repo%d", i);
        stock(&w, "acme", name);
        snprintf(body, sizeof(body), "{\"repo_url\":\"https://github.com/acme/repo%d\"}", i);
        errand_create(&e, &w, body);
        assert_int_equal(errand_wait(&e), 0);
        errand_end(&e);
    }
    assert_int_equal(sources_stats_of(w.sources)->queued, MANY - w.options.concurrency);
    shop_restart(&w);
    assert_int_equal(sources_stats_of(w.sources)->queued, 0);
    w.github.hold = ASK_NONE;
    shop_settle(&w);
    assert_int_equal(sources_stats_of(w.sources)->succeeded, MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "src_acme_repo%d", i);
        assert_status(&w, id, "success");
    }
    shop_close(&w);
}

/* ---- no memory ---- */
typedef void act(shop *w, errand *e);

static void act_create(shop *w, errand *e)
{
    sources_create(w->sources, &e->task);
}
static void act_rescan(shop *w, errand *e)
{
    sources_rescan(w->sources, &e->task);
}
static void act_change(shop *w, errand *e)
{
    sources_change(w->sources, &e->task);
}
static void act_remove(shop *w, errand *e)
{
    sources_remove(w->sources, &e->task);
}

/* What is asked for, the n-th allocation failing; then there is memory again, and time. */
static bool try_with_fault(shop *w, errand *e, act *what, long n)
{
    mem_fail_at(n);
    what(w, e);
    peer_run_until(w->loop, e->done > 0);
    shop_settle(w);
    const bool failed = mem_failed();
    mem_fail_at(-1);
    assert_int_equal(e->done, 1);
    shop_pass(w, SECONDS(3));  /* what is written again */
    shop_pass(w, MINUTES(2)); /* and what was missed is found by the timer */
    return failed;
}

static void no_scan_left(shop *w)
{
    const sources_stats *st = sources_stats_of(w->sources);
    assert_int_equal(st->running + st->queued + st->waiting, 0);
    assert_int_equal(w->sources->scans, 0);
}

static void until_it_succeeds(shop *w)
{
    arena a;
    arena_init(&a, 0);
    source s = shop_source(w, &a, ACME);
    if (!str_eq(s.scan_status, STR("success"))) {
        assert_str(s.scan_status, "error");
        assert_true(s.last_error.n > 0);
        assert_str(shop_rescan(w, ACME).status, "success");
    }
    arena_done(&a);
}

static void no_memory_while_a_source_is_made_and_scanned_is_survived(void **state)
{
    static const char *const bodies[] = {
        "{\"repo_url\":\"https://github.com/acme/tools\",\"access_token\":\"t\",\"import_repo_readme\":true}",
        "{\"repo_url\":\"https://github.com/acme/tools\",\"manual_map\":{\"commands\":\"agent\"}}"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        shop w;
        shop_open(&w);
        fake_repo *r = stock(&w, "acme", "tools");
        r->truncated = i == 1;
        bool failed = true;
        for (long n = 0; failed; n++) {
            errand e;
            errand_begin(&e, &w, NULL);
            e.task.manual_map = errand_body(&e, &source_create_schema, bodies[i], &e.create);
            e.task.create = &e.create;
            failed = try_with_fault(&w, &e, act_create, n);
            assert_true(e.task.status == 0 || e.task.status == -ENOMEM || e.task.status == -EREMOTEIO);
            assert_true(shop_has(&w, ACME) == (e.task.status == 0));
            no_scan_left(&w);
            if (e.task.status == 0) {
                until_it_succeeds(&w);
                if (i == 1)
                    assert_catalogue(&w, ACME, "agent deploy commands/deploy.md new\nskill pdf skills/pdf new\n");
                else
                    assert_catalogue(&w, ACME, "command deploy commands/deploy.md new\nskill pdf skills/pdf new\n");
                assert_shown_is_stored(&w);
                assert_int_equal(shop_remove(&w, ACME), 0);
            }
            errand_end(&e);
            assert_true(n < 2000);
        }
        shop_close(&w);
    }
}

static void no_memory_while_a_source_is_scanned_again_is_survived(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    bool failed = true;
    for (long n = 0; failed; n++) {
        errand e;
        if (n % 2 == 0)
            fake_remove(r, "commands/deploy.md");
        else
            fake_put(r, "commands/deploy.md", "# Deploy\n");
        fake_commit(r);
        errand_begin(&e, &w, ACME);
        failed = try_with_fault(&w, &e, act_rescan, n);
        assert_true(e.task.status == 0 || e.task.status == -ENOMEM);
        no_scan_left(&w);
        if (e.task.status < 0)
            assert_str(shop_rescan(&w, ACME).status, "success");
        until_it_succeeds(&w);
        arena a;
        arena_init(&a, 0);
        assert_int_equal(shop_source(&w, &a, ACME).artifact_count, n % 2 == 0 ? 1 : 2);
        arena_done(&a);
        assert_shown_is_stored(&w);
        errand_end(&e);
        assert_true(n < 2000);
    }
    shop_close(&w);
}

static void no_memory_while_a_source_is_changed_or_removed_is_survived(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    bool failed = true;
    for (long n = 0; failed; n++) {
        errand e;
        char body[200];
        snprintf(body, sizeof(body),
                 "{\"notes\":\"%ld\",\"import_repo_description\":true,\"manual_map\":{\"skills\":\"agent\"}}", n);
        errand_begin(&e, &w, ACME);
        e.task.manual_map = errand_body(&e, &source_update_schema, body, &e.update);
        e.task.update = &e.update;
        failed = try_with_fault(&w, &e, act_change, n);
        assert_true(e.task.status == 0 || e.task.status == -ENOMEM || e.task.status == -EREMOTEIO);
        no_scan_left(&w);
        arena_init(&a, 0);
        snprintf(body, sizeof(body), "%ld", n);
        const str notes = shop_source(&w, &a, ACME).notes;
        assert_true(str_eq(notes, str_c(body)) == (e.task.status == 0));
        arena_done(&a);
        errand_end(&e);
        assert_true(n < 2000);
    }
    failed = true;
    for (long n = 0; failed; n++) {
        errand e;
        errand_begin(&e, &w, ACME);
        failed = try_with_fault(&w, &e, act_remove, n);
        assert_true(e.task.status == 0 || e.task.status == -ENOMEM);
        assert_true(shop_has(&w, ACME) == (e.task.status < 0));
        if (e.task.status == 0)
            assert_int_equal(shop_create(&w, CREATE_ACME), 0);
        else
            until_it_succeeds(&w);
        assert_shown_is_stored(&w);
        errand_end(&e);
    }
    shop_close(&w);
}

/* ---- no room ---- */
static void many_skills(fake_repo *r, int from, int to, const char *text)
{
    char path[100];
    for (int i = from; i < to; i++) {
        snprintf(path, sizeof(path), "skills/skill-%04d/SKILL.md", i);
        if (text)
            fake_put(r, path, text);
        else
            fake_remove(r, path);
        if (text) { /* no two the same */
            snprintf(path, sizeof(path), "skills/skill-%04d/n.txt", i);
            char number[20];
            snprintf(number, sizeof(number), "%d", i);
            fake_put(r, path, number);
        } else {
            snprintf(path, sizeof(path), "skills/skill-%04d/n.txt", i);
            fake_remove(r, path);
        }
    }
    fake_commit(r);
}

/* The store looks for room by a clock of its own. */
static void until_there_is_room(shop *w)
{
    for (int i = 0; i < 1000 && (!store_is_writable(w->store) || w->sources->scans > 0); i++) {
        shop_pass(w, SECONDS(1));
        usleep(2000);
    }
    assert_true(store_is_writable(w->store));
    shop_settle(w);
}

static void a_first_catalogue_that_does_not_fit_is_taken_back(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    shop_stop(&w);
    shop_close_store(&w);
    shop_open_store(&w, 4 * MIB);
    shop_open_sources(&w);
    fake_repo *r = fake_repo_new(&w.github, "acme", "tools");
    w.github.piece = 1 << 20;
    many_skills(r, 0, 2500, "---\nname: x\ndescription: A skill that takes some room in the store\n---\n");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    until_there_is_room(&w);
    source s = shop_source(&w, &a, ACME);
    assert_str(s.scan_status, "error");
    assert_str(s.last_error, "the catalogue could not be written: the store is full");
    assert_int_equal(s.artifact_count, 0);
    assert_catalogue(&w, ACME, "");
    assert_int_equal(w.n_shown, 0);
    assert_int_equal(check_faults(w.store, NULL), 0);

    many_skills(r, 200, 2500, NULL);
    const scan_result found = shop_rescan(&w, ACME);
    assert_str(found.status, "success");
    assert_int_equal(found.new_count, 200);
    assert_int_equal(w.n_shown, 200);
    assert_shown_is_stored(&w);

    /* A later one that does not fit: what there was stays, as far as it was not changed already. */
    many_skills(r, 200, 2500, "---\nname: y\n---\n");
    errand e;
    errand_rescan(&e, &w, ACME);
    assert_int_equal(errand_wait(&e), 0);
    errand_end(&e);
    until_there_is_room(&w);
    s = shop_source(&w, &a, ACME);
    assert_str(s.scan_status, "error");
    assert_int_equal(s.artifact_count, 200);
    assert_int_equal(w.n_shown, 200);
    assert_shown_is_stored(&w);
    many_skills(r, 150, 2500, NULL);
    assert_str(shop_rescan(&w, ACME).status, "success");
    assert_int_equal(shop_source(&w, &a, ACME).artifact_count, 150);
    assert_shown_is_stored(&w);
    arena_done(&a);
    shop_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_quota_a_scan_waits_and_goes_on_where_it_was),
        cmocka_unit_test(many_scans_share_what_is_left_and_all_come_to_an_end),
        cmocka_unit_test(a_github_that_never_stops_refusing_is_asked_ever_less),
        cmocka_unit_test(an_archive_that_is_cut_off_is_begun_anew_twice_at_most),
        cmocka_unit_test(a_wait_for_quota_is_one_wait_across_a_restart),
        cmocka_unit_test(another_configuration_ends_the_wait_for_quota),
        cmocka_unit_test(links_are_not_followed_and_the_result_names_them),
        cmocka_unit_test(a_root_that_is_not_there_is_told_of),
        cmocka_unit_test(one_artifact_is_not_made_of_a_folder_that_is_not_there),
        cmocka_unit_test(what_may_pass_is_tried_again_ever_later),
        cmocka_unit_test(who_asks_by_hand_puts_no_retry_off),
        cmocka_unit_test(however_many_a_stop_cut_off_all_are_taken_up_again),
        cmocka_unit_test(no_memory_while_a_source_is_made_and_scanned_is_survived),
        cmocka_unit_test(no_memory_while_a_source_is_scanned_again_is_survived),
        cmocka_unit_test(no_memory_while_a_source_is_changed_or_removed_is_survived),
        cmocka_unit_test(a_first_catalogue_that_does_not_fit_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
