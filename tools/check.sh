#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause-Patent
# usage: check.sh BUILD: what `make test` has no time for. Runs every step, also after one failed,
# and exits 1 when any did. Test results lie in build*/meson-logs/testlog*.json.
set -u
build=$1
cd "$(dirname "$0")/.." || exit 1
failed=

step() {
	local name=$1
	shift
	echo "== $name"
	if ! ("$@"); then
		echo "== $name: FAILED"
		failed="$failed $name"
	fi
}

run_tests() {
	local dir=$1
	shift
	meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier 20 "$@"
}

# Address and undefined behaviour. The layout tests look at the ordinary build only.
address() {
	export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	tools/build.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false &&
		run_tests build-asan --no-suite long --no-suite layout --no-suite tsan
}

# Data races: the tests with threads in them; suite tsan is made for this run only.
threads() {
	export TSAN_OPTIONS=halt_on_error=1
	[ -f build-tsan/build.ninja ] ||
		meson setup build-tsan -Db_sanitize=thread -Db_lundef=false || return
	# Without --no-rebuild Meson builds what these tests need, and no more.
	meson test -C build-tsan --print-errorlogs --timeout-multiplier 20 \
		--suite threads --suite tsan
}

other_compiler() {
	CC=clang tools/build.sh build-clang && run_tests build-clang --suite unit
}

long_forms() {
	# Meson fails when a suite is empty.
	meson test -C "$build" --list 2>/dev/null | grep -q 'long' || return 0
	run_tests "$build" --suite long --logbase testlog-long
}

static_analysis() {
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
		--error-exitcode=1 --suppressions-list=tools/cppcheck.suppressions \
		-D__GNUC__ -Isrc -Iinclude -j2 src bench
}

step address address
step threads threads
step other-compiler other_compiler
step long-forms long_forms
step coverage tools/coverage.sh
step fuzzing env RUNS=20000 tools/fuzz.sh
step static-analysis static_analysis

if [ -n "$failed" ]; then
	echo "check failed:$failed"
	exit 1
fi
echo "check passed"
