#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The scripts of the build: setup.sh with stand-ins for dpkg and apt, and the totals of a test run."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Setup(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="setup")
        self.addCleanup(shutil.rmtree, self.dir)
        os.mkdir(f"{self.dir}/bin")
        shutil.copy(f"{ROOT}/tools/setup.sh", self.dir)
        with open(f"{self.dir}/packages", "w", encoding="utf-8") as f:
            f.write("# a comment\nhere\ngone # and one behind\n")
        for tool in ("sh", "dirname", "sed"):
            os.symlink(shutil.which(tool), f"{self.dir}/bin/{tool}")
        self.program("id", "echo 0")
        self.program("apt-get", f"echo \"$@\" >>{self.dir}/calls")

    def program(self, name, script):
        path = f"{self.dir}/bin/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\n{script}\n")
        os.chmod(path, 0o755)

    def installed(self, *packages):
        """A dpkg-query that knows these packages."""
        cases = "".join(f"*' {p}') echo -n installed;; " for p in packages)
        self.program("dpkg-query", f"case \"$*\" in {cases}*) exit 1;; esac")

    def run_setup(self, **environment):
        done = subprocess.run(["/bin/sh", f"{self.dir}/setup.sh"], capture_output=True, text=True,
                              env={"PATH": f"{self.dir}/bin", **environment}, check=False)
        return done.returncode, done.stdout + done.stderr

    def calls(self):
        try:
            with open(f"{self.dir}/calls", encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def test_all_there(self):
        self.installed("here", "gone")
        self.program("id", "echo 1000")
        self.assertEqual(self.run_setup(), (0, ""))
        self.assertEqual(self.calls(), "")

    def test_installs_what_is_missing(self):
        self.installed("here")
        status, said = self.run_setup()
        self.assertEqual((status, said), (0, "setup: installing: gone\n"))
        self.assertIn("update", self.calls())
        self.assertRegex(self.calls(), r"install .*--no-install-recommends gone\n")

    def test_not_root(self):
        self.installed("here")
        self.program("id", "echo 1000")
        status, said = self.run_setup()
        self.assertEqual(status, 1)
        self.assertIn("only root", said)
        self.assertIn("apt-get install --no-install-recommends gone", said)
        self.assertEqual(self.calls(), "")

    def test_no_network(self):
        self.installed("here")
        self.program("apt-get", "echo no route >&2; exit 100")
        status, said = self.run_setup()
        self.assertEqual(status, 1)
        self.assertIn("Without a network", said)
        self.assertIn("gone", said)

    def test_other_system(self):
        status, said = self.run_setup()
        self.assertEqual(status, 1)
        self.assertIn("not Debian", said)
        self.assertEqual(self.run_setup(SKIP_SETUP="1")[0], 0)


class Summary(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="summary")
        self.addCleanup(shutil.rmtree, self.dir)
        os.makedirs(f"{self.dir}/tools")
        os.makedirs(f"{self.dir}/tests/system")
        shutil.copy(f"{ROOT}/tools/test-summary.py", f"{self.dir}/tools")
        with open(f"{self.dir}/tests/system/allowed-skips", "w", encoding="utf-8") as f:
            f.write("# why\nmay # a reason\n")

    def run_summary(self, *logs, ci="true"):
        names = []
        for n, log in enumerate(logs):
            names.append(f"{self.dir}/testlog-{n}.json")
            with open(names[-1], "w", encoding="utf-8") as f:
                for name, result in log:
                    f.write(json.dumps({"name": f"chimney:unit / {name}", "result": result,
                                        "stdout": "no such device\n", "stderr": ""}) + "\n")
        done = subprocess.run([f"{self.dir}/tools/test-summary.py", *names], capture_output=True,
                              text=True, env={**os.environ, "CI": ci}, check=False)
        return done.returncode, done.stdout.splitlines()

    def test_adds_up(self):
        status, said = self.run_summary([("a", "OK"), ("b", "OK")], [("c", "OK")])
        self.assertEqual((status, said[-1]), (0, "3 passed, 0 failed, 0 skipped"))

    def test_failures(self):
        for result in ("FAIL", "TIMEOUT", "ERROR", "UNEXPECTEDPASS", "INTERRUPT"):
            status, said = self.run_summary([("a", "OK"), ("b", result)])
            self.assertEqual((status, said[-1]), (1, "1 passed, 1 failed, 0 skipped"))
            self.assertIn("b", said[0])

    def test_skips(self):
        status, said = self.run_summary([("a", "OK"), ("may", "SKIP")])
        self.assertEqual((status, said[-1]), (0, "1 passed, 0 failed, 1 skipped"))
        self.assertIn("no such device", said[0])
        status, said = self.run_summary([("a", "OK"), ("must", "SKIP")])
        self.assertEqual((status, said[-1]), (1, "1 passed, 0 failed, 1 skipped"))
        status, said = self.run_summary([("a", "OK"), ("must", "SKIP")], ci="")
        self.assertEqual(status, 0)

    def test_no_log(self):
        status, said = self.run_summary()
        self.assertEqual((status, said[-1]), (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()
