#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""usage: conformance.py [--check]

Writes the last column of the tables in docs/conformance.md anew, and the table of sums: the tests
that show each row, found by comments with its id (MUST-23, SHLD-5a, RFC7323-5.3a) in tests, and in
the `//` lines of packet scripts. The other columns are written by hand. With --check nothing is
written: prints what is wrong and exits 1. Wrong is a column that is out of date, a MUST or SHOULD
with neither a test nor a reason, an id that no row has or that two rows have, and a cell that is empty.
"""
import os
import re
import sys

import requirements

PAGE = "docs/conformance.md"
SCRIPTS = "tests/conformance"
ID = r"\b(?:(?:MUST|SHLD|MAY|REC)-\d+|RFC\d+-\d[\d.]*\d|RFC\d+-\d)[a-z]?\b"
LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")
# The rows of RFC 9293's appendix B: none may get lost.
COUNT_9293 = 126
NOTHING = "-"


def scripts():
    """Id -> set of packet scripts that Meson runs."""
    tests = {}
    meson = requirements.read(f"{SCRIPTS}/meson.build")
    for name in requirements.sources((".pkt",)):
        if f"'{os.path.basename(os.path.dirname(name))}'" not in meson:
            continue
        head = "\n".join(re.findall(r"^//.*", requirements.read(name), re.M))
        for one in re.findall(ID, head):
            tests.setdefault(one, set()).add(name)
    return tests


def shown_by():
    """Id -> sorted list of "file" or "file: function"."""
    tests = scripts()
    for one, places in requirements.places_of(ID).items():
        tests.setdefault(one, set()).update(places)
    return {one: sorted(places) for one, places in tests.items()}


def rows(text):
    """(line, heading, cells) of each row of the tables of rows."""
    heading = ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(ID, cells[0]):
            yield line, heading, cells


def column(one, tests):
    return "<br>".join(f"`{t.removeprefix('tests/')}`" for t in tests.get(one, [])) or NOTHING


def sums(text):
    """The table of sums: rows, shown by a test, with a reason instead, open."""
    counts = {}
    for _, heading, cells in rows(text):
        count = counts.setdefault(heading, [0, 0, 0, 0])
        count[0] += 1
        count[1 if cells[4] != NOTHING else 2 if cells[3] != NOTHING else 3] += 1
    lines = ["| | rows | shown | reasoned | open |", "|---|---|---|---|---|"]
    for heading, count in counts.items():
        lines.append(f"| {heading} | " + " | ".join(str(n) for n in count) + " |")
    return "\n".join(lines)


def updated(text, tests):
    for line, _, cells in rows(text):
        new = f"| {' | '.join(cells[:4])} | {column(cells[0], tests)} |"
        text = text.replace(line + "\n", new + "\n", 1)
    return re.sub(r"(<!-- sums: begin[^\n]*\n).*?(?=<!-- sums: end)",
                  lambda m: m.group(1) + "\n" + sums(text) + "\n\n", text, flags=re.S)


def row_faults(text, tests):
    seen = set()
    for _, heading, (one, level, what, reason, _) in rows(text):
        if one in seen:
            yield f"{PAGE}: {one} has two rows"
        seen.add(one)
        if level not in LEVELS or not what or not reason:
            yield f"{PAGE}: {one}: the level must be one of {', '.join(LEVELS)}, and no cell empty"
        if level != "MAY" and reason == NOTHING and one not in tests:
            yield f"{PAGE}: {one} has neither a test nor a reason"
    appendix = sum(1 for _, heading, _ in rows(text) if heading == "RFC 9293")
    if appendix != COUNT_9293:
        yield f"{PAGE}: appendix B of RFC 9293 has {COUNT_9293} rows, not {appendix}"
    for one, places in sorted(tests.items()):
        if one not in seen:
            near = sorted(row for row in seen if row.rstrip("abcdefgh") == one)
            hint = f": name {' or '.join(near)}" if near else ""
            yield f"{places[0]}: {PAGE} has no row {one}{hint}"


def faults():
    text = requirements.read(PAGE)
    tests = shown_by()
    yield from row_faults(text, tests)
    if updated(text, tests) != text:
        yield f"{PAGE} is out of date: run `make requirements`"


def main():
    if sys.argv[1:] == ["--check"]:
        found = list(faults())
        print("\n".join(found))
        return 1 if found else 0
    text = updated(requirements.read(PAGE), shown_by())
    with open(os.path.join(requirements.ROOT, PAGE), "w", encoding="utf-8") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
