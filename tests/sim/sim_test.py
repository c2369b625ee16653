#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""usage: sim_test.py CHIMNEY SCENARIOS WHAT [ONE IN]

WHAT is one of: same (a seed gives one trace), checkers (each finds the fault that is planted for
it), reduce (a failure is made shorter and shows itself again), seeds (what once failed), errors (of the text
form), big (ten thousand connections, or one in so many).
"""
import json
import os
import re
import subprocess
import sys
import tempfile

CHIMNEY, SCENARIOS, WHAT = sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))

# An event at 8 ms is planted; moves before and after it.
SMALL = """
host a
host b
link all delay=100us rate=100M
connect a to=b count=12 bytes=100k
at 5ms offload a share=2
at 8ms {event}
at 20ms upload a
"""


def chimney(*arguments):
    run = subprocess.run([CHIMNEY, "sim", *arguments], capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def scenario(name):
    return os.path.join(SCENARIOS, name + ".sim")


def run_json(*arguments):
    code, out, err = chimney("--json", *arguments)
    assert out, err
    return code, json.loads(out.splitlines()[0])


def write(folder, text):
    name = os.path.join(folder, "a.sim")
    with open(name, "w", encoding="utf-8") as f:
        f.write(text)
    return name


def read(name):
    with open(name, encoding="utf-8") as f:
        return f.read()


def same(folder):
    """Byte for byte, frame for frame; another seed gives another trace."""
    traces = []
    for i, seed in enumerate((7, 7, 8)):
        name = os.path.join(folder, f"trace{i}")
        code, out, err = chimney("-c", scenario("families"), "--seed", str(seed), "--trace", name)
        assert code == 0, out + err
        traces.append(read(name))
    assert traces[0] == traces[1]
    assert traces[0] != traces[2]
    printed = re.search(r"trace ([0-9a-f]{16})", out).group(1)
    assert traces[2].endswith(f"hash {printed}\n")
    assert traces[0].count("\n") > 1000


def checkers(folder):
    """Every checker that there is, by name. R61: among them that host and target never use each
    other's half of the IP IDs."""
    _, out, _ = chimney("--list")
    names = re.findall(r"^  (\S+)", out.split("what must hold")[1], re.M)
    assert len(names) == 12, names
    for name in names:
        file = write(folder, SMALL.format(event=f"plant a check={name} pick=3"))
        code, run = run_json("-c", file, "--no-reduce")
        assert code == 1 and run["failed"] == name, (name, run)
    code, run = run_json("-c", write(folder, SMALL.format(event="reap a")))
    assert code == 0 and run["ok"]
    # Each of them looked at something where nothing is wrong, too.
    idle = [c for c, n in run["checks"].items() if not n and c != "result"]
    assert not idle, idle


def reduce(folder):
    """A fault among two hundred events is cut down to little more than itself."""
    text = read(scenario("storm")) + "at 20ms plant b check=acked pick=1\n"
    short = os.path.join(folder, "short.sim")
    code, _, err = chimney("-c", write(folder, text), "--seed", "5", "--reduced", short)
    assert code == 1 and "shows it again" in err, err
    events = [line for line in read(short).splitlines() if line.startswith("at ")]
    assert len(events) <= 4, events
    assert any("plant b" in line and "check=acked" in line for line in events)
    code, run = run_json("-c", short, "--no-reduce")
    assert code == 1 and run["failed"] == "acked", run


def seeds(_):
    """What once failed, made shorter. R10, R11, R40, R77: whatever moves and changes, streams stay exact,
    in one stack at a time, and an MTU, MAC or route is an update. R83: also when pools run dry.
    R100: also when targets die."""
    folder = os.path.join(HERE, "seeds")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".sim"))
    assert names
    for name in names:
        code, out, err = chimney("-c", os.path.join(folder, name), "--twice", "--no-reduce")
        assert code == 0, out + err


ERRORS = {
    "host a\nhost a\n": (2, "already"),
    "host a\nlink a delay=5\n": (2, "write it like"),
    "host a\nlink a speed=5M\n": (2, "no value of this line"),
    "host a\nhost b v6=1\nconnect a to=b count=1\n": (0, "cannot talk"),
    "host a\nhost b\nat 1ms dance a\n": (3, "no event"),
    "host a\nhost b\nat 1ms mac a\n": (3, "needs hop="),
    "host a\nhost b\nat 1ms kill a then=never\n": (3, "there are: rebuilt home spare"),
    "host a\nhost b\nconnect a to=c count=1\n": (3, "no host"),
    "host a\nhost b\nlink all loss=2%..1%\n": (3, "is empty"),
    "host a mtu=100\n": (1, "576 to 1500"),
    "host a\nhost b\nrandom count=1..2 every=1ms\nseed 4\n": (4, "must come before"),
    "walk\n": (1, "begins no line"),
    "": (0, "no host"),
}


def errors(folder):
    """File, line, what is wrong; exit status 2."""
    for text, (line, what) in ERRORS.items():
        name = write(folder, text)
        code, _, err = chimney("-c", name)
        assert code == 2 and err.startswith(f"{name}:{line}: ") and what in err, (text, err)
    code, _, err = chimney("-c", os.path.join(folder, "none"))
    assert code == 2 and "none" in err
    assert chimney()[0] == 2 and chimney("--seed", "x")[0] == 2 and chimney("--help")[0] == 0


def big(folder):
    """The scenario many.sim with one connection in so many; the same seed twice."""
    text = read(scenario("many")).replace("count=2500", f"count={2500 // int(sys.argv[4])}")
    code, run = run_json("-c", write(folder, text), "--twice", "--no-reduce")
    assert code == 0 and run["ok"], run
    assert run["connections"] == 10000 // int(sys.argv[4]), run
    assert run["moves_least"] >= 100 and run["deaths"] == 2, run
    print(f"{run['connections']} connections, {run['moves']} moves, trace {run['trace']}, "
          f"{run['virtual_s'] / run['real_s']:.2f} virtual seconds per second")


with tempfile.TemporaryDirectory() as scratch:
    {"same": same, "checkers": checkers, "reduce": reduce, "seeds": seeds, "errors": errors,
     "big": big}[WHAT](scratch)
