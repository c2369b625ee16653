#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause-Patent
# usage: build.sh DIRECTORY [MESON OPTION ...]: sets a build directory up once, then builds it.
set -eu
dir=$1
shift
[ -f "$dir/build.ninja" ] || meson setup "$dir" "$@"
exec ninja -C "$dir"
