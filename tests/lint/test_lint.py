"""The lint finds what it is for, names file and line, and lets pass what is right. Each test is a small tree."""
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import lint  # noqa: E402
import rules  # noqa: E402

FACE = "/* {0}: what it is for */\n#ifndef LARDER_{1}_H\n#define LARDER_{1}_H\n{2}#endif\n"


def face(name, body=""):
    return FACE.format(name, name.upper(), body)


@pytest.fixture
def breaches(tmp_path):
    """breaches({path: text}) -> the lint's findings as 'path:line: what'."""
    def run(tree):
        for path, text in tree.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return [f"{path}:{line}: {what}" for path, line, what in lint.Lint(tmp_path).run()]
    return run


def one(found, begin, part):
    assert len(found) == 1, found
    assert found[0].startswith(begin) and part in found[0], found[0]


def test_the_table_names_only_rooms_that_exist():
    words = {room.split("/")[-1] for room in rules.ROOMS} | set(rules.ROOM_OF_FACE_ONLY) | {"*"}
    for room, may in rules.ROOMS.items():
        assert set(may.split()) <= words, room
    for word in rules.FACES.values():
        assert word in words


def test_the_table_has_no_arrow_back():
    """Following the arrows from any room never leads back to it."""
    short = {room.split("/")[-1]: may.split() for room, may in rules.ROOMS.items() if may != "*"}
    for start in short:
        seen, todo = set(), list(short[start])
        while todo:
            word = todo.pop()
            assert word != start, start
            if word not in seen:
                seen.add(word)
                todo += short.get(word, [])


@pytest.mark.parametrize("room,header", [
    ("core/base", "clock"), ("core/json", "loop"), ("store", "http"), ("wire/net", "http"), ("wire/tls", "net"),
    ("domains/artifacts", "sources"), ("domains/sources", "route"), ("domains/sources", "http"),
    ("wire/client", "log"), ("serve/route", "sources"), ("remote/github", "store"),
])
def test_an_arrow_the_wrong_way_is_found(breaches, room, header):
    found = breaches({f"src/{room}/a.c": f'#include "larder/base.h"\n\n#include "larder/{header}.h"\n'})
    one(found, f"src/{room}/a.c:3: ", f"{room} must not include larder/{header}.h")


@pytest.mark.parametrize("room,header", [
    ("core/base", "log"), ("core/base", "hash"), ("core/json", "schema"), ("store", "store"), ("store", "schema"),
    ("wire/http", "net"), ("domains/sources", "github"), ("serve/api", "route"), ("serve/api", "sources"),
    ("app", "client"), ("app", "sources"),
])
def test_an_arrow_of_the_plan_passes(breaches, room, header):
    assert breaches({f"src/{room}/a.c": f'#include "larder/{header}.h"\n'}) == []


def test_arrows_hold_for_faces_too(breaches):
    one(breaches({"include/larder/base.h": face("base", '#include "larder/store.h"\n')}),
        "include/larder/base.h:4: ", "core/base must not include larder/store.h")


def test_an_include_in_a_comment_is_none(breaches):
    assert breaches({"src/core/base/a.c": '/*\n#include "larder/store.h"\n*/\n// #include <uv.h>\n'}) == []


def test_a_folder_that_is_no_room_is_found(breaches):
    one(breaches({"src/misc/util.c": "int x;\n"}), "src/misc/util.c:1: ", "no room")
    one(breaches({"src/misc/util.c": "", "src/store/ok.c": "int x;\n"}), "src/misc/util.c:1: ", "no room")


def test_a_face_that_belongs_to_no_room_is_found(breaches):
    found = breaches({"include/larder/stuff.h": face("stuff"), "src/app/a.c": '#include "larder/stuff.h"\n'})
    assert [f.split(" ")[0] for f in found] == ["include/larder/stuff.h:1:", "src/app/a.c:1:"]


