/* A page by a render service: what it is asked, and what its answer means. */
#include "operation.h"

#include "larder/json.h"

#define PARSED_HERE_MAX 16384u /* bytes of metadata: 0.1 ms */

/* ---- a service's answer: metadata and page ---- */

static void bad_answer(operation *x, const char *what)
{
    render_settle(x, RENDER_FAILED_FOR_NOW, "bad_answer", OUTCOME_ITS_FAULT, "not an answer of a render service: %s",
                  what);
    render_stop(x);
}

/* A failure as the service tells it. `usual`: its error_type where it names none. */
static void take_failure(operation *x, const char *usual)
{
    render_op *op = x->op;
    const str type = x->answer.error_type.p ? x->answer.error_type : str_c(usual);
    const verdict v = render_verdict(type);

    render_settle(x, v.result, usual, v.counts ? OUTCOME_ITS_FAULT : OUTCOME_WELL, STR_FMT,
                  STR_ARG(x->answer.error.p ? x->answer.error : type));
    op->error_type = type;
    op->service_failed = v.service_failed;
    render_stop(x);
}

static bool is_ours(const operation *x)
{
    return !x->answer.request_id.p || str_eq(x->answer.request_id, str_c(x->op->request_id));
}

static void take_metadata(operation *x)
{
    if (x->parsed == -ENOMEM)
        render_no_memory(x);
    else if (x->parsed < 0)
        bad_answer(x, "its metadata is no JSON object");
    else if (!is_ours(x))
        bad_answer(x, "it answers another request");
    else if (!x->answer.success)
        take_failure(x, "service_error");
    else if (x->op->status == 0)
        bad_answer(x, "no status_code");
    else
        render_tell_head(x);
}

static void parse_work(job *j)
{
    operation *x = CONTAINER_OF(j, operation, job);

    x->parsed = render_answer_parse(x->op, buf_view(&x->frame.metadata), &x->answer);
}

static void conclude(operation *x);
static void on_parsed(job *j, int status)
{
    operation *x = CONTAINER_OF(j, operation, job);

    x->parsing = false;
    if (status < 0)
        x->parsed = -ENOMEM;
    if (x->ended) {
        conclude(x);
    } else if (!x->cancelled) {
        take_metadata(x);
        render_go_on(x);
    }
}

/* A large one on a worker; the call pauses meanwhile. */
static int parse_elsewhere(operation *x)
{
    client_pause(&x->call);
    const int r = loop_job(x->fleet->loop, &x->job, parse_work, on_parsed);
    x->parsing = r == 0;
    return r;
}

static int take_frame(operation *x, str piece)
{
    int r = render_frame_feed(&x->frame, &piece);

    if (r == -EMSGSIZE)
        render_settle(x, RENDER_FAILED, "metadata_too_large", OUTCOME_WELL, "metadata of %u bytes, at most 1 MiB",
                      (unsigned)x->frame.length);
    else if (r == -EPROTO)
        bad_answer(x, "no metadata");
    if (r <= 0)
        return r;
    x->body = BODY_PAGE;
    buf_str(&x->rest, piece);
    if (x->rest.err < 0)
        return -ENOMEM;
    if (x->frame.length > PARSED_HERE_MAX)
        return parse_elsewhere(x);
    parse_work(&x->job);
    take_metadata(x);
    render_go_on(x);
    return 0;
}

static int on_service_body(client_call *call, str piece)
{
    operation *x = call->user;
    int r = 0;

    if (x->body == BODY_UNKNOWN)
        x->body = call->status == 200 &&
                          str_starts_nocase(client_reply_header(call, "content-type"), STR("application/octet-stream"))
                      ? BODY_FRAME
                      : BODY_ERROR;
    switch (x->body) {
    case BODY_FRAME:
        r = take_frame(x, piece);
        break;
    case BODY_PAGE:
        render_give(x, piece);
        break;
    default:
        buf_str(&x->error_json, piece);
        r = x->error_json.err;
        if (r == -EFBIG)
            bad_answer(x, "neither a page nor the JSON of a failure");
    }
    if (r == -ENOMEM)
        render_no_memory(x);
    return r;
}

/* ---- a service's answer: the end ---- */

static void take_call_failure(operation *x)
{
    const client_call *c = &x->call;
    const client_failure failure = c->failure;

    switch (failure) {
    case CLIENT_CANCELLED:
        x->cancelled = x->cancelled || !x->settled;
        break;
    case CLIENT_MEMORY:
        render_no_memory(x);
        break;
    case CLIENT_TOO_LARGE:
        render_settle(x, RENDER_FAILED, "response_too_large", OUTCOME_WELL, STR_FMT, STR_ARG(c->why));
        break;
    case CLIENT_TIMEOUT:
        render_settle(x, RENDER_FAILED_FOR_NOW, "service_timeout", OUTCOME_ITS_FAULT, STR_FMT, STR_ARG(c->why));
        break;
    case CLIENT_CLOSED:
    case CLIENT_PROTOCOL:
        render_settle(x, RENDER_FAILED_FOR_NOW, "service_error", OUTCOME_ITS_FAULT, STR_FMT, STR_ARG(c->why));
        break;
    default:
        x->op->service_failed = !x->settled;
        render_settle(x, RENDER_FAILED_FOR_NOW, "service_unreachable", OUTCOME_ITS_FAULT, STR_FMT, STR_ARG(c->why));
    }
}

