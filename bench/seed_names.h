/* Names like those that people give, for the seeders: a few combinations are common, most occur once. */
#ifndef LARDER_BENCH_SEED_NAMES_H
#define LARDER_BENCH_SEED_NAMES_H

#include "larder/base.h"

static const char *const subjects[] = {
    "api",       "audio",     "auth",     "backup",   "billing",  "browser", "build",    "cache",    "calendar",
    "canvas",    "changelog", "chart",    "ci",       "cloud",    "code",    "color",    "commit",   "config",
    "contract",  "coverage",  "csv",      "data",     "debug",    "deploy",  "design",   "diagram",  "diff",
    "docs",      "email",     "excel",    "feature",  "figma",    "finance", "font",     "form",     "game",
    "git",       "graph",     "html",     "image",    "incident", "infra",   "invoice",  "issue",    "json",
    "kernel",    "latex",     "legal",    "lint",     "log",      "map",     "markdown", "memory",   "metrics",
    "migration", "mobile",    "network",  "note",     "openapi",  "parser",  "payment",  "pdf",      "perf",
    "photo",     "pipeline",  "plot",     "podcast",  "postgres", "prompt",  "proxy",    "python",   "query",
    "queue",     "react",     "recipe",   "redis",    "refactor", "release", "report",   "research", "roadmap",
    "rust",      "schema",    "search",   "security", "shell",    "slide",   "sound",    "spec",     "sql",
    "survey",    "tax",       "terminal", "test",     "theme",    "ticket",  "travel",   "video",    "wiki",
    "xml"};
static const char *const doings[] = {
    "analyzer",  "architect",  "assistant", "auditor",    "builder",  "checker",   "cleaner", "coach",     "converter",
    "creator",   "editor",     "expert",    "explainer",  "explorer", "filler",    "fixer",   "formatter", "generator",
    "guide",     "helper",     "importer",  "inspector",  "keeper",   "linter",    "manager", "migrator",  "monitor",
    "optimizer", "organizer",  "planner",   "profiler",   "reader",   "reviewer",  "runner",  "scanner",   "scheduler",
    "splitter",  "summarizer", "tester",    "translator", "tuner",    "validator", "watcher", "wizard",    "writer"};
static const char *const teams[] = {"acorn",  "basalt", "cedar",   "delta",  "ember",   "fjord",  "garnet",
                                    "harbor", "indigo", "juniper", "kelp",   "lumen",   "meadow", "nimbus",
                                    "onyx",   "pebble", "quartz",  "ripple", "saffron", "tundra"};

/* splitmix64: entry i is the same whatever was made before it */
static inline uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

#define PICK(list, x) (list)[(x) % COUNT_OF(list)]

static inline str name_of(arena *a, uint64_t x)
{
    const char *what = PICK(subjects, x >> 8), *does = PICK(doings, x >> 16), *other = PICK(subjects, x >> 24);
    const unsigned number = (unsigned)(x >> 40) % 10000;

    switch (x % 16) {
    case 0:
        return arena_printf(a, "%s-%s", what, does);
    case 1:
        return arena_printf(a, "%s %s", what, does);
    case 2:
        return arena_printf(a, "%s-%s-%s", what, other, does);
    case 3:
    case 4:
        return arena_printf(a, "%s_%s_%s_v%u", what, other, does, number % 40);
    case 5:
    case 6:
    case 7:
        return arena_printf(a, "%s-%s-%s-%s", PICK(teams, x >> 32), what, other, does);
    default:
        return arena_printf(a, "%s-%s-%s-%04u", PICK(teams, x >> 32), what, does, number);
    }
}

#endif
