#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""usage: layout_test.py CHECK [BUILD]

Checks of the tree itself. CHECK is one of includes, core, spdx, sizes, requirements, conformance,
api; `core` needs the build directory. Prints every fault and exits 1 when there is one.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ARCHITECTURE = "docs/ARCHITECTURE.md"
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 600

# What the core may take from libc: no input, no output, no memory, no state. Compilers call these
# on their own. The table of offsets belongs to the linker.
ALLOWED_SYMBOLS = {
    "memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen",
    "__memcpy_chk", "__memmove_chk", "__memset_chk",
    "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_",
}


def path_of(*parts):
    return os.path.join(ROOT, *parts)


def read(name):
    with open(path_of(name), encoding="utf-8") as f:
        return f.read()


def files(folder, *endings):
    """Names below a folder, relative to the tree, build directories left out."""
    for at, folders, names in os.walk(path_of(folder)):
        folders[:] = sorted(f for f in folders
                            if not re.match(r"build(-|$)|\.git$|__pycache__", f))
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.relpath(os.path.join(at, name), ROOT)


def layout_table():
    """Folder (as in #include) -> set of folders that it may include, itself among them."""
    text = read(ARCHITECTURE).split("<!-- layout: begin")[1].split("<!-- layout: end -->")[0]
    table = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 3 or cells[0] in ("folder", "---"):
            continue
        folder = cells[0].removeprefix("src/").removeprefix("include/")
        allowed = set() if cells[2] == "-" else {f.strip() for f in cells[2].split(",")}
        table[folder] = allowed | {folder}
    return table


def folder_of(name, table):
    """The deepest row that a path "folder/.../file" falls under, None when there is none."""
    parts = name.split("/")[:-1]
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in table:
            return "/".join(parts[:n])
    return None


def check_includes():
    table = layout_table()
    for name in files("src", ".c", ".h", ".def"):
        mine = folder_of(name.removeprefix("src/"), table)
        if mine is None:
            yield f"{name}: its folder has no row in {ARCHITECTURE}"
            continue
        for line, text in enumerate(read(name).splitlines(), 1):
            yield from include_faults(name, line, text, mine, table)
    for folder, allowed in table.items():
        for unknown in sorted(allowed - set(table)):
            yield f"{ARCHITECTURE}: the row of {folder} names {unknown}, which has no row"


def include_faults(name, line, text, mine, table):
    match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', text)
    if not match:
        return
    quote, target = match.groups()
    folder = folder_of(target, table)
    if quote == "<" and folder != "chimney":
        # Of <...> only the public headers are ours.
        return
    if folder is None:
        yield f'{name}:{line}: include "{target}" as "folder/file.h" of a folder in the table'
    elif folder not in table[mine]:
        yield f"{name}:{line}: {mine} may not include {folder} ({target})"


def core_folders():
    return re.search(r"<!-- core: ([a-z ]+) -->", read(ARCHITECTURE)).group(1).split()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def archive_symbols(archive):
    """(defined, undefined) names."""
    defined, undefined = set(), set()
    for line in run("nm", archive).splitlines():
        cells = line.split()
        if len(cells) == 2 and cells[0] in "UwW":
            undefined.add(cells[1])
        elif len(cells) == 3:
            defined.add(cells[2])
    return defined, undefined - defined


def writable_data(archive):
    """Objects in sections that are written to after loading."""
    member = archive
    for line in run("objdump", "-t", archive).splitlines():
        match = re.match(r"(\S+\.o):", line)
        if match:
            member = match.group(1)
        match = re.search(r"\s(\.(?:data|bss|tdata|tbss)[^\s]*|\*COM\*)\s+([0-9a-f]+)\s+(.*)$", line)
        # Relocated constants are read-only once loaded; sections themselves have no size here.
        if match and ".rel.ro" not in match.group(1) and int(match.group(2), 16):
            yield f"{member}: {match.group(3).split()[-1]} lies in {match.group(1)}"


