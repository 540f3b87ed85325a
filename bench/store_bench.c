/* What the store costs: durable writes by 1 and 64 submitters beside one commit per write, an enqueue of
 * 10,000 URLs at a time, hot reads, walks.
 *
 *   store_bench DIR RECORDS SECONDS    prints one figure per line: name, value, unit
 *   store_bench DIR RECORDS gets N     N times read scope and point read: for callgrind: two runs, subtracted
 *
 * DIR is made when missing; what is in it is used again when it holds as many records. */
#include "larder/hash.h"
#include "larder/store.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUE_LEN 500
#define SUBMITTERS 64
#define SAMPLES 200000
#define URLS_AT_ONCE 10000

/* Records with two indexes and a tally, as an artifact has; plain ones; and a queue: unique URLs by when
 * they are due. */
static int record_emit(str key, str value, store_emit *out)
{
    store_key k;
    store_key_init(&k);
    store_key_str(&k, str_head(value, 16));
    store_key_tail(&k, key);
    store_emit_entry(out, 0, store_key_view(&k), str_head(value, 2));
    store_emit_bucket(out, str_head(value, 1));
    return 0;
}

static int queue_emit(str key, str value, store_emit *out)
{
    store_key k;
    store_key_init(&k);
    store_key_tail(&k, str_head(value, 8));
    store_key_tail(&k, key);
    store_emit_entry(out, 0, store_key_view(&k), STR_NULL);
    return 0;
}

static const char *const one_index[] = {"order"};
static keyspace plain = {.name = "plain"};
static keyspace records = {
    .name = "records", .indexes = one_index, .n_indexes = 1, .emit = record_emit, .emit_version = 1};
static keyspace queue = {.name = "queue", .indexes = one_index, .n_indexes = 1, .emit = queue_emit, .emit_version = 1};
static keyspace *const keyspaces[] = {&plain, &records, &queue};

static double seconds;
static uint64_t n_records;
static loop *l;
static store *s;

static double now(void)
{
    return (double)clk_mono_ns(clk_real()) / 1e9;
}

static void must(int r, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, err_text(r));
    exit(1);
}

static void figure(const char *name, double value, const char *unit)
{
    printf("%-34s %12.1f %s\n", name, value, unit);
    fflush(stdout);
}

static void random_text(char *out, size_t n)
{
    uint64_t v = random_u64();
    for (size_t i = 0; i < n; i++, v = v >> 5 | v << 59)
        out[i] = (char)('a' + (v & 15));
}

/* ---- op by op ---- */

typedef struct one_write {
    store_op op;
    const keyspace *ks;
    char key[16], value[VALUE_LEN];
} one_write;

static uint64_t written;
static bool stop;
static size_t under_way;

static int apply_write(store_txn *t, store_op *op)
{
    const one_write *w = CONTAINER_OF(op, one_write, op);
    return store_put(t, w->ks, str_of(w->key, sizeof(w->key)), str_of(w->value, sizeof(w->value)));
}

static void draw(one_write *w)
{
    random_text(w->key, sizeof(w->key));
    random_text(w->value, 64);
}

static void on_written(store_op *op, int status)
{
    one_write *w = CONTAINER_OF(op, one_write, op);
    must(status, "write");
    written++;
    under_way--;
    if (stop)
        return;
    draw(w);
    under_way++;
    store_submit(s, op);
}

static double writes_per_second(const keyspace *ks, size_t submitters)
{
    static one_write w[SUBMITTERS];
    written = 0;
    stop = false;
    double from = now();
    for (size_t i = 0; i < submitters; i++) {
        memset(w[i].value, 'v', VALUE_LEN);
        w[i].op = (store_op){.apply = apply_write, .done = on_written};
        w[i].ks = ks;
        draw(&w[i]);
        under_way++;
        store_submit(s, &w[i].op);
    }
    while (under_way > 0) {
        loop_run_once(l, true);
        stop = now() - from > seconds;
    }
    return (double)written / (now() - from);
}

static double commits_per_second(const keyspace *ks)
{
    one_write w = {.op = {.apply = apply_write}, .ks = ks};
    uint64_t n = 0;
    double from = now();
    for (; now() - from < seconds; n++) {
        draw(&w);
        must(store_run(s, &w.op), "run");
    }
    return (double)n / (now() - from);
}

/* ---- the queue ---- */

typedef struct enqueue {
    store_op op;
    uint64_t from;
    bool done;
} enqueue;

static void url_of(uint64_t number, char out[128])
{
    snprintf(out, 128, "https://shop-%03u.example/category/outdoor-equipment/product-%08llu.html?ref=sitemap",
             (unsigned)(number % 997), (unsigned long long)number);
}

static int apply_enqueue(store_txn *t, store_op *op)
{
    const enqueue *e = CONTAINER_OF(op, enqueue, op);
    int r = 0;
    while (r == 0 && op->at < URLS_AT_ONCE && !store_txn_is_full(t)) {
        char url[128], value[136];
        uint64_t number = e->from + op->at++;
        url_of(number, url);
        uint64_t hash = hash64(url, strlen(url)), due = hash * UINT64_C(0x9E3779B97F4A7C15) >> 20;
        store_key key, stamp;
        store_key_init(&key);
        store_key_u64(&key, hash);
        store_key_init(&stamp);
        store_key_u64(&stamp, due);
        memcpy(value, stamp.bytes, 8);
        memcpy(value + 8, url, strlen(url));
        r = store_put(t, &queue, store_key_view(&key), str_of(value, 8 + strlen(url)));
    }
    return r < 0 || op->at == URLS_AT_ONCE ? r : STORE_MORE;
}

