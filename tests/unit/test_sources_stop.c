/* Scans and tasks that are cut off: by a stop, a removal, a client that leaves, in every state;
 * and what comes of it. */
#include <semaphore.h>

#include "shop.h"

#define ACME "src_acme_tools"
#define CREATE_ACME "{\"repo_url\":\"https://github.com/acme/tools\"}"
#define CREATE_MAPPED "{\"repo_url\":\"https://github.com/acme/tools\",\"manual_map\":{\"docs\":\"command\"}}"

static fake_repo *stock(shop *w, const char *owner, const char *name)
{
    fake_repo *r = fake_repo_new(&w->github, owner, name);
    fake_put(r, "skills/pdf/SKILL.md", "---\nname: pdf\n---\n");
    fake_put(r, "docs/how.md", "# How\n");
    fake_commit(r);
    return r;
}

/* ---- every state ---- */
enum {
    AT_QUEUE, /* behind others */
    AT_REPOSITORY,
    AT_COMMIT,
    AT_TREE,
    AT_FILES, /* the job that takes the tree */
    AT_ARCHIVE,
    AT_FEED,
    AT_DETECT,
    AT_WRITE,
    AT_WAIT_NOTED,
    AT_WAIT,
    AT_QUEUE_AGAIN, /* the wait is over, others run */
    PLACES
};

static scan *the_scan(shop *w)
{
    return scan_find(w->sources, STR(ACME));
}

static bool scan_is_at(shop *w, unsigned state, bool works)
{
    const scan *sc = the_scan(w);
    return sc && sc->state == state && (sc->job.impl != NULL || sc->reading.reads) == works;
}

/* Others that use up the room for scans and don't come to an end. */
static void crowd(shop *w)
{
    w->sources->o.concurrency = w->options.concurrency = 1; /* sources_configure would end waits */
    fake_repo_new(&w->github, "other", "one");
    errand e;
    w->github.hold = ASK_REPOSITORY;
    errand_create(&e, w, "{\"repo_url\":\"https://github.com/other/one\"}");
    assert_int_equal(errand_wait(&e), 0);
    errand_end(&e);
    peer_run_until(w->loop, fake_holds(&w->github));
}

/* Jobs that keep all workers busy, so that a scan's job stays where it is. */
static struct plug {
    job jobs[2];
    sem_t go_on;
    unsigned ended;
    bool is_in;
} plug;

static void plug_work(job *j)
{
    (void)j;
    assert_int_equal(sem_wait(&plug.go_on), 0);
}

static void plug_done(job *j, int status)
{
    (void)j;
    (void)status;
    plug.ended++;
}

static void plug_in(shop *w)
{
    plug = (struct plug){.is_in = true};
    assert_int_equal(sem_init(&plug.go_on, 0, 0), 0);
    for (size_t i = 0; i < COUNT_OF(plug.jobs); i++)
        assert_int_equal(loop_job(w->loop, &plug.jobs[i], plug_work, plug_done), 0);
}

static void plug_out(shop *w)
{
    if (!plug.is_in)
        return;
    for (size_t i = 0; i < COUNT_OF(plug.jobs); i++)
        assert_int_equal(sem_post(&plug.go_on), 0);
    peer_run_until(w->loop, plug.ended == COUNT_OF(plug.jobs));
    sem_destroy(&plug.go_on);
    plug.is_in = false;
}

static void until_job(shop *w, unsigned state)
{
    peer_run_until(w->loop, scan_is_at(w, state, true));
}

static void limit_commits(shop *w)
{
    w->github.fail_kind = ASK_COMMIT;
    w->github.fail_result = GITHUB_RATE_LIMITED;
    w->github.retry_after = MINUTES(10);
    w->github.fail_times = 1;
}

static void until_wait(shop *w)
{
    for (int i = 0; i < 1000000 && !scan_is_at(w, SCAN_WAIT, false); i++)
        loop_run_once(w->loop, false);
    assert_true(scan_is_at(w, SCAN_WAIT, false));
}

