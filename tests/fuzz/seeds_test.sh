#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause-Patent
# usage: seeds_test.sh SEEDS BINARY JSON: every seed, and every seed cut short or with a byte changed
# at a few places, through its replayer.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/binary" "$dir/json"
"$1" "$dir"
for form in binary json; do
	for seed in "$dir/$form"/seed-0*; do
		size=$(wc -c <"$seed")
		for part in 1 2 3; do
			head -c $((size * part / 4)) "$seed" >"$seed-cut-$part"
			cp "$seed" "$seed-edit-$part"
			printf '\377' | dd of="$seed-edit-$part" bs=1 seek=$((size * part / 4)) \
				conv=notrunc status=none
		done
	done
done
"$2" "$dir/binary"
"$3" "$dir/json"
