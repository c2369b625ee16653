#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause-Patent
# Installs the Debian packages of tools/packages that are missing. Does nothing, and needs neither
# root nor a network, when all are there.
set -eu
here=$(dirname "$0")

say() {
	echo "setup: $*" >&2
}

if ! command -v dpkg-query >/dev/null; then
	say "this is not Debian: install what tools/packages lists by hand, then run the command again"
	say "(or set SKIP_SETUP=1 once that is done)"
	[ "${SKIP_SETUP:-0}" = 1 ] || exit 1
	exit 0
fi

missing=
for package in $(sed 's/#.*//' "$here/packages"); do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	say "these packages are missing, and only root can install them:"
	say "  apt-get install --no-install-recommends$missing"
	exit 1
fi

say "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
install() {
	# shellcheck disable=SC2086
	apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
if ! { apt-get update -qq && install; }; then
	say "apt-get failed (its message is above). Without a network, install these from a mirror or"
	say "a package file and run the command again:$missing"
	exit 1
fi