static void bring_to(shop *w, int place)
{
    static const int held[PLACES] = {
        [AT_QUEUE] = ASK_REPOSITORY, [AT_REPOSITORY] = ASK_REPOSITORY, [AT_COMMIT] = ASK_COMMIT,
        [AT_TREE] = ASK_TREE,        [AT_FILES] = ASK_NONE,            [AT_ARCHIVE] = ASK_ARCHIVE,
        [AT_FEED] = ASK_ARCHIVE,     [AT_DETECT] = ASK_ARCHIVE,        [AT_WRITE] = ASK_NONE,
        [AT_WAIT_NOTED] = ASK_NONE,  [AT_WAIT] = ASK_NONE,             [AT_QUEUE_AGAIN] = ASK_NONE};
    errand e;
    if (place == AT_QUEUE)
        crowd(w);
    if (place == AT_FILES)
        plug_in(w);
    w->github.hold = held[place];
    w->github.piece = place == AT_DETECT ? 100000 : 20;
    if (place >= AT_WAIT_NOTED)
        limit_commits(w);
    errand_create(&e, w, CREATE_ACME);
    assert_int_equal(errand_wait(&e), 0);
    errand_end(&e);
    switch (place) {
    case AT_QUEUE:
        assert_int_equal(the_scan(w)->state, SCAN_QUEUED);
        break;
    case AT_REPOSITORY:
    case AT_COMMIT:
    case AT_TREE:
        peer_run_until(w->loop, fake_holds(&w->github));
        break;
    case AT_FILES:
        until_job(w, SCAN_TREE);
        break;
    case AT_ARCHIVE:
        peer_run_until(w->loop, fake_holds(&w->github) && !the_scan(w)->reading.reads);
        break;
    case AT_FEED:
        peer_run_until(w->loop, fake_holds(&w->github) && !the_scan(w)->reading.reads);
        plug_in(w);
        fake_release(&w->github);
        until_job(w, SCAN_ARCHIVE);
        break;
    case AT_DETECT: /* all is read, but GitHub has not said that it was all */
        peer_run_until(w->loop, fake_holds(&w->github) && !the_scan(w)->reading.reads);
        plug_in(w);
        fake_release(&w->github);
        until_job(w, SCAN_DETECT);
        break;
    case AT_WRITE:
        for (int i = 0; i < 1000000 && !scan_is_at(w, SCAN_WRITE, false); i++)
            loop_run_once(w->loop, false);
        assert_true(scan_is_at(w, SCAN_WRITE, false));
        break;
    case AT_WAIT_NOTED:
        until_wait(w);
        break;
    case AT_WAIT:
        until_wait(w);
        shop_settle(w);
        break;
    default:
        until_wait(w);
        shop_settle(w);
        crowd(w);
        fake_clk_advance(&w->clock, MINUTES(11));
        peer_run_until(w->loop, the_scan(w)->state == SCAN_QUEUED);
    }
}

static void a_stop_ends_a_scan_wherever_it_is_and_it_is_taken_up_again(void **state)
{
    (void)state;
    for (int place = 0; place < PLACES; place++) {
        shop w;
        shop_open(&w);
        stock(&w, "acme", "tools");
        bring_to(&w, place);
        shop_begin_stop(&w);
        plug_out(&w);
        shop_end_stop(&w);
        if (place != AT_WRITE) /* the writer may have been faster */
            assert_status(&w, ACME, "scanning");
        w.github.hold = w.github.fail_kind = ASK_NONE;
        w.options.concurrency = 3;
        shop_open_sources(&w);
        shop_settle(&w);
        assert_status(&w, ACME, "success");
        assert_catalogue(&w, ACME, "skill pdf skills/pdf new\n");
        if (place == AT_WRITE)
            shop_relearn(&w); /* a stop tells search no more */
        assert_shown_is_stored(&w);
        shop_close(&w);
    }
}

static void a_removal_ends_a_scan_wherever_it_is(void **state)
{
    (void)state;
    for (int place = 0; place < PLACES; place++) {
        shop w;
        errand e, waiting;
        shop_open(&w);
        stock(&w, "acme", "tools");
        bring_to(&w, place);
        errand_begin(&waiting, &w, ACME);
        waiting.waiter.on_end = errand_on_end;
        assert_true(sources_wait(w.sources, STR(ACME), &waiting.waiter));
        errand_remove(&e, &w, ACME);
        assert_int_equal(waiting.ended, 0);
        plug_out(&w);
        assert_int_equal(errand_wait(&e), 0);
        errand_end(&e);
        assert_false(shop_has(&w, ACME));
        peer_run_until(w.loop, waiting.ended > 0);
        assert_true(waiting.cut);
        arena_done(&waiting.arena);
        fake_release(&w.github);
        w.github.fail_kind = ASK_NONE;
        shop_settle(&w);
        assert_int_equal(w.n_shown, 0);
        store_view *v = store_read_begin(w.store);
        assert_int_equal(store_count(v, &entries_ks), 0);
        assert_false(store_has(v, &validators_ks, STR(ACME)));
        store_read_end(v);

        assert_int_equal(shop_create(&w, CREATE_ACME), 0); /* and it can come back at once */
        assert_catalogue(&w, ACME, "skill pdf skills/pdf new\n");
        assert_shown_is_stored(&w);
        shop_close(&w);
    }
}

