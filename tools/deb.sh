#!/bin/sh
# Builds the Debian package in a copy of what git knows: deb.sh OUT_DIRECTORY; prints the path of the .deb.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
out=$(cd "$1" && pwd)
source=$out/source
rm -rf "$source"
mkdir -p "$source"
git ls-files -co --exclude-standard | tar -c -T - | tar -x -C "$source"
rm -f "$out"/posthouse_*.deb
if ! (cd "$source" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=2}" dpkg-buildpackage -us -uc -b) >"$out/build.log" 2>&1; then
	tail -60 "$out/build.log" >&2
	exit 1
fi
rm -rf "$source"
ls "$out"/posthouse_*.deb
