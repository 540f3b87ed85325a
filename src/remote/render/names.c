/* Verdicts on the hosts of pages, kept for a while. */
#include "render_private.h"

#define KEPT_MS SECONDS(10)

struct host_name {
    names *owner;
    str key; /* "https://host:port", in `text` */
    char *text;
    client_lookup lookup;
    bool asking;
    list waiting;
    int64_t until; /* mono ms */
    client_failure failure;
    const char *why;
};

/* Scheme and authority: all that a look-up needs. The rest of a page's URL is the browser's business. */
static str origin_of(str url)
{
    const ptrdiff_t scheme = str_find(url, STR("://"));
    size_t end = scheme < 0 ? url.n : (size_t)scheme + 3;

    while (end < url.n && !strchr("/?#", url.p[end]))
        end++;
    return str_head(url, end);
}

static void name_free(host_name *n)
{
    if (n)
        mem_free(n->text);
    mem_free(n);
}

static void on_looked_up(client_lookup *l)
{
    host_name *n = l->user;
    list told;
    list *link;

    n->asking = false;
    n->failure = l->failure;
    n->why = l->why;
    /* Only a sure verdict is kept. */
    const bool sure = l->failure == CLIENT_NONE || l->failure == CLIENT_ADDRESS || l->failure == CLIENT_DNS;
    n->until = sure ? loop_now_mono_ms(n->owner->loop) + KEPT_MS : 0;
    /* Whoever is told may ask anew, and this name's place may be given away. */
    list_init(&told);
    while ((link = list_pop(&n->waiting)) != NULL)
        list_push(&told, link);
    while ((link = list_pop(&told)) != NULL) {
        name_wait *w = CONTAINER_OF(link, name_wait, link);
        w->fn(w, l->failure, l->why);
    }
}

static host_name *find(const names *ns, str key)
{
    for (size_t i = 0; i < ns->n; i++)
        if (str_eq(ns->known[i]->key, key))
            return ns->known[i];
    return NULL;
}

/* A place in the table; the verdict that ends first makes room. NULL: all are being looked up. */
static host_name **place(names *ns)
{
    host_name **first = NULL;

    if (ns->n < COUNT_OF(ns->known))
        return &ns->known[ns->n++];
    for (size_t i = 0; i < ns->n; i++)
        if (!ns->known[i]->asking && (!first || ns->known[i]->until < (*first)->until))
            first = &ns->known[i];
    if (first)
        name_free(*first);
    return first;
}

static host_name *name_new(names *ns, str key)
{
    host_name *n = mem_new(host_name);

    if (!n)
        return NULL;
    n->owner = ns;
    n->text = mem_strndup(key.p, key.n);
    if (!n->text) {
        mem_free(n);
        return NULL;
    }
    n->key = str_of(n->text, key.n);
    list_init(&n->waiting);
    return n;
}

static int begin(host_name *n)
{
    n->lookup = (client_lookup){.url = n->key, .timeout_ms = CONNECT_MS, .on_done = on_looked_up, .user = n};
    const int r = client_lookup_start(n->owner->client, &n->lookup);
    n->asking = r == 0;
    return r;
}

static int add(names *ns, str key, host_name **ret_name)
{
    host_name *n = name_new(ns, key);

    if (!n)
        return -ENOMEM;
    host_name **where = place(ns);
    if (!where) {
        name_free(n);
        return -EBUSY;
    }
    *where = n;
    *ret_name = n;
    return 0;
}

int render_names_ask(names *ns, str url, name_wait *w, client_failure *ret_failure, const char **ret_why)
{
    const str key = origin_of(url);
    host_name *n = find(ns, key);
    int r = n ? 0 : add(ns, key, &n);

    if (r == 0 && !n->asking && loop_now_mono_ms(ns->loop) < n->until) {
        *ret_failure = n->failure;
        *ret_why = n->why;
        return 1;
    }
    if (r == 0 && !n->asking)
        r = begin(n);
    if (r == 0)
        list_push(&n->waiting, &w->link);
    return r;
}

void render_names_leave(name_wait *w)
{
    list_remove(&w->link);
}

void render_names_done(names *ns)
{
    for (size_t i = 0; i < ns->n; i++)
        name_free(ns->known[i]);
    ns->n = 0;
}
