/* What the catalogue knows of an artifact that was deployed from a repository. */
#include "larder/repo_path.h"
#include "larder/repo_url.h"
#include "records.h"

#define SHORT_SHA 7

/* The catalogue is of one commit: does the version of a deployed artifact mean that one? */
static bool is_of(const source *s, str ref)
{
    return !ref.n || str_eq(ref, STR("latest")) || str_eq(ref, s->ref) ||
           (ref.n >= SHORT_SHA && str_starts(s->last_indexed_tree_sha, ref));
}

/* The path alone does not say which type it is of; a command's may stand without its ".md". -ENOENT. */
static int find_entry(store_view *v, arena *a, str source_id, str path, entry *ret_entry)
{
    const str with_md = arena_printf(a, STR_FMT ".md", STR_ARG(path));
    const str paths[] = {path, with_md};
    char id[ENTRY_ID_LEN];
    int r = with_md.p ? -ENOENT : -ENOMEM;

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        for (unsigned type = 0; r == -ENOENT && type < ARTIFACT_TYPE_COUNT; type++) {
            entry_id_make(source_id, artifact_type_name(type), paths[i], id);
            r = entry_load(v, a, str_of(id, sizeof(id)), ret_entry);
            if (r == 0 && entry_status_of(ret_entry) == ENTRY_REMOVED)
                r = -ENOENT;
        }
    }
    return r;
}

int entry_upstream_of(store_view *v, arena *a, str owner, str repo, str path, str ref, entry_upstream *ret_upstream)
{
    const str url = arena_printf(a, "https://github.com/" STR_FMT "/" STR_FMT, STR_ARG(owner), STR_ARG(repo));
    repo_url parsed;
    source s = {0};
    entry e = {0};

    if (!url.p)
        return -ENOMEM;
    int r = repo_url_parse(a, url, &parsed);
    if (r == 0)
        r = source_load(v, a, parsed.id, &s);
    if (r == -EINVAL || r == -ENOENT ||
        (r == 0 && (!s.last_sync_at || !is_of(&s, ref) || !repo_path_is_in(path, s.root_hint)))) {
        *ret_upstream = (entry_upstream){0};
        return 0;
    }
    if (r == 0)
        r = find_entry(v, a, s.id, path.n ? path : STR("."), &e);
    if (r < 0 && r != -ENOENT)
        return r;
    *ret_upstream = (entry_upstream){.is_registered = true};
    if (r == 0) {
        ret_upstream->version = e.detected_version.n ? e.detected_version : str_head(e.detected_sha, SHORT_SHA);
        ret_upstream->content_hash = e.content_hash;
    }
    return 0;
}
