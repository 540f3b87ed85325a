#!/usr/bin/python3
"""Project folders as people have them, for the bench of discovery and refresh: make_projects.py FOLDER COUNT [SEED]

Makes COUNT projects below FOLDER, in groups of a hundred, each with source files beside its profile, ordinary artifacts
(a median of 12: skills with scripts and references, commands, agents, hooks, mcp servers) and a deployment file that
names most of them, with sources in a few hundred repositories. The same seed makes the same bytes. Prints what it made.
"""
import hashlib
import random
import sys
from pathlib import Path

SUBJECTS = ("api auth billing browser cloud code commit data deploy design docker docs email excel frontend git golang image "
            "issue kubernetes linux mobile network pdf prompt python react release research rust security slack sql "
            "terraform test theme typescript video workflow").split()
DOINGS = ("analyzer architect assistant auditor builder checker converter debugger engineer expert formatter generator guide "
          "helper linter manager migrator monitor optimizer planner reviewer runner scanner summarizer tester writer").split()
NOUNS = "shop portal ledger atlas beacon harbor garden engine console relay studio depot tracker library planner".split()
OWNERS = "acme northwind contoso fabrikam initech globex umbrella hooli stark wayne".split()
WORDS = ("the a when use this file check each test before change write read code review report error list name value build "
         "run keep short simple never always first then return result user project folder version").split()


def prose(rnd, words):
    return " ".join(rnd.choice(WORDS) for _ in range(words))


def version(rnd):
    return f"{rnd.choice([0, 1, 1, 1, 2, 3])}.{rnd.randrange(12)}.{rnd.randrange(20)}"


def markdown(rnd, name, size, ver):
    front = [f"name: {name}", f"description: {prose(rnd, 14).capitalize()}."]
    if ver:
        front.append(f"version: {ver}")
    if rnd.random() < 0.6:
        front.append("tags: [" + ", ".join(rnd.sample(SUBJECTS, rnd.randint(1, 4))) + "]")
    body = "\n\n".join(f"## {prose(rnd, 3).capitalize()}\n\n{prose(rnd, 60)}" for _ in range(max(1, size // 400)))
    return "---\n" + "\n".join(front) + f"\n---\n# {name}\n\n{body}\n"


def skill(rnd, name, ver):
    """Paths and texts of a skill: SKILL.md, mostly with scripts and references beside it."""
    files = {"SKILL.md": markdown(rnd, name, rnd.choice([800, 2000, 6000]), ver)}
    for i in range(rnd.choice([0, 0, 1, 2, 5])):
        files[f"scripts/step_{i}.py"] = "".join(f"def f{j}(x):\n    return x + {j}  # {prose(rnd, 6)}\n\n"
                                                for j in range(rnd.randint(5, 60)))
    for i in range(rnd.choice([0, 0, 1, 3])):
        files[f"references/part_{i}.md"] = f"# {prose(rnd, 3)}\n\n{prose(rnd, rnd.randint(200, 1500))}\n"
    return files


def artifact(rnd):
    """(type, name, path below the profile, files by path below the profile, version or None)"""
    kind = rnd.choices(["skill", "command", "agent", "hook", "mcp"], [40, 30, 20, 6, 4])[0]
    name = f"{rnd.choice(SUBJECTS)}-{rnd.choice(DOINGS)}"
    ver = version(rnd) if rnd.random() < 0.5 else None
    if kind == "skill":
        path = f"skills/{name}"
        return kind, name, path, {f"{path}/{p}": t for p, t in skill(rnd, name, ver).items()}, ver
    if kind in ("command", "agent"):
        path = f"{kind}s/{name}.md"
        return kind, name, path, {path: markdown(rnd, name, rnd.choice([400, 1500, 4000]), ver)}, ver
    if kind == "hook":
        path = f"hooks/{name}.sh"
        return kind, name, path, {path: f"#!/bin/sh\n# {prose(rnd, 12)}\nexec true\n"}, None
    path = f"mcp/{name}"
    return kind, name, path, {f"{path}/server.json": f'{{"name": "{name}", "command": "node"}}\n'}, None


def record(rnd, kind, name, path, ver):
    digest = hashlib.sha256(f"{name}{rnd.random()}".encode()).hexdigest()
    at = f"2025-{rnd.randint(1, 12):02}-{rnd.randint(1, 28):02}T{rnd.randint(0, 23):02}:00:00.000000"
    lines = ["[[deployed]]", f'artifact_name = "{name}"', f'artifact_type = "{kind}"', 'from_collection = "default"',
             f'deployed_at = "{at}"', f'artifact_path = "{path}"', f'content_hash = "{digest}"',
             "local_modifications = false"]
    if ver and rnd.random() < 0.7:
        lines.append(f'version_lineage = [\n    "{ver}",\n]')
    if rnd.random() < 0.8:
        repo = f"{rnd.choice(OWNERS)}/{rnd.choice(SUBJECTS)}-tools"
        lines.append(f'source = "github:{repo}/{path}{"@v" + ver if ver and rnd.random() < 0.3 else ""}"')
    return "\n".join(lines) + "\n"


def write(folder, files):
    for path, text in files.items():
        at = folder / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)


def project(rnd, folder, number):
    name = f"{rnd.choice(SUBJECTS)}-{rnd.choice(NOUNS)}-{number}"
    home = folder / f"group-{number // 100}" / name
    profile = rnd.choices([".claude", ".codex", ".gemini", ".cursor"], [85, 7, 4, 4])[0]
    files = {"README.md": f"# {name}\n", "src/main.py": "print(1)\n", "node_modules/m/index.js": "\n",
             f"{profile}/settings.json": "{}\n"}
    records, seen = [], set()
    for _ in range(max(1, min(100, round(rnd.lognormvariate(2.5, 0.8))))):
        kind, art, path, content, ver = artifact(rnd)
        if (kind, art) in seen:
            continue
        seen.add((kind, art))
        files.update({f"{profile}/{p}": t for p, t in content.items()})
        if rnd.random() < 0.9:
            records.append(record(rnd, kind, art, path, ver))
    files[f"{profile}/.skillmeat-deployed.toml"] = "\n".join(records)
    write(home, files)
    return len(seen), len(files)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    rnd = random.Random(int(sys.argv[3]) if len(sys.argv) == 4 else 1)
    made = [project(rnd, folder, i) for i in range(count)]
    print(f"{count} projects, {sum(m[0] for m in made)} artifacts, {sum(m[1] for m in made)} files")


if __name__ == "__main__":
    main()
