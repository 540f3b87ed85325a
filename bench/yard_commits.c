/* yard_commits DIR SECONDS BYTES: what this disk gives who commits each write by itself: LMDB, records of BYTES under
 * random keys, an fsync each. Prints commits per second. */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 200 /* as many as the sources that the other side changes */

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "yard_commits: %s: %s\n", what, mdb_strerror(rc));
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    unsigned long n = 0;

    if (argc != 4) {
        fprintf(stderr, "usage: yard_commits DIR SECONDS BYTES\n");
        return 2;
    }
    const double seconds = strtod(argv[2], NULL);
    const size_t size = strtoul(argv[3], NULL, 10);
    char *value = calloc(1, size);
    must(value && size >= sizeof(n) ? 0 : ENOMEM, "memory");
    must(mdb_env_create(&env), "environment");
    must(mdb_env_set_mapsize(env, (size_t)1 << 30), "map size");
    must(mdb_env_open(env, argv[1], 0, 0644), argv[1]);

    const double from = now();
    double took;
    do {
        char key[32];
        const int key_n = snprintf(key, sizeof(key), "src_%03lu", n * 7919 % KEYS);
        memcpy(value, &n, sizeof(n));
        must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
        must(mdb_dbi_open(txn, NULL, 0, &dbi), "table");
        must(mdb_put(txn, dbi, &(MDB_val){(size_t)key_n, key}, &(MDB_val){size, value}, 0), "put");
        must(mdb_txn_commit(txn), "commit");
        n++;
        took = now() - from;
    } while (took < seconds);
    printf("%.1f\n", (double)n / took);
    mdb_env_close(env);
    free(value);
    return 0;
}
