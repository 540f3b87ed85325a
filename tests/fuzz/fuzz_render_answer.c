/* What render services send: however it is cut, the frame's parser finds the same metadata and the same page behind it,
 * or the same fault; and metadata, /health and registrations are read or refused without harm. The first byte says as
 * what, the second how it is cut. */
#include "remote/render/render_private.h"

static void check_text(str s) /* whole and ours, or absent */
{
    char *copy = mem_strndup(s.p ? s.p : "", s.n);
    REQUIRE(copy);
    mem_free(copy);
}

static int feed(str input, size_t step, frame *f, str *ret_page)
{
    *f = (frame){0};
    while (input.n > 0) {
        str part = str_head(input, step);
        const size_t n = part.n;
        const int r = render_frame_feed(f, &part);
        REQUIRE(f->metadata.n <= RENDER_METADATA_MAX && f->metadata.cap <= 2 * n + 2 * f->metadata.n + 4096);
        if (r != 0) {
            *ret_page = str_from(input, n - part.n);
            return r;
        }
        REQUIRE(part.n == 0);
        input = str_from(input, n);
    }
    return 0;
}

static void fuzz_frame(str input, size_t step)
{
    frame whole, cut;
    str page = STR_NULL, page_cut = STR_NULL;
    const int r = feed(input, input.n, &whole, &page), s = feed(input, step, &cut, &page_cut);

    REQUIRE(r == s);
    if (r == 1) {
        REQUIRE(str_eq(buf_view(&whole.metadata), buf_view(&cut.metadata)) && str_eq(page, page_cut));
        REQUIRE(4 + whole.metadata.n + page.n == input.n);
    }
    buf_done(&whole.metadata);
    buf_done(&cut.metadata);
}

static void fuzz_metadata(str text)
{
    render_op op = {0};
    answer a;

    arena_init(&op.arena, 0);
    if (render_answer_parse(&op, text, &a) == 0) {
        REQUIRE(op.status == 0 || (op.status >= 100 && op.status < 600));
        REQUIRE(op.index_status >= 0 && op.index_status <= 4 && op.render_ms >= 0);
        check_text(a.error);
        check_text(a.error_type);
        check_text(a.request_id);
        check_text(op.final_url);
        check_text(op.title);
        for (size_t i = 0; i < op.n_headers; i++) {
            check_text(op.headers[i].name);
            REQUIRE(op.headers[i].name.n > 0 && str_chr(op.headers[i].value, '\n') < 0);
        }
    }
    arena_done(&op.arena);
}

static void fuzz_registration(str text)
{
    SCOPED(arena_done)
    arena a;
    registration x;
    const char *why = NULL;

    arena_init(&a, 0);
    const int r = render_registration_parse(&a, text, STR("192.0.2.1"), &x, &why);
    REQUIRE(r == 0 || (r == -EINVAL && why));
    if (r == 0) {
        REQUIRE(str_starts(x.url, STR("http://")) && str_chr(str_from(x.url, 7), '/') < 0);
        REQUIRE(x.id.n > 0 && x.health.capacity <= TABS_MAX && x.health.load <= TABS_MAX);
        check_text(x.id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    health h;

    if (n < 2)
        return 0;
    const str text = str_of((const char *)p + 2, n - 2);
    switch (p[0] % 4) {
    case 0:
        fuzz_frame(text, (size_t)p[1] % 7 + 1);
        break;
    case 1:
        fuzz_metadata(text);
        break;
    case 2:
        fuzz_registration(text);
        break;
    default:
        if (render_health_parse(text, &h) == 0)
            REQUIRE(h.capacity <= TABS_MAX && h.load <= TABS_MAX);
    }
    return 0;
}
