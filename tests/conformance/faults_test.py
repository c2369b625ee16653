#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""usage: faults_test.py PROGRAM OBJECT

A script that is wrong or does not hold is said to be, with its file, its line and what to do.
"""
import os
import subprocess
import sys
import tempfile

OPEN = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
"""

# (script, exit code, line of the fault, words that must be there)
FAULTS = [
    ("", 2, 1, "no events"),
    ("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 nonsense\n", 2, 3, '"(" is missing'),
    ("0 nocall() = 0\n", 1, 1, "not known"),
    ("0 socket(..., SOCK_STREAM) = 3\n", 1, 1, "3 arguments"),
    ("0 socket(..., SOCK_STREEM, IPPROTO_TCP) = 3\n", 2, 1, "SOCK_STREEM"),
    ("socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n", 2, 1, "a time is missing"),
    ("0 < S 0:5(4) win 1\n", 2, 1, "is 5 bytes"),
    ("0 < Q 0:0(0) win 1\n", 2, 1, "flags are missing"),
    ("0 < S 0:0(0) win 70000\n", 2, 1, "out of range"),
    ("0 < S 0:0(0) win 1 <mss>\n", 2, 1, "a number is missing"),
    ("0 < S 0:0(0) win 1 <speed 9>\n", 2, 1, "not known"),
    ("0 < S 0:0(0) win 1 <raw " + "00" * 41 + ">\n", 2, 1, "longer than 40"),
    ("0.2~0.1 > S 0:0(0)\n", 2, 1, "ends before"),
    ("--speed=9\n0 close(3) = 0\n", 2, 1, "--speed"),
    ("0 %{ assert tcpi_speed == 1\n", 2, 1, "is missing"),
    ("`rm -rf /`\n0 close(3) = 0\n", 2, 1, "not run"),
    ("0 > S 0:0(0)\n", 1, 1, "no connection yet"),
    ("0 close(3) = -1 EWHAT\n", 2, 1, "EWHAT"),
    ("0 close(3) = -1 EINVAL\n", 1, 1, "EBADF"),
    (OPEN + "+0 %{ assert tcpi_speed == 1 }%\n", 1, 8, "no field"),
    (OPEN + "+0 %{ assert tcpi_unacked == 1 }%\n", 1, 8, "does not hold: 0 == 1"),
    (OPEN + "+0 write(4, ..., 10) = 11\n", 1, 8, "returned 10, expected 11"),
    (OPEN + "+0 > . 1:1(0) ack 1\n", 1, 8, "no packet was sent"),
    (OPEN + "+0 write(4, ..., 10) = 10\n+0 > P. 1:12(11) ack 1\n", 1, 9, "did not follow"),
    (OPEN + "+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1\n", 1, 9, "flags differ"),
    (OPEN + "+0 write(4, ..., 10) = 10\n+0 > P. 2:12(10) ack 1\n", 1, 9, "sequence number"),
    (OPEN + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 2\n", 1, 9, "acknowledgment"),
    (OPEN + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 win 1\n", 1, 9, "window"),
    (OPEN + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 <nop,nop,nop,nop>\n", 1, 9,
     "options"),
    (OPEN + "+0 write(4, ..., 10) = 10\n+1 > P. 1:11(10) ack 1\n", 1, 9, "was sent at"),
    (OPEN + "+0 write(4, ..., 10) = 10\n", 1, 8, "does not expect"),
    (OPEN + "+0 < [src 192.0.2.9] 6001 > 8080 S 0:0(0) win 9\n"
     "+0 > 8080 > 6001 S. 0:0(0) ack 1 <mss 1460>\n", 1, 9, "addresses differ"),
    (OPEN + "+0...0.1 read(4, ..., 10) = 1\n+.3 < P. 1:2(1) ack 1 win 257\n", 1, 8,
     "returned at"),
]


def main():
    program, so = sys.argv[1:3]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "wrong.pkt")
        for script, code, line, words in FAULTS:
            with open(path, "w", encoding="utf-8") as f:
                f.write(script)
            run = subprocess.run([program, "--so", so, "--strict", path], capture_output=True,
                                 text=True, timeout=60)
            if run.returncode != code or words not in run.stderr or \
                    f"{path}:{line}: " not in run.stderr:
                wrong += 1
                print(f"{script!r}\n  wanted {code}, line {line}, \"{words}\"\n"
                      f"  got {run.returncode}: {run.stderr.strip()}")
    print(f"{len(FAULTS)} scripts, {wrong} told wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