static void on_enqueued(store_op *op, int status)
{
    must(status, "enqueue");
    CONTAINER_OF(op, enqueue, op)->done = true;
}

static double enqueued_per_second(void)
{
    uint64_t n = random_u64() >> 40;
    double from = now();
    uint64_t first = n;
    while (now() - from < seconds) {
        enqueue e = {.op = {.apply = apply_enqueue, .done = on_enqueued, .flags = STORE_JOINS}, .from = n};
        store_submit(s, &e.op);
        while (!e.done)
            loop_run_once(l, true);
        n += URLS_AT_ONCE;
    }
    return (double)(n - first) / (now() - from);
}

/* ---- reads ---- */

static void key_of_record(uint64_t i, char key[17])
{
    snprintf(key, 17, "%016llx", (unsigned long long)(i * UINT64_C(0x9E3779B97F4A7C15)));
}

static int fill_some(store_txn *t, store_op *op)
{
    char key[17], value[VALUE_LEN];
    int r = 0;
    memset(value, 'v', sizeof(value));
    while (r == 0 && op->at < n_records) {
        key_of_record(op->at++, key);
        random_text(value, 64);
        r = store_put(t, &records, str_of(key, 16), str_of(value, sizeof(value)));
        if (op->at % 20000 == 0)
            return r < 0 ? r : STORE_MORE;
    }
    return r;
}

static void fill(void)
{
    store_view *v = store_read_begin(s);
    uint64_t there = store_count(v, &records);
    store_read_end(v);
    if (there >= n_records)
        return;
    store_op op = {.apply = fill_some};
    double from = now();
    must(store_run(s, &op), "fill");
    figure("filling, records", (double)n_records / (now() - from), "/s");
}

static unsigned get_one(void)
{
    char key[17];
    str value;
    key_of_record(random_below(n_records), key);
    store_view *v = store_read_begin(s);
    must(store_get(v, &records, str_of(key, 16), &value), "get");
    unsigned sum = (unsigned char)value.p[value.n - 1];
    store_read_end(v);
    return sum;
}

static int cmp_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void reads(void)
{
    static double ns[SAMPLES];
    unsigned sum = 0;
    uint64_t n = 0;
    double from = now();
    for (; n < SAMPLES; n++) {
        double at = now();
        sum += get_one();
        ns[n] = (now() - at) * 1e9;
    }
    qsort(ns, SAMPLES, sizeof(*ns), cmp_doubles);
    figure("point read, p50", ns[SAMPLES / 2], "ns");
    figure("point read, p99", ns[SAMPLES * 99 / 100], "ns");
    figure("point reads", (double)n / (now() - from), "/s");
    if (sum == 1)
        puts("");
}

static void walks(int index, bool values)
{
    uint64_t items = 0, n = 0;
    double from = now();
    for (; now() - from < seconds / 4; n++) {
        char start[4];
        store_cursor *c;
        store_item item;
        random_text(start, sizeof(start));
        store_view *v = store_read_begin(s);
        must(store_walk(v, &records, index, STR_NULL, str_of(start, sizeof(start)), false, &c), "walk");
        for (int i = 0; i < 100 && store_next(c, &item); i++) {
            if (values)
                must(store_item_value(c, &item), "value");
            items += item.key.n > 0;
        }
        store_read_end(v);
    }
    figure(values ? "walk of 100 with their records" : "walk of 100 index entries", (now() - from) * 1e6 / (double)n,
           "us");
    if (items == 0)
        puts("");
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void measure(void)
{
    store_stats st;
    reads();
    walks(0, false);
    walks(0, true);
    double each = commits_per_second(&plain), one = writes_per_second(&plain, 1);
    double many = writes_per_second(&plain, SUBMITTERS);
    figure("one commit per write", each, "/s");
    figure("durable writes, 1 submitter", one, "/s");
    figure("durable writes, 64 submitters", many, "/s");
    figure("64 submitters / commit per write", many / each, "times");
    figure("the same with index and tally", writes_per_second(&records, SUBMITTERS), "/s");
    figure("URLs queued, 10000 an op", enqueued_per_second(), "/s");
    store_stats_of(s, &st);
    figure("longest hold of the writer", (double)st.longest_hold_us / 1e3, "ms");
}

int main(int argc, char **argv)
{
    SCOPED(arena_done)
    arena a;
    str why = STR_NULL;
    bool closed = false;
    if (argc < 4)
        return 2;
    n_records = strtoull(argv[2], NULL, 10);
    bool gets = argc > 4 && strcmp(argv[3], "gets") == 0;
    seconds = strtod(argv[3], NULL);
    arena_init(&a, 0);
    store_options o = {.dir = argv[1],
                       .max_size = (uint64_t)16 << 30,
                       .keyspaces = keyspaces,
                       .n_keyspaces = COUNT_OF(keyspaces),
                       .schema_version = 1};
    must(loop_new(clk_real(), 1, &l), "loop");
    double from = now();
    int r = store_open(&o, l, &a, &s, &why);
    if (r < 0)
        fprintf(stderr, STR_FMT "\n", STR_ARG(why));
    must(r, "open");
    if (!gets)
        figure("open", (now() - from) * 1e3, "ms");
    fill();
    if (gets)
        for (uint64_t n = strtoull(argv[4], NULL, 10); n > 0; n--)
            get_one();
    else
        measure();
    store_close(s, on_closed, &closed);
    while (!closed)
        loop_run_once(l, true);
    loop_free(l);
    return 0;
}
