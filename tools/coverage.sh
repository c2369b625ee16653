#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause-Patent
# usage: coverage.sh: line and branch coverage of the engine, the state, the interface and the target
# by the tests that need no privileges. Exit status 1 below 90 percent of lines or 80 of branches.
# Details, line by line: build-coverage/coverage.html.
set -u
cd "$(dirname "$0")/.." || exit 1
build=build-coverage
# Optimized code has branches that no line of the source has.
tools/build.sh $build -Db_coverage=true -Dbuildtype=debug -Doptimization=0 || exit 1
find $build -name '*.gcda' -delete
meson test -C $build --no-rebuild --suite unit --suite sim --suite fuzz --suite conformance \
	--timeout-multiplier 20 --quiet >$build/tests.log 2>&1 || {
	tail -30 $build/tests.log
	exit 1
}

status=0
for folder in src/tcp src/state src/offload src/target; do
	# An assertion that never fails is no branch that a test misses.
	gcovr -r . --object-directory $build --filter "$folder/" -j 2 \
		--exclude-branches-by-pattern '.*(ASSERT|UNREACHABLE)\(.*' \
		--exclude-lines-by-pattern '.*UNREACHABLE\(.*' \
		--json-summary $build/summary.json >/dev/null || exit 1
	python3 - "$folder" $build/summary.json <<'END' || status=1
import json, sys
s = json.load(open(sys.argv[2]))
line, branch = s["line_percent"], s["branch_percent"]
good = line >= 90 and branch >= 80
print(f"{sys.argv[1]:12} lines {line:5.1f} %  branches {branch:5.1f} %  {'' if good else 'BELOW 90 and 80'}")
sys.exit(not good)
END
done
gcovr -r . --object-directory $build --filter 'src/(tcp|state|offload|target)/' -j 2 \
	--html-details $build/coverage.html >/dev/null
exit $status
