#!/bin/sh
# Installs the packages of a group (tools/packages.txt) that are missing: install_packages.sh GROUP
set -eu
cd "$(dirname "$0")/.."
wanted=$(awk -v group="$1" '$1 == group { print $2 }' tools/packages.txt)
missing=
for package in $wanted; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "installing:$missing"
if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A package list that is there may be enough; an old or empty one is fetched again.
# shellcheck disable=SC2086
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >"$log" 2>&1; then
	$as_root apt-get update -q >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