def test_a_face_begins_with_its_first_page_and_has_a_guard(breaches):
    found = breaches({"include/larder/base.h": "int base_x(void);\n"})
    assert len(found) == 2 and "first page" in found[0] + found[1] and "LARDER_BASE_H" in found[0] + found[1]


def test_a_face_shows_no_library(breaches):
    one(breaches({"include/larder/loop.h": face("loop", "#include <uv.h>\n")}), "include/larder/loop.h:4: ", "uv.h")


@pytest.mark.parametrize("path,header,ok", [
    ("src/core/loop/a.c", "uv.h", True), ("src/wire/http/a.c", "uv.h", False), ("src/store/writer.c", "uv.h", True),
    ("src/store/read.c", "uv.h", False), ("src/store/read.c", "lmdb.h", True), ("src/app/main.c", "lmdb.h", False),
    ("src/wire/tls/a.c", "mbedtls/ssl.h", True), ("src/core/base/hash.c", "mbedtls/sha256.h", True),
    ("src/core/base/str.c", "mbedtls/sha256.h", False), ("src/wire/http/a.c", "llhttp.h", True),
    ("src/wire/net/a.c", "llhttp.h", False), ("src/core/json/a.c", "jansson.h", True),
    ("src/serve/route/a.c", "jansson.h", False), ("src/domains/sources/a.c", "uthash.h", True),
])
def test_a_library_is_for_its_rooms_only(breaches, path, header, ok):
    found = breaches({path: f"#include <{header}>\n"})
    assert found == [] if ok else (one(found, f"{path}:1: ", f"<{header}> is for") is None)


def test_a_private_header_stays_in_its_room(breaches):
    tree = {"src/store/env.h": "int x;\n", "src/store/check/a.c": '#include "../env.h"\n',
            "src/store/b.c": '#include "env.h"\n', "src/wire/http/c.c": '#include "../../store/env.h"\n'}
    one(breaches(tree), "src/wire/http/c.c:1: ", "not a header of the room wire/http")


def test_a_private_header_that_is_missing_is_found(breaches):
    one(breaches({"src/store/b.c": '#include "envv.h"\n'}), "src/store/b.c:1: ", "does not exist")


@pytest.mark.parametrize("path,call,ok", [
    ("src/domains/sources/a.c", "time(NULL)", False), ("src/core/clock/a.c", "clock_gettime(0, &t)", True),
    ("src/store/a.c", "clock_gettime(0, &t)", False), ("src/core/loop/a.c", "uv_now(l)", True),
    ("src/wire/net/a.c", "uv_now(l)", False), ("src/serve/access/a.c", "getrandom(p, 1, 0)", False),
    ("src/core/base/mem.c", "malloc(3)", True), ("src/store/a.c", "malloc(3)", False),
    ("src/store/a.c", "strdup(p)", False), ("src/store/a.c", "free(p)", False), ("src/store/a.c", "mem_free(p)", True),
    ("src/store/a.c", "c->time(c)", True), ("src/store/a.c", "c.free(c)", True), ("src/store/a.c", "usleep(9)", False),
    ("src/wire/http/a.c", 'fprintf(stderr, "x")', True), ("src/wire/http/a.c", 'printf("x")', False),
    ("src/app/main.c", 'printf("x")', True), ("src/store/a.c", "assert(1)", False),
    ("src/store/a.c", 'run("malloc(3)")', True), ("src/store/a.c", "/* time(NULL) */ run()", True),
])
def test_a_call_is_for_its_rooms_only(breaches, path, call, ok):
    found = breaches({path: f"\nstatic int f(void)\n{{\n    return {call};\n}}\n"})
    name = call.split("(")[0]
    assert found == [] if ok else (one(found, f"{path}:4: ", f"calls {name}()") is None)