static void a_source_may_come_back_while_its_cut_off_scan_still_ends(void **state)
{
    (void)state;
    shop w;
    errand removing, creating;
    shop_open(&w);
    stock(&w, "acme", "tools");
    bring_to(&w, AT_DETECT);
    errand_remove(&removing, &w, ACME);
    peer_run_until(w.loop, removing.done);
    errand_create(&creating, &w, CREATE_ACME);
    assert_int_equal(errand_wait(&creating), 0);
    plug_out(&w);
    shop_settle(&w);
    assert_status(&w, ACME, "success");
    errand_end(&removing);
    errand_end(&creating);
    shop_close(&w);
}

/* ---- tasks ---- */
enum { CHECK_QUEUE, CHECK_REPOSITORY, CHECK_TREE, CHECK_FILES, CHECK_PLACES };

static bool checks_files(shop *w)
{
    for (list *l = w->sources->active.next; l != &w->sources->active; l = l->next)
        if (CONTAINER_OF(l, scan, link)->job.impl)
            return true;
    return false;
}

static void a_client_that_leaves_ends_the_look_at_the_tree(void **state)
{
    (void)state;
    for (int place = 0; place < CHECK_PLACES; place++)
        for (int by_stop = 0; by_stop < 2; by_stop++) {
            shop w;
            errand e;
            shop_open(&w);
            stock(&w, "acme", "tools");
            if (place == CHECK_QUEUE)
                crowd(&w);
            else if (place == CHECK_FILES)
                plug_in(&w);
            else
                w.github.hold = place == CHECK_TREE ? ASK_TREE : ASK_REPOSITORY;
            errand_create(&e, &w, CREATE_MAPPED);
            peer_run_until(w.loop, place == CHECK_FILES ? checks_files(&w) : fake_holds(&w.github));
            if (by_stop)
                shop_begin_stop(&w);
            else
                sources_cancel(&e.task);
            assert_int_equal(e.done, 0);
            plug_out(&w);
            if (by_stop)
                shop_end_stop(&w);
            assert_int_equal(errand_wait(&e), -ECANCELED);
            errand_end(&e);
            assert_false(shop_has(&w, ACME));
            fake_release(&w.github);
            shop_close(&w);
        }
}

static void a_change_that_waits_for_github_is_made_without_it_when_the_client_leaves(void **state)
{
    (void)state;
    for (int by_stop = 0; by_stop < 2; by_stop++) {
        shop w;
        arena a;
        errand e;
        shop_open(&w);
        arena_init(&a, 0);
        stock(&w, "acme", "tools");
        assert_int_equal(shop_create(&w, CREATE_ACME), 0);
        w.github.hold = ASK_REPOSITORY;
        errand_change(&e, &w, ACME,
                      "{\"import_repo_description\":true,\"import_repo_readme\":true,\"notes\":\"written\"}");
        peer_run_until(w.loop, fake_holds(&w.github));
        if (by_stop)
            shop_stop(&w);
        else
            sources_cancel(&e.task);
        assert_int_equal(errand_wait(&e), 0);
        errand_end(&e);
        assert_str(shop_source(&w, &a, ACME).notes, "written");
        assert_int_equal(w.github.asked[ASK_README], 0);
        arena_done(&a);
        shop_close(&w);
    }
}

static void a_stop_waits_for_writes_and_leaves_no_scan_behind(void **state)
{
    (void)state;
    shop w;
    errand creating, rescanning, removing;
    shop_open(&w);
    stock(&w, "acme", "tools");
    stock(&w, "acme", "more");
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/more\"}"), 0);
    const unsigned asked = w.github.asked_in_all;
    errand_create(&creating, &w, CREATE_ACME);
    errand_rescan(&rescanning, &w, "src_acme_more");
    errand_remove(&removing, &w, "src_acme_none");
    shop_stop(&w);
    assert_int_equal(creating.task.status, 0);
    assert_int_equal(rescanning.task.status, 0);
    assert_int_equal(removing.task.status, -ENOENT);
    assert_int_equal(w.github.asked_in_all, asked);
    assert_status(&w, ACME, "scanning");
    assert_status(&w, "src_acme_more", "scanning");
    errand_end(&creating);
    errand_end(&rescanning);
    errand_end(&removing);
    shop_open_sources(&w);
    shop_settle(&w);
    assert_status(&w, ACME, "success");
    assert_status(&w, "src_acme_more", "success");
    shop_close(&w);
}

