/* record: a struct of a schema as the bytes the store keeps, and back.
 *
 * The bytes: a codec version (one byte, 1), the number of fields, the fields in the schema's order without
 * their names.
 *     bool, i64, time          a varint; signed ones zigzag
 *     f64                      8 bytes, little-endian
 *     str, choice, raw         varint length + 1, bytes; 0 is null
 *     strs, counts, pairs      varint count + 1, elements; 0 is null
 *     object                   varint number of fields + 1, fields; 0 is null
 *     rows                     nothing: they are made for replies
 *
 * Fields are only ever appended to a stored schema, so an older record has fewer: the rest are decoded as
 * absent. A record with more fields than the schema knows was written by a newer program, and is refused. */
#ifndef LARDER_RECORD_H
#define LARDER_RECORD_H

#include "larder/schema.h"
#include "larder/store.h"

#define RECORD_VERSION 1

/* Appends the record of the struct `in` (an object is null when its bit is set in `nulls`). Errors: the
 * buf's. */
void record_encode(const schema *s, const void *in, buf *out);

/* The same of the first `n` fields alone, as if the schema had no more yet: decoded, the others are absent. */
void record_encode_first(const schema *s, size_t n, const void *in, buf *out);

/* Fills the zeroed struct `out`. Texts point into `bytes` (and live as long as they), lists lie in the arena.
 * `given` tells the fields the record holds, `nulls` its null objects. -EPROTO on anything record_encode has
 * not written, -ENOMEM; then `out` is half filled. Texts are not checked to be UTF-8. */
int record_decode(const schema *s, arena *a, str bytes, void *out);

/* The record at `key`, decoded into the zeroed struct `out`: its texts live as long as the view. -ENOENT, also for what
 * can be no key; errors as store_get and record_decode. */
int record_load(store_view *v, const keyspace *ks, const schema *s, arena *a, str key, void *out);
/* Stores the struct's record at `key`. On the writer's thread; errors as record_encode and store_put. */
int record_put(store_txn *t, const keyspace *ks, const schema *s, str key, const void *in);

#endif
