#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause-Patent
# usage: run.sh PROGRAM OBJECT FOLDER: runs every script of a folder in every way, in one process.
set -eu
program=$(realpath "$1")
object=$(realpath "$2")
cd "$3/.."
exec "$program" --so "$object" --strict --all "${3##*/}"/*.pkt