/* ---- two at once ---- */
static void of_two_that_register_a_repository_one_does(void **state)
{
    static const char *const bodies[][2] = {{CREATE_ACME, CREATE_ACME},
                                            {CREATE_MAPPED, CREATE_ACME},
                                            {CREATE_ACME, CREATE_MAPPED},
                                            {CREATE_MAPPED, CREATE_MAPPED}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        shop w;
        errand a, b;
        shop_open(&w);
        fake_repo *r = stock(&w, "acme", "tools");
        errand_create(&a, &w, bodies[i][0]);
        errand_create(&b, &w, bodies[i][1]);
        peer_run_until(w.loop, a.done && b.done);
        assert_int_equal(a.task.status + b.task.status, -EEXIST);
        assert_str(a.task.ret_id, ACME);
        assert_str(b.task.ret_id, ACME);
        errand_end(&a);
        errand_end(&b);
        shop_settle(&w);
        assert_status(&w, ACME, "success");
        assert_int_equal(r->asked[ASK_ARCHIVE], 1);
        assert_int_equal(sources_stats_of(w.sources)->succeeded, 1);
        shop_close(&w);
    }
}

static void a_source_that_is_scanning_is_not_scanned_again(void **state)
{
    (void)state;
    shop w;
    errand a, b;
    shop_open(&w);
    stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    errand_rescan(&a, &w, ACME);
    errand_rescan(&b, &w, ACME);
    peer_run_until(w.loop, a.done && b.done);
    assert_int_equal(a.task.status, 0);
    assert_int_equal(b.task.status, -EBUSY);
    errand_end(&a);
    errand_end(&b);
    shop_settle(&w);
    errand_rescan(&a, &w, "src_acme_none");
    assert_int_equal(errand_wait(&a), -ENOENT);
    errand_end(&a);
    shop_close(&w);
}

static void a_map_is_held_against_the_tree_while_a_scan_goes_on(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    stock(&w, "acme", "tools");
    bring_to(&w, AT_ARCHIVE);
    errand e;
    errand_change(&e, &w, ACME, "{\"manual_map\":{\"docs\":\"command\",\"nowhere\":\"agent\"}}");
    assert_int_equal(errand_wait(&e), -EINVAL);
    assert_str(e.task.why, "Invalid directory path(s) not found in repository: 'nowhere'");
    errand_end(&e);
    assert_int_equal(shop_change(&w, ACME, "{\"manual_map\":{\"docs\":\"command\"}}"), 0);
    assert_status(&w, ACME, "scanning");
    fake_release(&w.github);
    shop_settle(&w);
    assert_catalogue(&w, ACME, "skill pdf skills/pdf new\n"); /* begun before the change */
    assert_int_equal(shop_source(&w, &a, ACME).manual_map.n, 1);
    assert_int_equal(shop_rescan(&w, ACME).new_count, 1); /* which the next scan knows */
    assert_catalogue(&w, ACME, "command how docs/how.md new\nskill pdf skills/pdf new\n");

    /* Of a commit that is known GitHub only says that it is still the same, which costs no quota. */
    const unsigned not_modified = w.github.not_modified;
    assert_int_equal(shop_change(&w, ACME, "{\"manual_map\":{\"skills\":\"agent\"}}"), 0);
    assert_int_equal(w.github.not_modified, not_modified + 1);
    errand_change(&e, &w, ACME, "{\"manual_map\":{\"nowhere\":\"agent\"}}");
    assert_int_equal(errand_wait(&e), -EINVAL);
    errand_end(&e);
    arena_done(&a);
    shop_close(&w);
}

static void a_map_is_accepted_where_nobody_can_tell(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *r = stock(&w, "acme", "tools");
    r->truncated = true;
    assert_int_equal(shop_create(&w, CREATE_MAPPED), 0);
    assert_catalogue(&w, ACME, "command how docs/how.md new\nskill pdf skills/pdf new\n");
    w.github.is_dead = true;
    errand e;
    errand_change(&e, &w, ACME, "{\"manual_map\":{\"skills\":\"agent\"}}");
    assert_int_equal(errand_wait(&e), -EREMOTEIO);
    assert_str(e.task.why, "GitHub could not be asked: connection refused");
    errand_end(&e);
    w.github.is_dead = false;
    w.github.quota = 0;
    w.github.quota_reset = SHOP_NOW + MINUTES(20);
    errand_change(&e, &w, ACME, "{\"manual_map\":{\"skills\":\"agent\"}}");
    assert_int_equal(errand_wait(&e), -EAGAIN);
    assert_int_equal(e.task.retry_at, SHOP_NOW + MINUTES(20));
    errand_end(&e);

    /* A new source is made all the same, and its scan waits. */
    assert_int_equal(shop_remove(&w, ACME), 0);
    assert_int_equal(shop_create(&w, CREATE_MAPPED), 0);
    assert_status(&w, ACME, "scanning");
    w.github.quota = 100;
    shop_pass(&w, MINUTES(20) + SECONDS(3));
    assert_status(&w, ACME, "success");
    assert_catalogue(&w, ACME, "command how docs/how.md new\nskill pdf skills/pdf new\n");
    shop_close(&w);
}

