/* Reading a sitemap (sitemaps.org): a list of pages or of other sitemaps, as XML or as plain lines. Pure. */
#ifndef LARDER_RECACHE_SITEMAP_H
#define LARDER_RECACHE_SITEMAP_H

#include "larder/base.h"

#define SITEMAP_URLS_MAX 50000 /* of one file, pages or sitemaps, as the protocol has it */
#define SITEMAP_BYTES_MAX ((size_t)64 << 20) /* of one file, unpacked */

typedef struct sitemap_url {
    str loc;
    int priority;    /* thousandths; 500 where none is given */
    int64_t lastmod; /* wall ms; 0: not given */
} sitemap_url;
typedef struct sitemap {
    bool is_index; /* its URLs are sitemaps */
    sitemap_url *v;
    size_t n;
    size_t left_out; /* those beyond SITEMAP_URLS_MAX */
    bool is_cut;     /* XML that ends before it is closed: what comes before is there */
} sitemap;
/* -EINVAL: neither XML of that kind nor a list of URLs; -ENOMEM. Texts lie in the arena or in `text`. */
int sitemap_read(arena *a, str text, sitemap *ret_sitemap);
/* When a page of this priority and age is due: within the minute before `now`, what is important first, then what is
 * new. */
int64_t sitemap_due(const sitemap_url *u, int64_t now);
/* Unpacks gzip, recognised by its first bytes; other bytes stay. -EINVAL: broken; -EFBIG, -ENOMEM. */
int sitemap_unpack(str bytes, buf *out);

#endif
