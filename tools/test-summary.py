#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""usage: test-summary.py LOG ...

Adds up Meson's test logs (testlog*.json) and prints "N passed, N failed, N skipped" as the last
line. Exits 1 when a test failed, when there is no log at all, and, with CI=true in the environment,
when a test was skipped that tests/system/allowed-skips does not name.
"""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}


def allowed_skips():
    """Names, one a line; `#` starts a comment."""
    path = os.path.join(ROOT, "tests/system/allowed-skips")
    with open(path, encoding="utf-8") as f:
        names = (line.split("#")[0].strip() for line in f)
        return {name for name in names if name}


def results(paths):
    """(log, test, result, what it said) of every test."""
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                if line.strip():
                    t = json.loads(line)
                    said = (t.get("stdout") or "") + (t.get("stderr") or "")
                    yield path, t["name"].split(" / ")[-1], t["result"], said


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it did not say why"


def main():
    paths = sys.argv[1:]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    bad = not paths
    allowed = allowed_skips()
    strict = os.environ.get("CI") == "true"

    for path, name, result, said in results(paths):
        if result in PASSED:
            counts["passed"] += 1
        elif result in SKIPPED:
            counts["skipped"] += 1
            print(f"skipped: {name}: {last_line(said)}")
            if strict and name not in allowed:
                print(f"  {name} is not listed in tests/system/allowed-skips: it must run here")
                bad = True
        else:
            counts["failed"] += 1
            print(f"failed: {name} ({result}, {path})")
            bad = True
    if not paths:
        print("no test log was written")
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
