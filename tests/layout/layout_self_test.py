#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The checks of layout_test.py, requirements.py and conformance.py must see what they are for: each
is shown a small tree with one fault."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../tools")]
sys.dont_write_bytecode = True
import layout_test  # noqa: E402
import conformance  # noqa: E402
import requirements  # noqa: E402

TABLE = """<!-- layout: begin -->
| folder | what | may include |
|---|---|---|
| include/chimney | x | - |
| src/base | x | - |
| src/wire | x | base |
| src/wire/deep | x | base, wire |
| src/lib | x | chimney, base |
<!-- layout: end -->
<!-- core: base wire -->
"""
SPDX = "/* SPDX-License-Identifier: BSD-2-Clause-Patent */\n"


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="layout")
        self.addCleanup(shutil.rmtree, self.root)
        for module in (layout_test, requirements):
            self.addCleanup(setattr, module, "ROOT", module.ROOT)
            module.ROOT = self.root
        self.write("docs/ARCHITECTURE.md", TABLE)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def assert_faults(self, found, *words):
        found = list(found)
        self.assertEqual(len(found), len(words), found)
        for fault, word in zip(found, words):
            self.assertIn(word, fault)

    def test_includes(self):
        self.write("src/base/a.h", '#include <stdio.h>\n#include "base/b.h"\n')
        self.write("src/wire/a.c", '#include "base/a.h"\n#include "wire/deep/x.h"\n')
        self.write("src/wire/deep/a.c", '#include "wire/a.h"\n')
        self.write("src/lib/a.c", '#include <chimney/chimney.h>\n')
        self.assert_faults(layout_test.check_includes(), "wire may not include wire/deep")
        self.write("src/base/c.c", '#include "wire/a.h"\n#include "a.h"\n#include <chimney/x.h>\n')
        self.write("src/new/a.c", "")
        self.assert_faults(layout_test.check_includes(), "base may not include wire",
                           '"folder/file.h"', "base may not include chimney", "no row",
                           "wire may not include wire/deep")

    def test_row_that_names_no_folder(self):
        self.write("docs/ARCHITECTURE.md", TABLE.replace("| base |", "| bsae |"))
        self.assert_faults(layout_test.check_includes(), "bsae")

    def archive(self, folder, source):
        """Builds build/src/<folder>/lib<folder>.a of one source, as the core is built."""
        self.write(f"src/{folder}/x.c", source)
        out = os.path.join(self.root, "build/src", folder)
        os.makedirs(out, exist_ok=True)
        subprocess.run(["cc", "-c", "-fPIC", "-O1", "-fno-common", "-x", "c", "-o", f"{out}/x.o",
                        os.path.join(self.root, f"src/{folder}/x.c")], check=True)
        archive = f"{out}/lib{folder}.a"
        if os.path.exists(archive):
            os.remove(archive)
        subprocess.run(["ar", "rc", archive, f"{out}/x.o"], check=True)

    def core(self):
        return layout_test.check_core(os.path.join(self.root, "build"))

    def test_core(self):
        good = "int wire_f(void); int base_f(void);\nstatic const char *const t[] = {\"a\"};\n" \
               "const char *base_t(int i) { return t[i]; }\nint base_f(void) { return 1; }\n"
        self.archive("base", good)
        self.archive("wire", "int base_f(void); int wire_f(void) { return base_f(); }\n")
        self.assert_faults(self.core())
        self.archive("base", good + "int wire_f(void);\nint base_g(void) { return wire_f(); }\n")
        self.assert_faults(self.core(), "base calls wire_f")
        self.archive("base", good + "void *malloc(unsigned long);\n"
                                    "void *base_m(void) { return malloc(1); }\n")
        self.assert_faults(self.core(), "base calls malloc")
        self.archive("base", good + "int base_v; static int w = 3;\n"
                                    "int *base_w(void) { return &w; }\n")
        self.assertEqual(len(list(self.core())), 2)
        shutil.rmtree(os.path.join(self.root, "build/src/base"))
        self.assertIn("was not built", list(self.core())[0])

    def test_spdx(self):
        self.write("Makefile", "# SPDX-License-Identifier: BSD-2-Clause-Patent\n")
        self.write(".ci/run", "#!/bin/sh\n# SPDX-License-Identifier: BSD-2-Clause-Patent\n")
        self.write("src/base/a.c", SPDX)
        self.assert_faults(layout_test.check_spdx())
        self.write("src/base/b.c", "int x;\n")
        self.write("src/bpf/a.bpf.c", SPDX)
        self.assert_faults(layout_test.check_spdx(), "b.c", "a.bpf.c")

    def test_api(self):
        self.write("include/chimney/a.h", "/* Says so. */\nint chimney_a(int x,\n\tint y);\n\n"
                   "/* A struct. */\nstruct chimney_s {\n\tint (*f)(void);\n};\n"
                   "int chimney_b(void);\n")
        self.assert_faults(layout_test.check_api(), "chimney_b has no comment")
        self.write("src/lib/x.map", "V1 { global: chimney_b; chimney_gone; local: *; };\n")
        self.assert_faults(layout_test.check_api(), "chimney_a is missing",
                           "chimney_b has no comment", "chimney_gone is in no")

    def test_long_functions(self):
        self.write("src/base/a.c", "int f(void)\n{\n" + "\t;\n" * 61 + "}\n"
                   "int g(void)\n{\n" + "\t;\n" * 60 + "}\n")
        self.assertEqual(len(list(layout_test.long_functions("src/base/a.c"))), 1)

    def page(self, first_row_tests):
        rows = [f"| R{n} | 1 | x | {first_row_tests if n == 1 else '-'} |"
                for n in range(1, requirements.COUNT + 1)]
        self.write(requirements.PAGE, "1 of 118 are shown\n" + "\n".join(rows) + "\n")

    def test_requirements(self):
        self.write("tests/unit/meson.build", "['good', ['base']]\n")
        self.write("tests/unit/good_test.c",
                   "/* R1 */\nstatic void test_one(void **state)\n{\n\tf();\n}\n\n"
                   "/* R2: in no list */\nstatic void test_two(void **state)\n{\n}\n\n"
                   "int main(void)\n{\n\trun(test_one);\n}\n")
        self.write("tests/unit/lost_test.c", "/* R3 */\nint main(void)\n{\n}\n")
        self.page("`tests/unit/good_test.c: test_one`")
        self.assert_faults(requirements.faults())
        self.page("-")
        self.assert_faults(requirements.faults(), "out of date")
        self.page("`tests/unit/good_test.c: test_gone`")
        self.assert_faults(requirements.faults(), "out of date")
        self.write("tests/unit/good_test.c", "/* R119 */\nint main(void)\n{\n}\n")
        self.assertIn("there is no R119", list(requirements.faults())[0])

    def rules(self, *other):
        """A page with as many rows as appendix B has, all reasoned, and these."""
        rows = [f"| MAY-{n} | MAY | x | no | - |" for n in range(1, conformance.COUNT_9293)]
        self.write(conformance.PAGE, "\n".join(["## RFC 9293", *rows, *other]) + "\n")

    def test_conformance(self):
        self.write("tests/conformance/meson.build", "foreach folder : ['data']\n")
        self.write("tests/conformance/data/a.pkt", "// So it is (RFC 1 MUST-1).\n0 f()\n")
        self.write("tests/conformance/lost/b.pkt", "// MUST-2\n")
        row = "| MUST-1 | MUST | x | - | `conformance/data/a.pkt` |"
        self.rules(row)
        self.assert_faults(conformance.faults())
        self.rules(row.replace("`conformance/data/a.pkt`", "-"))
        self.assert_faults(conformance.faults(), "out of date")
        self.rules(row, row)
        self.assert_faults(conformance.faults(), "two rows", "has 126 rows, not 127")
        self.rules(row, "## RFC 2", "| RFC2-3.1a | SHOULD | x | - | - |",
                   "| RFC2-3 | HAVE | x | no | - |")
        self.assert_faults(conformance.faults(), "RFC2-3.1a has neither", "RFC2-3: the level")
        self.write("tests/unit/meson.build", "['good', ['base']]\n")
        self.write("tests/unit/good_test.c", "/* RFC2-3.1. */\nint main(void)\n{\n}\n")
        self.rules(row, "## RFC 2", "| RFC2-3.1b | MAY | x | - | - |")
        self.assert_faults(conformance.faults(), "has no row RFC2-3.1: name RFC2-3.1b")

    def test_owner_of_a_comment(self):
        text = ("# R4\n\nimport x\n\n# R5\ndef a():\n    # R6\n    b()\n\n\ndef c():\n"
                "    \"\"\"R7\"\"\"\n    d()\n")
        self.write("tests/unit/meson.build", "'x_test.py'\n")
        self.write("tests/unit/x_test.py", text)
        shown = requirements.shown_by()
        self.assertEqual(shown, {4: ["tests/unit/x_test.py"], 5: ["tests/unit/x_test.py: a"],
                                 6: ["tests/unit/x_test.py: a"], 7: ["tests/unit/x_test.py: c"]})


if __name__ == "__main__":
    unittest.main()
