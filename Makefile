# SPDX-License-Identifier: BSD-2-Clause-Patent
# The commands. Meson builds; this file only saves typing.

BUILD ?= build
QUICK = --print-errorlogs --timeout-multiplier 5 --no-rebuild

.PHONY: all setup demo test check coverage fuzz bench requirements format install clean

all: setup
	@tools/build.sh $(BUILD)

# Installs missing Debian packages; silent and offline when nothing is missing.
setup:
	@tools/setup.sh

demo: all
	$(BUILD)/src/cli/chimney demo $(ARGS)

# Everything but the long forms. SUITE=unit runs one suite, TEST=wheel one test.
test: all
	meson test -C $(BUILD) $(QUICK) --no-suite long --no-suite tsan $(if $(SUITE),--suite $(SUITE)) $(TEST)

# Sanitizers, the other compiler, static analysis, long forms.
check: all
	tools/check.sh $(BUILD)

# Lines and branches that the tests reach, a folder a line; build-coverage/coverage.html has them.
coverage: setup
	tools/coverage.sh

# All fuzz entries for SECONDS in all (ENTRY=name: one), with clang's libFuzzer.
fuzz: setup
	tools/fuzz.sh $(or $(SECONDS),60) $(ENTRY)

# CASE=name runs one case, CHECK=1 compares with bench/goals.
bench: all
	CASE=$(CASE) CHECK=$(CHECK) $(BUILD)/bench/chimney-bench --json $(BUILD)/bench.json

# Writes the test columns of docs/requirements.md and docs/conformance.md anew from the tests.
requirements:
	tools/requirements.py
	tools/conformance.py

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

install: all
	meson install -C $(BUILD)

clean:
	rm -rf build build-*
