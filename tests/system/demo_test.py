#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""chimney demo on the real kernel: the whole story, and what it leaves behind when it ends, is
interrupted, or is killed.

usage: demo_test.py CHIMNEY CONNECTIONS [tap|xdp|sim|stops]
"""
import json
import os
import signal
import subprocess
import sys
import time

FIELDS = {
    "ok", "mode", "connections", "offloaded", "uploaded", "resets", "bytes_verified",
    "bytes_wrong", "peer_retransmissions", "updates_sent", "offload_us_p50", "offload_us_p99",
    "upload_us_p50", "upload_us_p99", "stall_us_p50", "stall_us_p99",
}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def run(words):
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def traces():
    """Everything of ours that the machine may still hold (trap 30)."""
    found = set()
    for line in run(["ip", "-o", "link"]).splitlines():
        if "chimney" in line:
            found.add("link " + line.split(":")[1].strip())
    for line in run(["ip", "netns"]).splitlines():
        if "chimney" in line:
            found.add("netns " + line)
    for kind in ("prog", "map", "struct_ops"):
        for line in run(["bpftool", kind, "show"]).splitlines():
            if "chimney" in line:
                found.add(f"bpf {kind} {line.split(':')[0]}")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                name = f.read().strip()
        except OSError:
            continue
        if name in ("chimney-server", "chimney-client"):
            found.add(f"process {pid} {name}")
    return found


def settle(before, what):
    """Namespaces and programs go away shortly after the last process: wait, with a bound."""
    for _ in range(100):
        left = traces() - before
        if not left:
            return
        time.sleep(0.1)
    sys.exit(f"{what} left behind: {sorted(left)}")


def whole_story(chimney, connections, extra):
    done = subprocess.run([chimney, "demo", "--json", "-n", str(connections), "-t", "1", *extra],
                          capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    result = json.loads(done.stdout)
    assert FIELDS <= set(result), FIELDS - set(result)
    assert result["ok"], result
    assert done.returncode == 0
    total = connections + connections // 10
    assert result["connections"] == total
    assert result["offloaded"] == total and result["uploaded"] == total
    assert result["resets"] == 0
    assert result["bytes_verified"] > 0 and result["bytes_wrong"] == 0
    # R59: two families, two neighbors (MAC) and as many paths as the client has addresses (MTU).
    assert 0 < result["updates_sent"] <= 2 + 9, result["updates_sent"]
    return result


def stopped_by(chimney, sig, before):
    demo = subprocess.Popen([chimney, "demo", "--json", "-n", "100", "-t", "3"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(5)
    demo.send_signal(sig)
    demo.communicate()
    assert demo.returncode != 0
    settle(before, f"after {sig.name}")


def simulated(chimney, connections):
    """Needs no privileges, and the same seed gives the same numbers."""
    runs = []
    for _ in range(2):
        done = subprocess.run([chimney, "demo", "--json", "--sim", "--seed", "7", "-n",
                               str(connections)], capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr)
        result = json.loads(done.stdout)
        assert result["ok"] and done.returncode == 0, result
        assert result["mode"] == "sim"
        assert result["offloaded"] == result["uploaded"] == connections
        runs.append({k: v for k, v in result.items() if not k.endswith(("_p50", "_p99"))})
    assert runs[0] == runs[1]


def bad_calls(chimney):
    for words in (["demo", "-n", "0"], ["demo", "-n", "many"], ["demo", "stray"], ["nonsense"],
                  ["explain", "nonsense"], ["explain", "policy", "nonsense"]):
        done = subprocess.run([chimney, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2, words
        assert done.stderr, words
    for words, lines in ((["policy", "small-io"], 2), ([], 40)):
        done = subprocess.run([chimney, "explain", *words], capture_output=True, text=True,
                              check=True)
        assert len(done.stdout.splitlines()) >= lines, done.stdout
        assert all(word in done.stdout for word in ("policy", "small-io")), done.stdout


def main():
    chimney, connections = sys.argv[1], int(sys.argv[2])
    what = sys.argv[3] if len(sys.argv) > 3 else "tap"
    if what == "sim":
        bad_calls(chimney)
        simulated(chimney, connections)
        return
    if os.geteuid() != 0:
        skip("chimney demo on the kernel needs root")
    before = traces()
    if what == "stops":
        stopped_by(chimney, signal.SIGINT, before)
        stopped_by(chimney, signal.SIGKILL, before)
        return
    # R1 R4 R10 R13 R17 R18 R23 R57 R59 R70
    result = whole_story(chimney, connections, ["--xdp"] if what == "xdp" else [])
    assert result["mode"] == what, result
    settle(before, "the demo")


if __name__ == "__main__":
    main()
