/* What the store's tests share: a scratch folder, a store with a loop, ops that are waited for, and a
 * keyspace of "things" with two indexes and tallies. */
#ifndef LARDER_TESTS_STORE_FIXTURE_H
#define LARDER_TESTS_STORE_FIXTURE_H

#include "larder/store.h"

#define MIB ((uint64_t)1 << 20)

/* A thing's value: a colour (one byte), the number of its words, the words (one byte each, all different),
 * a number (4 bytes, big-endian), and any bytes after that. */
typedef struct thing {
    char colour;
    str words;
    uint32_t number;
    str rest;
} thing;
enum { BY_NUMBER, BY_WORD }; /* cover of BY_NUMBER: the colour */
extern keyspace things;      /* tallies: per colour, and "words" for each word */
extern keyspace plain;       /* no indexes */
str thing_value(const thing *t, buf *out);

typedef struct fixture {
    char dir[64];
    loop *loop;
    store *store;
    bool closed;
} fixture;
extern const store_options fixture_options; /* things and plain, 64 MiB */

void scratch_folder(char out[64]);
void remove_folder(const char *dir);
void fixture_begin(fixture *f, const store_options *o); /* NULL: the usual ones; o->dir is not looked at */
void fixture_open(fixture *f, const store_options *o);
void fixture_close(fixture *f); /* the store; the folder stays */
void fixture_end(fixture *f);

/* An op that calls fn(t, op, arg). */
typedef struct test_op {
    store_op op;
    int (*fn)(store_txn *t, struct test_op *o);
    void *arg;
    bool done;
    int status, calls;
} test_op;
void test_op_submit(store *s, test_op *o, int (*fn)(store_txn *t, test_op *o), void *arg);
void test_op_wait(fixture *f, test_op *o);
int do_op(fixture *f, unsigned flags, int (*fn)(store_txn *t, test_op *o), void *arg);
int do_put(fixture *f, const keyspace *ks, str key, str value);
int do_del(fixture *f, const keyspace *ks, str key);
/* Turns the loop until *flag, at most some 20 seconds. */
void turn_until(fixture *f, const bool *flag);

/* The number of faults; their lines, each with a line end, in *out when given. */
int check_faults(store *s, buf *out);

#endif
