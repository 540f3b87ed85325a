/* One page, from render_start to on_done.
 *
 *     looking up the host ── calling ─┬─ metadata, parsed on a worker ── HTML ─┬─ done
 *                                     └─ the JSON of a failure ───────────────┘
 *
 * While the metadata is parsed, and while the caller has us pause, the call is paused: what of the page has come
 * by then lies in `rest`. Nothing ends before the worker and our post have come back. */
#include "operation.h"

#include <stdio.h>

#define MARGIN_MS SECONDS(10)

const char *render_result_name(render_result r)
{
    static const char *const labels[] = {
#define NAME_OF(id, label) [RENDER_##id] = label,
        RENDER_RESULTS(NAME_OF)
#undef NAME_OF
    };
    return r >= 0 && r < RENDER_RESULT_COUNT ? labels[r] : "unknown";
}

/* ---- the end ---- */

static void operation_free(operation *x)
{
    client_call_done(&x->call);
    buf_done(&x->request);
    buf_done(&x->frame.metadata);
    buf_done(&x->error_json);
    buf_done(&x->rest);
    arena_done(&x->arena);
    mem_free(x);
}

void render_settle(operation *x, render_result result, const char *error_type, outcome how, const char *fmt, ...)
{
    render_op *op = x->op;
    char text[512];
    va_list args;

    if (x->settled)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    x->settled = true;
    x->outcome = how;
    op->result = result;
    op->error_type = str_c(error_type);
    op->why =
        x->service ? arena_printf(&op->arena, "%s: %s", x->service->url, text) : arena_dup(&op->arena, str_c(text));
    if (!op->why.p)
        op->why = STR("out of memory");
}

static void finish(operation *x)
{
    render_fleet *f = x->fleet;
    render_op *op = x->op;
    char why[RENDER_ERROR_TEXT] = "";

    if (x->cancelled) {
        x->settled = false;
        op->service_failed = false;
        render_settle(x, RENDER_CANCELLED, "cancelled", OUTCOME_NOTHING, "cancelled");
    }
    if (op->why.p)
        snprintf(why, sizeof(why), STR_FMT, STR_ARG(op->why));
    if (x->service)
        render_service_give_back(x->service, x->probe, x->outcome, why);
    list_remove(&x->link);
    operation_free(x);
    op->impl = NULL;
    op->on_done(op); /* the struct is the caller's again */
    render_fleet_tell_capacity(f);
    render_fleet_check_closed(f);
}

void render_finish_if_over(operation *x)
{
    if (x->ended && !x->parsing && !x->posted)
        finish(x);
}

/* ---- the page ---- */

/* The reader, or we, want no more of it: on_done follows. */
void render_stop(operation *x)
{
    if (x->calling)
        client_cancel(&x->call);
}

void render_give(operation *x, str piece)
{
    render_op *op = x->op;

    if (op->html_bytes + piece.n > RENDER_HTML_MAX) {
        render_settle(x, RENDER_FAILED, "response_too_large", OUTCOME_WELL, "the page is larger than 20 MiB");
        render_stop(x);
        return;
    }
    op->html_bytes += piece.n;
    if (piece.n > 0 && op->on_piece && op->on_piece(op, piece) < 0) {
        x->cancelled = true;
        render_stop(x);
    }
}

void render_tell_head(operation *x)
{
    x->has_head = true;
    if (x->op->on_head && x->op->on_head(x->op) < 0) {
        x->cancelled = true;
        render_stop(x);
    }
}

void render_no_memory(operation *x)
{
    render_settle(x, RENDER_FAILED_FOR_NOW, "out_of_memory", OUTCOME_NOTHING, "out of memory");
    render_stop(x);
}

/* Goes on after the metadata, or a pause, as far as the caller lets us. */
void render_go_on(operation *x)
{
    if (x->paused || x->ended)
        return;
    if (x->rest.n > 0 && !x->cancelled && !x->settled) {
        buf rest = x->rest;
        x->rest = BUF_INIT;
        render_give(x, buf_view(&rest));
        buf_done(&rest);
    }
    if (!x->paused && x->calling)
        client_resume(&x->call);
}

static void on_post(post *p)
{
    operation *x = CONTAINER_OF(p, operation, post);

    x->posted = false;
    render_go_on(x);
    render_finish_if_over(x);
}

static void post_turn(operation *x)
{
    if (x->posted)
        return;
    x->posted = true;
    x->post.fn = on_post;
    loop_post(x->fleet->loop, &x->post);
}

/* ---- the request ---- */

int64_t render_wait_of(const operation *x)
{
    const int64_t most = x->fleet->max_timeout_ms, wanted = x->op->timeout_ms;
    return wanted > 0 && wanted < most ? wanted : most;
}

/* Also when memory is short: the caller looks at the call's texts once, at the end. */
void render_add_header(operation *x, const char *name, str value)
{
    if (value.p)
        x->headers[x->call.n_headers++] =
            (client_header){arena_dup(&x->arena, str_c(name)), arena_dup(&x->arena, value)};
}

static int prepare(operation *x)
{
    int r = 0;

    x->call.headers = x->headers;
    x->call.keeps_redirects = true;
    x->call.connect_ms = CONNECT_MS;
    x->call.user = x;
    if (x->service)
        r = render_prepare_service(x);
    else
        render_prepare_origin(x);
    for (size_t i = 0; i < x->call.n_headers; i++)
        if (!x->headers[i].name.p || !x->headers[i].value.p)
            r = -ENOMEM;
    return r == 0 && !x->call.url.p ? -ENOMEM : r;
}