def check_core(build):
    table = layout_table()
    symbols = {}
    for folder in core_folders():
        archive = os.path.join(build, "src", folder, f"lib{folder}.a")
        if os.path.exists(archive):
            symbols[folder] = archive_symbols(archive)
            yield from (f"mutable variable in the core: {fault}" for fault in writable_data(archive))
        elif os.path.isdir(path_of("src", folder)):
            yield f"{archive} was not built"
    for folder, (_, undefined) in symbols.items():
        reachable = set().union(ALLOWED_SYMBOLS,
                                *(symbols[f][0] for f in table[folder] if f in symbols))
        for symbol in sorted(undefined - reachable):
            yield f"{folder} calls {symbol}, which neither libc's short list nor its folders have"


def check_spdx():
    named = [*files(".", ".c", ".h", ".def", ".py", ".sh", "meson.build"), "Makefile", ".ci/run"]
    for name in named:
        head = "".join(read(name).splitlines(keepends=True)[:3])
        wanted = "BSD-2-Clause-Patent"
        if name.startswith("src/bpf/") and not name.endswith("meson.build"):
            wanted = "GPL-2.0-only OR BSD-2-Clause"
        if f"SPDX-License-Identifier: {wanted}" not in head:
            yield f"{name}: the first lines lack SPDX-License-Identifier: {wanted}"


def long_functions(name):
    start = None
    for line, text in enumerate(read(name).splitlines(), 1):
        if text == "{":
            start = line
        elif text.startswith("}") and start:
            if line - start - 1 > MAX_FUNCTION_LINES:
                yield f"{name}:{start}: a function of {line - start - 1} lines"
            start = None


def check_sizes():
    """Only a report: sizes are for people to judge."""
    for folder in ("src", "bench", "include", "tests"):
        for name in files(folder, ".c", ".h"):
            lines = read(name).count("\n")
            if lines > MAX_FILE_LINES:
                print(f"long: {name}: {lines} lines")
            for found in long_functions(name):
                print(f"long: {found}")
    return []


def check_requirements():
    sys.dont_write_bytecode = True
    sys.path.insert(0, path_of("tools"))
    import requirements
    yield from requirements.faults()


def check_conformance():
    """The tables of docs/conformance.md against the tests."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, path_of("tools"))
    import conformance
    yield from conformance.faults()


def prototypes(name):
    """(line, function, whether a comment ends right before it) of a public header."""
    lines = read(name).splitlines()
    depth, start = 0, None
    for at, text in enumerate(lines):
        if depth == 0 and start is None and re.match(r"[a-z].*[ *]chimney_\w+\(", text) \
                and not text.startswith("typedef"):
            start = at
        if start is not None and text.endswith(";"):
            function = re.search(r"(chimney_\w+)\(", lines[start]).group(1)
            yield start + 1, function, lines[start - 1].rstrip().endswith("*/")
            start = None
        if not text.startswith('extern "C"') and text != "}":
            depth += text.count("{") - text.count("}")


def exported(maps):
    names = set()
    for name in maps:
        text = re.sub(r"/\*.*?\*/", "", read(name), flags=re.S).split("local:")[0]
        names |= set(re.findall(r"\b(chimney_\w+)\s*;", text))
    return names


def check_api():
    maps = list(files("src/lib", ".map")) if os.path.isdir(path_of("src/lib")) else []
    names = exported(maps)
    declared = set()
    for header in files("include/chimney", ".h"):
        for line, function, commented in prototypes(header):
            declared.add(function)
            if not commented:
                yield f"{header}:{line}: {function} has no comment right before it"
            if maps and function not in names:
                yield f"{header}:{line}: {function} is missing in {', '.join(maps)}"
    for function in sorted(names - declared):
        yield f"{', '.join(maps)}: {function} is in no public header"
    if not declared and os.path.isdir(path_of("include/chimney")):
        yield "include/chimney: no prototype was found, so this check sees nothing"


def main():
    checks = {
        "includes": check_includes, "core": lambda: check_core(sys.argv[2]), "spdx": check_spdx,
        "sizes": check_sizes, "requirements": check_requirements,
        "conformance": check_conformance, "api": check_api,
    }
    faults = list(checks[sys.argv[1]]())
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
