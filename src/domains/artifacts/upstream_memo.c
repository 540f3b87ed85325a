/* What is remembered of answers: one is good for all who come soon after, and a failure is not repeated at once. */
#include "question.h"

#include "larder/hash.h"

#define RETRY_MS SECONDS(5)

int64_t upstream_backoff(unsigned failures, int64_t cap)
{
    const int64_t full = failures < 20 ? RETRY_MS << failures : cap, most = full < cap ? full : cap;

    return most - (int64_t)random_below((uint64_t)most / 4 + 1);
}

/* Its own, or the one it may have instead: the oldest of its set. */
static upstream_memo *memo_of(upstream *u, str name, bool *ret_is_its)
{
    const uint64_t hash = hash64(name.p, name.n);
    upstream_memo *set = u->memos[hash % UPSTREAM_MEMO_SETS], *oldest = set;

    *ret_is_its = true;
    for (size_t i = 0; i < UPSTREAM_MEMO_WAYS; i++) {
        upstream_memo *m = &set[i];
        if (m->answered && m->hash == hash)
            return m;
        if (oldest->answered && (!m->answered || m->answered < oldest->answered))
            oldest = m;
    }
    *ret_is_its = false;
    return oldest;
}

static int64_t retry_at(upstream *u, const upstream_memo *m)
{
    return loop_now_wall_ms(u->loop) + m->retry - loop_now_mono_ms(u->loop);
}

/* Who wanted a newer answer got none: what is remembered is too old for those who come next as well. */
static void memo_doubt(upstream *u, str name)
{
    bool is_its;
    upstream_memo *m = memo_of(u, name, &is_its);

    if (is_its)
        m->answered = INT64_MIN;
}

/* A failure is one step, but only where its time had come: what is asked before it, and what was not asked at all, says
 * nothing new. */
static void memo_step(const question *q, const upstream_memo *was, upstream_memo *m)
{
    const upstream *u = q->owner;
    const int64_t now = loop_now_mono_ms(u->loop);

    if (was->failures > 0 && now < was->retry) {
        m->failures = was->failures;
        m->retry = was->retry;
        return;
    }
    m->failures = was->failures + (was->failures == 0 || !q->not_asked);
    m->retry = now + upstream_backoff(m->failures - 1, q->is_refused ? u->retry_refused_ms : u->retry_max_ms);
}

/* What is too long ends with a whole word. */
static void memo_note(upstream_memo *m, str why)
{
    static const char ELLIPSIS[] = " \xe2\x80\xa6";
    const size_t room = sizeof(m->why) - sizeof(ELLIPSIS);
    const bool fits = why.n <= room;

    if (!fits) {
        const ptrdiff_t space = str_rchr(str_head(why, room), ' ');
        why = space > 0 ? str_head(why, (size_t)space) : utf8_head(why, room / 4);
    }
    if (why.n)
        memcpy(m->why, why.p, why.n);
    memcpy(m->why + why.n, fits ? "" : ELLIPSIS, fits ? 1 : sizeof(ELLIPSIS));
}

void memo_set(question *q)
{
    upstream *u = q->owner;
    bool is_its;
    upstream_memo *m = memo_of(u, q->name, &is_its);

    if (q->outcome == UPSTREAM_LIMITED)
        memo_doubt(u, q->name);
    if (q->outcome == UPSTREAM_CANCELLED || q->outcome == UPSTREAM_LIMITED ||
        (q->skips_commit && q->outcome == UPSTREAM_TOLD))
        return;
    const upstream_memo was = is_its ? *m : (upstream_memo){0};
    *m = (upstream_memo){.hash = hash64(q->name.p, q->name.n), .answered = q->begun, .outcome = q->outcome};
    if (q->outcome == UPSTREAM_FAILED) {
        memo_step(q, &was, m);
        q->retry_at = retry_at(u, m);
    }
    memo_note(m, q->why);
}

bool memo_answers(upstream *u, upstream_wait *w, bool *ret_is_new)
{
    const int64_t mono = loop_now_mono_ms(u->loop), wall = loop_now_wall_ms(u->loop);
    char as[GITHUB_FINGERPRINT_LEN + 1];
    bool is_its;
    const upstream_memo *m = memo_of(u, w->name, &is_its);
    const bool is_new = is_its && m->answered >= w->since;

    /* A failure is no answer that stays good: the patient wait for its time, not longer. */
    const bool is_missing = is_its && m->outcome == UPSTREAM_MISSING && m->answered > w->doubted &&
                            mono < m->answered + UPSTREAM_MISSING_MS;
    const bool is_good = is_its && m->failures > 0 && w->patient ? mono < m->retry : is_new || is_missing;

    *ret_is_new = is_new && m->outcome == UPSTREAM_TOLD;
    if (is_good && m->outcome != UPSTREAM_TOLD) {
        w->outcome = m->outcome;
        w->why = str_c(m->why);
        w->retry_at = m->outcome == UPSTREAM_FAILED ? retry_at(u, m) : 0;
        return true;
    }
    github_fingerprint(u->github, STR_NULL, as);
    if (wall < u->quota_at && strcmp(as, u->quota_of) == 0 && !*ret_is_new) {
        memo_doubt(u, w->name);
        w->outcome = UPSTREAM_LIMITED;
        w->retry_at = u->quota_at;
        return true;
    }
    return false;
}

void upstream_forget(upstream *u)
{
    for (size_t i = 0; i < UPSTREAM_MEMO_SETS; i++)
        for (size_t j = 0; j < UPSTREAM_MEMO_WAYS; j++)
            if (u->memos[i][j].answered) /* writing to all would make them resident */
                u->memos[i][j].answered = 0;
    u->quota_at = 0;
}
