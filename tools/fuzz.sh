#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause-Patent
# usage: fuzz.sh [SECONDS [ENTRY ...]]: runs the fuzz entries of tests/fuzz, all of them for SECONDS
# in all (default 60), two at a time. New inputs that reach new code stay in build-fuzz/found/ENTRY;
# a finding is written to build-fuzz/findings and makes the exit status 1.
# With RUNS=n each entry makes n inputs from a fixed seed instead: the same ones each time.
# With KEEP=1 what was found is merged into tests/fuzz/corpus afterwards.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-60}
shift || true
build=build-fuzz
# Alignment is left to gcc (make check): clang 14 crashes on __builtin_assume_aligned() under it.
if [ ! -f $build/build.ninja ]; then
	CC=clang meson setup $build -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		"-Dc_args=['-fsanitize=fuzzer-no-link', '-fno-sanitize=alignment']" >/dev/null || exit 1
fi
targets=()
for file in tests/fuzz/fuzz_*.c; do
	name=$(basename "$file" .c)
	targets+=("tests/fuzz/$name")
done
ninja -C $build "${targets[@]}" tests/fuzz/fuzz_seeds || exit 1
entries=("$@")
[ ${#entries[@]} -gt 0 ] || entries=("${targets[@]#tests/fuzz/fuzz_}")
each=$((seconds * 2 / ${#entries[@]}))
[ $each -gt 0 ] || each=1
limit="-max_total_time=$each"
[ -z "${RUNS:-}" ] || limit="-runs=$RUNS -seed=1"
mkdir -p $build/findings $build/found/binary $build/found/json
$build/tests/fuzz/fuzz_seeds $build/found || exit 1

run() {
	local entry=$1
	mkdir -p "$build/found/$entry"
	if "$build/tests/fuzz/fuzz_$entry" $limit -timeout=10 -rss_limit_mb=2048 \
		-max_len=4096 -print_final_stats=1 -artifact_prefix="$build/findings/$entry-" \
		"$build/found/$entry" "tests/fuzz/corpus/$entry" >"$build/$entry.log" 2>&1; then
		echo "$entry: no finding, $(sed -n 's/.*number_of_executed_units: *//p' "$build/$entry.log") inputs"
	else
		echo "$entry: FINDING, see $build/$entry.log and $build/findings"
		return 1
	fi
}
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export -f run
export build limit
printf '%s\n' "${entries[@]}" | xargs -P 2 -I{} bash -c 'run {}'
status=$?

if [ "${KEEP:-0}" = 1 ]; then
	for entry in "${entries[@]}"; do
		rm -rf "$build/merged/$entry"
		mkdir -p "$build/merged/$entry"
		"$build/tests/fuzz/fuzz_$entry" -merge=1 -max_len=4096 "$build/merged/$entry" \
			"tests/fuzz/corpus/$entry" "$build/found/$entry" >/dev/null 2>&1
		rm -rf "tests/fuzz/corpus/$entry"
		mkdir -p "tests/fuzz/corpus/$entry"
		# The smallest inputs are enough for a test; binary and JSON follow the schema.
		find "$build/merged/$entry" -type f -size -2k -printf '%s %p\n' | sort -n | head -250 |
			cut -d' ' -f2- | xargs -r cp -t "tests/fuzz/corpus/$entry"
	done
fi
exit $status
