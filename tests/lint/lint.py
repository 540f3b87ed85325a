"""Fails when an include arrow points the wrong way or another house rule is broken: lint.py [ROOT]

The rules are tables in rules.py. Prints one `file:line: what` per breach, then a closing line; exit status 1 if any.
"""
import re
import subprocess
import sys
from pathlib import Path

import rules

C_FOLDERS = ("src", "include", "tests/unit", "tests/fuzz", "bench")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
WORDS_AND_TEXTS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
SIGNATURE_NAME = re.compile(r"(\w+)\s*\(")


def blank(code, texts_too):
    """The code without comments (and string literals), line numbers kept."""
    def replace(match):
        found = match.group()
        if found[0] == "/":
            return " " + "\n" * found.count("\n")
        return found[0] * 2 if texts_too else found
    return WORDS_AND_TEXTS.sub(replace, code)


def room_of(path):
    """'core/base' for src/core/base/x.c; None when the folder is not in the table."""
    parts = path.split("/")
    for room in ("/".join(parts[1:3]), parts[1]):
        if room in rules.ROOMS and len(parts) > len(room.split("/")) + 1:
            return room
    return None


def face_room(face):
    """The word by which the table's right side knows the room of include/larder/<face>.h; None when unknown."""
    if face in rules.FACES:
        return rules.FACES[face]
    return face if any(room.split("/")[-1] == face for room in rules.ROOMS) else None


def full_room(word):
    """'base' -> 'core/base'; the words of the table's right side are the last part of a room's name."""
    if word in rules.ROOM_OF_FACE_ONLY:
        return rules.ROOM_OF_FACE_ONLY[word]
    return next(room for room in rules.ROOMS if room.split("/")[-1] == word)


def allowed(places, room, path):
    return room in places.split() or path in places.split()


