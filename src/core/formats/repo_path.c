#include "larder/repo_path.h"

#define FAULT_TEXT(name, text) text,
static const char *const fault_texts[] = {REPO_PATH_FAULTS(FAULT_TEXT)};

const char *repo_path_fault_text(repo_path_fault fault)
{
    return fault_texts[fault];
}

bool repo_path_is_below(str path, str folder)
{
    return folder.n == 0 || (path.n > folder.n && path.p[folder.n] == '/' && str_starts(path, folder));
}

bool repo_path_is_in(str path, str folder)
{
    return str_eq(path, folder) || repo_path_is_below(path, folder);
}

int repo_path_cmp_ended(str a, char end_a, str b, char end_b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    if (order != 0)
        return order;
    const int at_a = (unsigned char)(a.n > n ? a.p[n] : end_a);
    const int at_b = (unsigned char)(b.n > n ? b.p[n] : end_b);
    return at_a != at_b ? at_a - at_b : (a.n > b.n) - (a.n < b.n);
}

repo_path_fault repo_path_check(str path)
{
    if (path.n == 0)
        return REPO_PATH_SEGMENT;
    if (path.p[0] == '/')
        return REPO_PATH_ABSOLUTE;
    if (path.n > REPO_PATH_MAX)
        return REPO_PATH_LONG;

    size_t start = 0;
    for (size_t i = 0; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/') {
            unsigned char c = (unsigned char)path.p[i];
            if (c < 0x20 || c == 0x7f)
                return REPO_PATH_BYTES;
            continue;
        }
        str segment = str_of(path.p + start, i - start);
        if (segment.n == 0 || str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return REPO_PATH_SEGMENT;
        start = i + 1;
    }
    return utf8_valid(path) ? REPO_PATH_OK : REPO_PATH_BYTES;
}

/* ---- names ---- */
static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* New names may not begin or end with '-' or have two in a row, but older accounts do; GitHub knows, we needn't. */
bool repo_owner_is_valid(str s)
{
    if (s.n == 0 || s.n > REPO_OWNER_MAX || !is_alnum(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return true;
}

bool repo_name_is_valid(str s)
{
    if (s.n == 0 || s.n > REPO_NAME_MAX || str_eq(s, STR(".")) || str_eq(s, STR("..")))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
            return false;
    return true;
}
