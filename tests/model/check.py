#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""usage: check.py MODEL.pml

Verifies a Promela model with spin: no assertion fails, no process waits for ever, no line is out of
reach. Then breaks it by each -DMUTANT_... that its text names: spin must find every one of them.
Exits 0 when all is as it must be, 1 when not, 77 (skipped) without spin.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile


def run(folder, *command):
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def verify(model, *defines):
    """What the verifier of the model says."""
    with tempfile.TemporaryDirectory() as folder:
        run(folder, "spin", *defines, "-a", model)
        run(folder, "gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c")
        return run(folder, "./pan", "-m200000", "-w23")


def first(pattern, text, otherwise):
    match = re.search(pattern, text)
    return match.group(1) if match else otherwise


def main():
    model = os.path.abspath(sys.argv[1])
    if not shutil.which("spin"):
        print("spin is not installed: run make setup")
        return 77
    with open(model, encoding="utf-8") as f:
        mutants = sorted(set(re.findall(r"MUTANT_[A-Z_]*[A-Z]", f.read())))
    said = verify(model)
    states = first(r"(\d+) states, stored", said, "?")
    unreached = re.findall(r"state \d+, \"(.*)\"", said)
    failed = "errors: 0" not in said or bool(unreached) or not mutants
    print(f"{os.path.basename(model)}: {states} states, "
          f"errors: {first(r'errors: ([0-9]+)', said, '?')}")
    if failed:
        print(said)
    for mutant in mutants:
        said = verify(model, f"-D{mutant}")
        found = first(r"pan:1: (.*)", said, None)
        print(f"{mutant}: {found or 'NOT FOUND'}")
        failed |= not found
    return 1 if failed else 0


sys.exit(main())