static void take_error_json(operation *x, str text, const char *usual)
{
    const int r = text.n <= ERROR_JSON_MAX ? render_answer_parse(x->op, text, &x->answer) : -EPROTO;

    if (r == -ENOMEM)
        render_no_memory(x);
    else if (r < 0 || x->answer.success)
        bad_answer(x, "neither a page nor the JSON of a failure");
    else
        take_failure(x, usual);
}

static void take_status(operation *x)
{
    const client_call *c = &x->call;

    switch (c->status) {
    case 400:
        take_error_json(x, buf_view(&c->reply), "invalid_url");
        break;
    case 503:
        take_error_json(x, buf_view(&c->reply), "pool_unavailable");
        break;
    case 504:
        take_error_json(x, buf_view(&c->reply), "hard_timeout");
        break;
    default:
        /* Nobody rendered; unless it broke down over the page. */
        x->op->service_failed = c->status != 500;
        render_settle(x, RENDER_FAILED_FOR_NOW, "service_error", OUTCOME_ITS_FAULT, "status %d", c->status);
    }
}

/* Without a length only the metadata tells that a page was cut. */
static bool is_cut(const operation *x)
{
    return x->answer.html_size > 0 && (uint64_t)x->answer.html_size > x->op->html_bytes &&
           !client_reply_header(&x->call, "content-length").p && !client_reply_header(&x->call, "transfer-encoding").p;
}

static void take_page(operation *x)
{
    render_op *op = x->op;

    if (is_cut(x))
        render_settle(x, RENDER_FAILED_FOR_NOW, "service_error", OUTCOME_ITS_FAULT, "the page was cut off");
    else if (op->timed_out)
        render_settle(x, RENDER_SOFT_TIMEOUT, "soft_timeout", OUTCOME_WELL, "the page was not finished in time");
    else if (op->html_bytes == 0 && op->status / 100 == 2)
        render_settle(x, RENDER_EMPTY, "empty_response", OUTCOME_WELL, "the page is empty");
    else if (!x->settled)
        x->outcome = OUTCOME_WELL; /* and the result is OK */
}

/* The call is over, and the worker too: until then what the operation gives out is the worker's. */
static void conclude(operation *x)
{
    const client_call *c = &x->call;

    if (c->failure != CLIENT_NONE)
        take_call_failure(x);
    else if (c->status != 200)
        take_status(x);
    else if (x->body == BODY_PAGE)
        take_page(x);
    else if (x->body == BODY_FRAME)
        bad_answer(x, "it ends within the metadata");
    else
        take_error_json(x, buf_view(&x->error_json), "service_error");
    render_finish_if_over(x);
}

static void on_service_answered(client_call *call)
{
    operation *x = call->user;

    x->calling = false;
    x->ended = true;
    if (!x->parsing)
        conclude(x);
}

/* ---- the request ---- */

static void put_texts(json *w, str key, const str *texts, size_t n)
{
    if (n == 0)
        return;
    json_key(w, key);
    json_array(w);
    for (size_t i = 0; i < n; i++)
        json_put_str(w, texts[i]);
    json_end(w);
}

static int write_request(operation *x)
{
    const render_op *op = x->op;
    json w;

    json_begin(&w, &x->request);
    json_object(&w);
    json_pair_str(&w, "request_id", str_c(op->request_id));
    json_pair_str(&w, "url", op->url);
    json_pair_int(&w, "tab_id", 0); /* a service takes any free one */
    json_pair_int(&w, "viewport_width", (int64_t)op->width);
    json_pair_int(&w, "viewport_height", (int64_t)op->height);
    if (op->user_agent.p)
        json_pair_str(&w, "user_agent", op->user_agent);
    json_pair_int(&w, "timeout", render_wait_of(x) * 1000000);
    if (op->wait_for.p)
        json_pair_str(&w, "wait_for", op->wait_for);
    json_pair_int(&w, "extra_wait", op->extra_wait_ms * 1000000);
    put_texts(&w, STR("blocked_patterns"), op->blocked_patterns, op->n_blocked_patterns);
    put_texts(&w, STR("blocked_resource_types"), op->blocked_resource_types, op->n_blocked_resource_types);
    json_pair_bool(&w, "strip_scripts", op->strip_scripts);
    json_end(&w);
    return json_finish(&w);
}

int render_prepare_service(operation *x)
{
    const service *s = x->service;

    x->call.method = STR("POST");
    x->call.idempotent = true; /* a pooled connection that was dead is replaced */
    x->call.url = arena_printf(&x->arena, "%s/render", s->url);
    render_add_header(x, "Content-Type", STR("application/json"));
    render_add_header(x, "Accept", STR("application/octet-stream, application/json"));
    render_add_header(x, "X-Request-ID", str_c(x->op->request_id));
    if (s->key_name)
        render_add_header(x, s->key_name, str_c(s->key_value));
    x->call.on_body = on_service_body;
    x->call.on_done = on_service_answered;
    const int r = write_request(x);
    x->call.body = buf_view(&x->request);
    return r;
}