class Lint:
    def __init__(self, root):
        self.root = Path(root)
        self.breaches = []
        self.one_file = {}

    def breach(self, path, line, what):
        self.breaches.append((path, line, what))

    # ---- what each file is asked ----

    def tracked_files(self):
        """Files git knows or would add; without git, all there are."""
        try:
            out = subprocess.run(["git", "-C", self.root, "ls-files", "-z", "-c", "-o", "--exclude-standard"],
                                 check=True, capture_output=True).stdout
            names = [n for n in out.decode().split("\0") if n]
        except (OSError, subprocess.CalledProcessError):
            names = [str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()]
        return sorted(n for n in names if (self.root / n).is_file())

    def run(self):
        names = self.tracked_files()
        for name in names:
            data = (self.root / name).read_bytes()
            if b"\0" in data:
                continue
            text = data.decode("utf-8", "replace")
            if not name.startswith("tests/fuzz/corpus/"):
                self.check_foreign_text(name, text)
            if name.endswith((".c", ".h")) and name.startswith(tuple(f + "/" for f in C_FOLDERS)):
                self.check_sizes(name, text)
            if name.endswith((".c", ".h")) and name.startswith("src/"):
                self.check_source(name, text)
            if name.endswith(".h") and name.startswith("include/"):
                self.check_face(name, text)
        return sorted(self.breaches)

    def check_foreign_text(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            for pattern, what in rules.FOREIGN_TEXT:
                if re.search(pattern, line):
                    self.breach(path, number, f"holds {what}")

    def check_sizes(self, path, text):
        lines = text.split("\n")
        if len(lines) - 1 > rules.MAX_FILE_LINES:
            self.breach(path, len(lines) - 1, f"file has {len(lines) - 1} lines, at most {rules.MAX_FILE_LINES}")
        for number, line in enumerate(lines, 1):
            if len(line) > rules.MAX_COLUMNS:
                self.breach(path, number, f"line has {len(line)} columns, at most {rules.MAX_COLUMNS}")
            if "\t" in line or line != line.rstrip():
                self.breach(path, number, "tab, or blanks at the end of the line")
        self.check_functions(path, blank(text, texts_too=True).split("\n"))

    def check_functions(self, path, lines):
        """A function begins with a brace at the start of a line, or a line from column 0 that ends in `) {`."""
        start, name = None, ""
        for number, line in enumerate(lines, 1):
            if start is None and re.match(r"[a-z_A-Z].*\(", line):
                name = SIGNATURE_NAME.search(line).group(1)
            if line.rstrip() == "{" or re.match(r"[a-z_A-Z][^=]*\)\s*\{\s*$", line):
                start = number
            elif line.startswith("}") and start is not None:
                length = number - start + 1
                if length > rules.MAX_FUNCTION_LINES:
                    self.breach(path, start, f"{name}() has {length} lines, at most {rules.MAX_FUNCTION_LINES}")
                start = None

    def check_source(self, path, text):
        room = room_of(path)
        if room is None:
            return self.breach(path, 1, "stands in no room of tests/lint/rules.py")
        code = blank(text, texts_too=False)
        domains = set()
        for number, line in enumerate(code.split("\n"), 1):
            match = INCLUDE.match(line)
            if match:
                domains |= self.check_include(path, room, number, *match.groups())
            elif re.search(r'"[^"]*[{\[,]\s*\\"', line) and not allowed(rules.JSON_TEXT, room, path):
                self.breach(path, number, "JSON as a string literal; write it through json.h")
        if len(domains) > 1:
            self.breach(path, 1, f"includes the faces of several domains: {' '.join(sorted(domains))}")
        self.check_calls(path, room, blank(text, texts_too=True))

    def check_calls(self, path, room, code):
        for number, line in enumerate(code.split("\n"), 1):
            called = set(re.findall(r"(?<![\w.>*])(\w+)\s*\(", line))
            for names, places, instead in rules.CALLS:
                for name in sorted(called & set(names.split())):
                    if not allowed(places, room, path):
                        self.breach(path, number, f"calls {name}(): {instead}")
            for names in rules.ONE_FILE_CALLS:
                for name in sorted(called & set(names.split())):
                    first = self.one_file.setdefault(names, path)
                    if first != path:
                        self.breach(path, number, f"calls {name}(): all such calls stand in one file, {first}")

    def check_include(self, path, room, number, mark, header):
        """Checks one #include of a source; returns the domain it brings, as a set."""
        if header.startswith("larder/"):
            return self.check_arrow(path, room, number, header)
        if mark == '"':
            target = ((self.root / path).parent / header).resolve()
            folder = (self.root / "src" / room).resolve()
            if folder not in target.parents:
                self.breach(path, number, f'"{header}" is not a header of the room {room}')
            elif not target.exists():
                self.breach(path, number, f'"{header}" does not exist beside the file')
            return set()
        for prefix, places in rules.LIBRARIES.items():
            if (header == prefix or prefix.endswith("/") and header.startswith(prefix)) \
                    and not allowed(places, room, path):
                self.breach(path, number, f"<{header}> is for {places.replace(' ', ', ')} only")
        return set()

    def check_arrow(self, path, room, number, header):
        word = face_room(header[len("larder/"):-len(".h")])
        if word is None:
            self.breach(path, number, f"{header} belongs to no room of tests/lint/rules.py")
            return set()
        may = rules.ROOMS[room].split()
        if full_room(word) != room and word not in may and may != ["*"]:
            self.breach(path, number, f"{room} must not include {header}")
        return {word} & set(rules.ONE_DOMAIN_PER_FILE.get(room, "").split())

    def check_face(self, path, text):
        match = re.fullmatch(r"include/larder/(\w+)\.h", path)
        word = match and face_room(match.group(1))
        if not word:
            return self.breach(path, 1, "is the face of no room of tests/lint/rules.py")
        name, room = match.group(1), full_room(word)
        if not text.startswith(f"/* {name}: "):
            self.breach(path, 1, f"a face begins with its first page: `/* {name}: what it is for`")
        if f"#define LARDER_{name.upper()}_H\n" not in text:
            self.breach(path, 1, f"has no include guard LARDER_{name.upper()}_H")
        for number, line in enumerate(blank(text, texts_too=False).split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            mark, header = match.groups()
            if header.startswith("larder/"):
                self.check_arrow(path, room, number, header)
            elif mark == '"':
                self.breach(path, number, f'a face includes no private header ("{header}")')
            elif any(header == p or p.endswith("/") and header.startswith(p) for p in rules.LIBRARIES):
                self.breach(path, number, f"a face doesn't show <{header}> to its callers")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    breaches = Lint(root).run()
    for path, line, what in breaches:
        print(f"{path}:{line}: {what}")
    print(f"lint: {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
