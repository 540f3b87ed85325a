"""The house rules as tables. lint.py reads them; a new room, header or library is a row here and nothing else.

A room is a folder of a wing under src/ ("core/base"), or the wing itself where it has no rooms ("store", "app").
Everybody may include the faces of his own room.
"""

CORE = "base clock json loop"

# room -> rooms whose faces it may include. Arrows point down the house, never up or sideways between domains.
ROOMS = {
    "core/base": "",
    "core/clock": "base",
    "core/json": "base clock",
    "core/loop": "base clock",
    "core/formats": "base json",
    "store": CORE,
    "wire/net": CORE,
    "wire/tls": "base clock",
    "wire/http": f"{CORE} net",
    "wire/client": f"{CORE} net tls http",
    "remote/github": f"{CORE} client",
    "remote/render": f"{CORE} client",
    "domains/artifacts": f"{CORE} store github log formats",
    "domains/sources": f"{CORE} store github log formats",
    "domains/recache": f"{CORE} store render log",
    "domains/coordination": f"{CORE} store github log",
    "domains/datacache": f"{CORE} store client log",
    "serve/access": f"{CORE} store net http log",
    "serve/route": f"{CORE} store http access log",
    "serve/api": f"{CORE} formats route access log artifacts sources recache coordination datacache",
    "serve/ops": f"{CORE} store net http client github render access route api sources artifacts recache log",
    "app": "*",
}

# A handler file speaks for one domain: of these faces it includes at most one.
ONE_DOMAIN_PER_FILE = {"serve/api": "artifacts sources recache coordination datacache"}

# Face (include/larder/<name>.h) -> room, where the room isn't the folder of that name. "log" is a room to the table
# above, so that library rooms, which return and don't log, can't include it; its code stands in core/base.
FACES = {
    "hash": "base",
    "version": "base",
    "log": "log",
    "search": "artifacts",
    "projects": "artifacts",
    "discover": "artifacts",
    "artifact_version": "artifacts",
    "artifact_type": "formats",
    "schema": "json",
    "record": "store",
    "archive": "formats",
    "detect": "sources",
    "frontmatter": "formats",
    "toml": "formats",
    "repo_path": "formats",
    "repo_url": "sources",
    "source_rules": "sources",
    "recache_url": "recache",
    "recache_hosts": "recache",
    "recache_queue": "recache",
    "recache_pages": "recache",
    "config": "app",
}
ROOM_OF_FACE_ONLY = {"log": "core/base"}

# System header (a prefix) -> the rooms or files that may include it. Faces may include none of them: what a library is
# called stays the secret of the room that wraps it.
LIBRARIES = {
    "uv.h": "core/loop wire/net wire/client src/store/writer.c",
    "lmdb.h": "store",
    "mbedtls/": "wire/tls src/core/base/hash.c",
    "psa/": "wire/tls src/core/base/hash.c",
    "llhttp.h": "wire/http wire/client",
    "jansson.h": "core/json",
    "yaml.h": "app core/formats",
    "zlib.h": "wire/http wire/client remote/github core/formats domains/recache",
    "libdeflate.h": "wire/http",
    "xxhash.h": "src/core/base/hash.c",
    "utf8proc.h": "core/base",
    "pthread.h": "core/base core/json core/loop store wire/tls",
    "netdb.h": "wire/net wire/client",
}

# (functions, rooms or files that may call them, what to do instead)
CALLS = [
    ("time clock_gettime gettimeofday timespec_get clock getrandom getentropy rand srand random srandom rand_r arc4random",
     "core/clock core/base", "take a clk from clock.h, or random_bytes from base.h"),
    ("uv_now uv_hrtime uv_update_time uv_random", "core/loop core/clock core/base", "ask loop.h or clock.h"),
    ("malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf aligned_alloc posix_memalign alloca",
     "core/base", "use mem_*, an arena or a buf, so that tests can make it fail"),
    ("sprintf vsprintf strcpy strcat strtok gets atoi atol atoll", "", "use buf_*, str_* or a bounded function"),
    ("sleep usleep nanosleep clock_nanosleep", "", "nothing waits: set a timer"),
    ("printf vprintf puts putchar perror", "app core/base", "return the error; only app and log write"),
    ("assert", "", "use REQUIRE or EXPECT"),
    ("abort", "core/base", "use REQUIRE"),
    ("exit _exit", "app core/base", "return the error"),
    ("localtime localtime_r mktime", "", "times are UTC: use clock.h"),
]

# All puts and deletes pass through one file: the day a replica must follow, that is where it listens.
ONE_FILE_CALLS = ("mdb_put mdb_cursor_put mdb_del mdb_cursor_del",)

# Files that may hold JSON text as a string literal; all others write through json.h.
JSON_TEXT = "core/json src/core/base/log.c"

MAX_COLUMNS = 120
MAX_FILE_LINES = 650
MAX_FUNCTION_LINES = 80

# Texts that no file of the project may hold (regular expressions; in pieces, so that this file doesn't hold them).
FOREIGN_TEXT = [
    (r"(?<![\w.*-])/(?:wo" r"rk|ro" r"ot|ho" r"me)/\w", "a path of one machine"),
    (r"(?<![\w.*-])/t" r"mp/(?:h|wt)/", "a path of one machine"),
    (r"regis" r"try\.(?:npm" r"js|yarn" r"pkg)|pypi\.or" r"g/simple|files\.python" r"hosted", "a package registry's host"),
    (r'"resol' r'ved":', "a download address in a lock file"),
]