/* What GitHub says for certain is the client's mistake; of what it could not say nobody knows whose. */
static void a_map_for_what_is_not_there_is_refused_and_changes_nothing(void **state)
{
    static const struct {
        const char *body;
        int fail_kind;
        github_result with;
        int status;
        const char *why;
    } cases[] = {
        {"{\"ref\":\"gone\",\"manual_map\":{\"docs\":\"agent\"}}", ASK_NONE, GITHUB_OK, -EINVAL,
         "GitHub: ref 'gone' not found in acme/tools"},
        {"{\"manual_map\":{\"docs\":\"agent\"}}", ASK_COMMIT, GITHUB_FAILED, -EREMOTEIO, "GitHub does not want to"},
        {"{\"manual_map\":{\"docs\":\"agent\"}}", ASK_COMMIT, GITHUB_UNAUTHORIZED, -EREMOTEIO,
         "GitHub does not want to"},
        {"{\"manual_map\":{\"docs\":\"agent\"}}", ASK_TREE, GITHUB_FAILED, -EREMOTEIO, "GitHub does not want to"},
        {"{\"manual_map\":{\"docs\":\"agent\"}}", ASK_TREE, GITHUB_NOT_FOUND, -EREMOTEIO,
         "GitHub: the commit's tree is not there"},
    };
    (void)state;
    shop w;
    arena a;
    errand e;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        w.github.fail_kind = cases[i].fail_kind;
        w.github.fail_times = 1;
        w.github.fail_result = cases[i].with;
        errand_change(&e, &w, ACME, cases[i].body);
        assert_int_equal(errand_wait(&e), cases[i].status);
        assert_true(str_eq(e.task.why, str_c(cases[i].why)));
        errand_end(&e);
        shop_settle(&w);
        source s = shop_source(&w, &a, ACME);
        assert_str(s.ref, "main");
        assert_int_equal(s.manual_map.n, 0);
        assert_str(s.scan_status, "success");
        assert_int_equal(w.sources->scans, 0);
    }
    r->is_private = true; /* and is not seen any more: then its ref is not to blame */
    errand_change(&e, &w, ACME, "{\"ref\":\"main\",\"manual_map\":{\"docs\":\"agent\"}}");
    assert_int_equal(errand_wait(&e), -EINVAL);
    assert_str(e.task.why, "GitHub: repository not found, or not visible without a token that may read it");
    errand_end(&e);
    assert_int_equal(shop_remove(&w, ACME), 0);

    /* A new source is not made; without a map it would be, and say so (test_sources_scan.c). */
    errand_create(&e, &w, CREATE_MAPPED);
    assert_int_equal(errand_wait(&e), -EINVAL);
    errand_end(&e);
    r->is_private = false;
    errand_create(&e, &w, "{\"repo_url\":\"https://github.com/acme/tools\",\"ref\":\"gone\","
                          "\"manual_map\":{\"docs\":\"agent\"}}");
    assert_int_equal(errand_wait(&e), -EINVAL);
    assert_str(e.task.why, "GitHub: ref 'gone' not found in acme/tools");
    errand_end(&e);
    assert_false(shop_has(&w, ACME));
    shop_settle(&w);
    assert_int_equal(w.sources->scans, 0);
    arena_done(&a);
    shop_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_ends_a_scan_wherever_it_is_and_it_is_taken_up_again),
        cmocka_unit_test(a_removal_ends_a_scan_wherever_it_is),
        cmocka_unit_test(a_source_may_come_back_while_its_cut_off_scan_still_ends),
        cmocka_unit_test(a_client_that_leaves_ends_the_look_at_the_tree),
        cmocka_unit_test(a_change_that_waits_for_github_is_made_without_it_when_the_client_leaves),
        cmocka_unit_test(a_stop_waits_for_writes_and_leaves_no_scan_behind),
        cmocka_unit_test(of_two_that_register_a_repository_one_does),
        cmocka_unit_test(a_source_that_is_scanning_is_not_scanned_again),
        cmocka_unit_test(a_map_is_held_against_the_tree_while_a_scan_goes_on),
        cmocka_unit_test(a_map_is_accepted_where_nobody_can_tell),
        cmocka_unit_test(a_map_for_what_is_not_there_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