/* ---- the beginning ---- */

static int ask(operation *x)
{
    const int64_t left = x->deadline - loop_now_mono_ms(x->fleet->loop);

    x->call.total_ms = left > 1 ? left : 1;
    x->call.first_byte_ms = x->call.total_ms; /* a service says nothing while it renders */
    const int r = client_start(x->service ? x->fleet->services_client : x->fleet->origins_client, &x->call);
    x->calling = r == 0;
    if (x->calling && x->paused)
        client_pause(&x->call);
    return r;
}

/* The page's host may not be asked. */
static void refuse(operation *x, client_failure failure, const char *why)
{
    const bool for_good = failure == CLIENT_URL || failure == CLIENT_ADDRESS;
    const char *type = failure == CLIENT_URL       ? "invalid_url"
                       : failure == CLIENT_ADDRESS ? "address_not_public"
                       : failure == CLIENT_DNS     ? "name_not_found"
                       : failure == CLIENT_MEMORY  ? "out_of_memory"
                                                   : "network_error";

    x->cancelled = x->cancelled || failure == CLIENT_CANCELLED;
    x->ended = true;
    render_settle(x, for_good ? RENDER_FAILED : RENDER_FAILED_FOR_NOW, type, OUTCOME_NOTHING, "the page's host: %s",
                  why);
}

static void on_named(name_wait *w, client_failure failure, const char *why)
{
    operation *x = CONTAINER_OF(w, operation, name);

    if (failure != CLIENT_NONE)
        refuse(x, failure, why);
    else if (ask(x) < 0)
        refuse(x, CLIENT_MEMORY, "out of memory");
    render_finish_if_over(x);
}

static bool is_sound(str url)
{
    for (size_t i = 0; i < url.n; i++)
        if ((uint8_t)url.p[i] <= ' ' || url.p[i] == 127)
            return false;
    return true;
}

/* Asks at once, or after the look-up; what is refused at once is told later. */
static int begin(operation *x)
{
    client_failure failure = CLIENT_NONE;
    const char *why = NULL;
    int r = 1;

    if (!is_sound(x->op->url)) {
        failure = CLIENT_URL;
        why = "blanks or control bytes in the URL";
    } else if (x->service && !x->fleet->allow_private) {
        r = render_names_ask(&x->fleet->names, x->op->url, &x->name, &failure, &why);
    }
    if (r <= 0)
        return r;
    if (failure == CLIENT_NONE)
        return ask(x);
    refuse(x, failure, why);
    post_turn(x);
    return 0;
}

static void clear_out(render_op *op)
{
    char id[RENDER_ID_LEN - 8 + 1];
    const uint64_t random = random_u64();

    arena_init(&op->arena, 0);
    op->result = RENDER_OK;
    op->status = op->index_status = 0;
    op->final_url = op->title = op->error_type = op->why = STR_NULL;
    op->headers = NULL;
    op->n_headers = 0;
    op->timed_out = op->service_failed = false;
    op->html_bytes = 0;
    op->render_ms = 0;
    hex_encode(&random, sizeof(random), id);
    id[sizeof(id) - 1] = '\0';
    snprintf(op->request_id, sizeof(op->request_id), "recache-%s", id);
}

int render_start(render_fleet *f, render_op *op)
{
    if (f->closing)
        return -ECANCELED;
    service *s = op->bypass ? NULL : render_service_pick(f);
    if (!op->bypass && !s)
        return -EBUSY;
    operation *x = mem_new(operation);
    if (!x)
        return -ENOMEM;
    clear_out(op);
    x->fleet = f;
    x->op = op;
    x->service = s;
    x->outcome = OUTCOME_NOTHING;
    x->error_json.max = ERROR_JSON_MAX;
    list_init(&x->name.link);
    x->name.fn = on_named;
    arena_init(&x->arena, 0);
    x->deadline = loop_now_mono_ms(f->loop) + render_wait_of(x) + (s ? op->extra_wait_ms + MARGIN_MS : 0);
    int r = prepare(x);
    if (r == 0)
        r = begin(x);
    if (r < 0) {
        operation_free(x);
        arena_done(&op->arena);
        return r;
    }
    op->impl = x;
    list_push(&f->operations, &x->link);
    if (s)
        x->probe = render_service_take(s);
    return 0;
}

/* ---- the caller's side ---- */

void render_pause(render_op *op)
{
    operation *x = op->impl;

    if (x) {
        x->paused = true;
        if (x->calling)
            client_pause(&x->call);
    }
}

void render_resume(render_op *op)
{
    operation *x = op->impl;

    if (!x || !x->paused)
        return;
    x->paused = false;
    if (!x->parsing)
        post_turn(x);
}

static void cancel(operation *x)
{
    if (x->cancelled)
        return;
    x->cancelled = true;
    if (x->calling) {
        client_cancel(&x->call);
    } else if (!x->ended) { /* looking up */
        render_names_leave(&x->name);
        x->ended = true;
        post_turn(x);
    }
}

void render_cancel(render_op *op)
{
    if (op->impl)
        cancel(op->impl);
}

void render_operations_cancel(render_fleet *f)
{
    for (list *l = f->operations.next; l != &f->operations; l = l->next) /* they leave the list later */
        cancel(CONTAINER_OF(l, operation, link));
}

void render_op_done(render_op *op)
{
    arena_done(&op->arena);
    op->headers = NULL;
    op->n_headers = 0;
    op->final_url = op->title = op->error_type = op->why = STR_NULL;
}
