#!/bin/sh
# Lays out what a package would: install.sh BUILD MESON_DIR, with DESTDIR and PREFIX from the environment.
# The stamp file says that the daemons beside it are ours, so that daemon_directory of an old main.cf is not
# believed when it holds another system's.
set -eu
build=$1 meson=$2
root=${DESTDIR:-}
option() {
	meson introspect --buildoptions "$meson" | python3 -c "import json, sys
print([o['value'] for o in json.load(sys.stdin) if o['name'] == '$1'][0])"
}
commands=$root$(option command_directory)
daemons=$root$(option daemon_directory)
mkdir -p "$commands" "$daemons" "$root$(option config_directory)"
install -m 755 "$build"/bin/* "$commands/"
install -m 755 "$build"/libexec/* "$daemons/"
echo "Posthouse" >"$daemons/posthouse.stamp"
DESTDIR=$root meson install -C "$meson" --no-rebuild >/dev/null
echo "installed under ${root:-/}: commands in $(option command_directory), daemons in $(option daemon_directory)"