def test_all_puts_stand_in_one_file(breaches):
    body = "int f(void)\n{\n    return mdb_put(t, d, k, v, 0);\n}\n"
    assert breaches({"src/store/txn.c": body}) == []
    one(breaches({"src/store/txn.c": body, "src/store/backup.c": body.replace("put", "del")}),
        "src/store/txn.c:3: ", "one file, src/store/backup.c")


@pytest.mark.parametrize("literal,ok", [
    (r'"{\"detail\":\"no\"}"', False), (r'"{ \"a\""', False), (r'"[\"a\"]"', False), (r'",\"next\":"', False),
    (r'"say \"hello\""', True), (r'"{}"', True),
])
def test_json_is_written_by_the_writer(breaches, literal, ok):
    found = breaches({"src/serve/route/a.c": f"const char *x = {literal};\n"})
    assert found == [] if ok else (one(found, "src/serve/route/a.c:1: ", "JSON as a string literal") is None)
    assert breaches({"src/serve/route/a.c": "", "src/core/json/a.c": f"const char *x = {literal};\n"}) == []


def test_a_handler_file_speaks_for_one_domain(breaches):
    tree = {"src/serve/api/a.c": '#include "larder/sources.h"\n#include "larder/artifacts.h"\n'}
    one(breaches(tree), "src/serve/api/a.c:1: ", "artifacts sources")


@pytest.mark.parametrize("opening", ["int f(void)\n{\n", "int f(void) {\n", "static struct x *f(int a,\n         int b)\n{\n"])
def test_a_long_function_is_found(breaches, opening):
    for length, ok in ((rules.MAX_FUNCTION_LINES, True), (rules.MAX_FUNCTION_LINES + 1, False)):
        tree = {"src/store/a.c": opening + "    x();\n" * (length - 2) + "}\n"}
        found = breaches(tree)
        assert found == [] if ok else (one(found, "src/store/a.c:", f"f() has {length} lines") is None)


def test_a_long_table_is_no_function(breaches):
    assert breaches({"src/store/a.c": "static const row rows[] = {\n" + "    ROW(1),\n" * 200 + "};\n"}) == []


def test_long_files_and_lines_tabs_and_trailing_blanks_are_found(breaches):
    one(breaches({"src/store/a.c": "int x;\n" * (rules.MAX_FILE_LINES + 1)}), "src/store/a.c:651: ", "651 lines")
    one(breaches({"src/store/a.c": "int x;" + " " * rules.MAX_COLUMNS + "/**/\n"}), "src/store/a.c:1: ", "columns")
    one(breaches({"src/store/a.c": "int x; \n"}), "src/store/a.c:1: ", "blanks")
    one(breaches({"src/store/a.c": "\tint x;\n"}), "src/store/a.c:1: ", "tab")


@pytest.mark.parametrize("text", ["/ro" "ot/x", "see /wo" "rk/main/x", "/t" "mp/h/x", '"resol' 'ved": "https://a"'])
def test_foreign_texts_are_found_in_any_file(breaches, text):
    one(breaches({"README.md": f"a\n{text}\n"}), "README.md:2: ", "")


def test_paths_that_only_look_foreign_pass(breaches):
    assert breaches({"README.md": "../wo" "rk/x a/ro" "ot/b /workers /tmp/x\n"}) == []


def test_the_program_closes_with_a_line_and_a_status(tmp_path):
    (tmp_path / "src/store").mkdir(parents=True)
    run = [sys.executable, str(HERE / "lint.py"), str(tmp_path)]
    clean = subprocess.run(run, capture_output=True, text=True)
    assert (clean.returncode, clean.stdout) == (0, "lint: 0 breaches\n")
    (tmp_path / "src/store/a.c").write_text("#include <uv.h>\n")
    broken = subprocess.run(run, capture_output=True, text=True)
    assert broken.returncode == 1
    assert broken.stdout.splitlines()[0].startswith("src/store/a.c:1: ")
    assert broken.stdout.splitlines()[-1] == "lint: 1 breaches"
