#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""usage: requirements.py [--check]

Writes the last column of docs/requirements.md anew: the tests that show each requirement, found by
comments such as `/* R59 */` in tests and bench (`# R59` in scripts). A comment belongs to the
function that it stands in or right before, and else to the whole file. A test that no Meson file
runs, or a test function that is in no list of its file, shows nothing and is left out. With --check
nothing is written: prints what is out of date and exits 1.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = "docs/requirements.md"
PLACES = ("tests", "bench")
COUNT = 118
NO_TEST = "-"


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def sources(endings=(".c", ".py", ".sh")):
    for place in PLACES:
        for at, folders, names in os.walk(os.path.join(ROOT, place)):
            folders[:] = sorted(f for f in folders if f not in ("__pycache__", "layout"))
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(at, name), ROOT)


def comments(name, text):
    """(offset, offset of the end, text) of each comment."""
    pattern = r"/\*.*?\*/" if name.endswith(".c") else r"^[ \t]*#[^\n]*|\"\"\".*?\"\"\""
    for match in re.finditer(pattern, text, re.S | re.M):
        yield match.start(), match.end(), match.group()


def function_pattern(name):
    if name.endswith(".c"):
        return re.compile(r"^(?:static )?(?:inline )?[a-z]\w*[ *]+(?:\w+[ *]+)*(\w+)\([^;{]*\)\n\{", re.M)
    if name.endswith(".py"):
        return re.compile(r"^[ \t]*def (\w+)\(", re.M)
    return re.compile(r"^(\w+)\(\)", re.M)


def functions(name, text):
    """(offset of the start, offset behind the end, name) of each function."""
    found = []
    for match in function_pattern(name).finditer(text):
        end = text.find("\n}", match.end())
        if name.endswith(".py"):
            indent = len(match.group()) - len(match.group().lstrip())
            after = re.compile(rf"^[ \t]{{0,{indent}}}[^\s#]", re.M).search(text, match.end())
            end = after.start() if after else len(text)
        found.append((match.start(), len(text) if end < 0 else end, match.group(1)))
    return found


def owner(start, end, text, found):
    """The function that a comment belongs to, None for the whole file."""
    for first, behind, name in found:
        if first <= start < behind:
            return name
        if first >= end and not text[end:first].strip():
            return name
    return None


def meson_words():
    """Every word in the Meson files of tests and bench: a test that nobody runs shows nothing."""
    words = set()
    for place in PLACES:
        for at, _, names in os.walk(os.path.join(ROOT, place)):
            if "meson.build" in names:
                text = read(os.path.join(os.path.relpath(at, ROOT), "meson.build"))
                words |= set(re.findall(r"\w+", text))
    return words


def runs(name, function, words):
    """Whether a file is built or run, and a test function of it registered."""
    stem = os.path.basename(name).rsplit(".", 1)[0]
    # Meson files may put a prefix before the names in a list: linux_move_test from 'move'.
    short = stem.removesuffix("_test")
    if not {stem, short, short.split("_")[-1], short.split("_", 1)[-1]} & words:
        return False
    if not function or not function.startswith("test_") or not name.endswith(".c"):
        return True
    return len(re.findall(rf"\b{function}\b", read(name))) > 1


def places_of(pattern):
    """What the pattern finds in comments -> sorted list of "file" or "file: function"."""
    tests = {}
    words = meson_words()
    for name in sources():
        text = read(name)
        found = functions(name, text)
        for start, end, comment in comments(name, text):
            ids = set(re.findall(pattern, comment))
            where = owner(start, end, text, found) if ids else None
            if not ids or not runs(name, where, words):
                continue
            for one in ids:
                tests.setdefault(one, set()).add(f"{name}: {where}" if where else name)
    return {one: sorted(places) for one, places in tests.items()}


def shown_by():
    """Requirement number -> sorted list of "file" or "file: function"."""
    return {int(one): places for one, places in places_of(r"\bR(\d+)\b").items()}


def rows(text):
    """(line, cells) of each row of the table."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if re.fullmatch(r"R\d+", cells[0]) and len(cells) == 4:
            yield line, cells


def column(number, tests):
    return "<br>".join(f"`{t}`" for t in tests.get(number, [])) or NO_TEST


def updated(text, tests):
    for line, cells in rows(text):
        new = f"| {cells[0]} | {cells[1]} | {cells[2]} | {column(int(cells[0][1:]), tests)} |"
        text = text.replace(line + "\n", new + "\n", 1)
    shown = sum(1 for number in tests if number <= COUNT)
    return re.sub(r"\d+ of \d+ are shown", f"{shown} of {COUNT} are shown", text)


def faults():
    text = read(PAGE)
    tests = shown_by()
    numbers = [int(cells[0][1:]) for _, cells in rows(text)]
    if numbers != list(range(1, COUNT + 1)):
        yield f"{PAGE}: the table must have the rows R1 to R{COUNT}, each once, in order"
    for number, places in sorted(tests.items()):
        if number > COUNT or number == 0:
            yield f"{places[0]}: there is no R{number}"
    if updated(text, tests) != text:
        yield f"{PAGE} is out of date: run `make requirements`"


def main():
    if sys.argv[1:] == ["--check"]:
        found = list(faults())
        print("\n".join(found))
        return 1 if found else 0
    text = updated(read(PAGE), shown_by())
    with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
