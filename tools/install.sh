#!/bin/sh
# Lays out what a package would: install.sh BUILD MESON_DIR, with DESTDIR from the environment. As root, and where the accounts exist,
# files get their owners; else `postfix set-permissions` gives them later (or the package does, when it is unpacked).
# An existing configuration is left alone. The stamp file says that the daemons beside it are ours, so that daemon_directory of an old
# main.cf is not believed when it holds another system's.
set -eu
build=$1 meson=$2
here=$(dirname "$0")
root=${DESTDIR:-}
option() {
	meson introspect --buildoptions "$meson" | python3 -c "import json, sys
print([o['value'] for o in json.load(sys.stdin) if o['name'] == '$1'][0])"
}
commands=$(option command_directory) daemons=$(option daemon_directory) config=$(option config_directory)
queue=$(option queue_directory) data=$(option data_directory)
as_root=no
if [ "$(id -u)" = 0 ] && getent passwd postfix >/dev/null && getent group postdrop >/dev/null; then as_root=yes; fi

mkdir -p "$root$commands" "$root$daemons" "$root/usr/bin" "$root/usr/lib"
for program in "$build"/bin/*; do
	case ${program##*/} in
	mailq | newaliases) ln -sf "$commands/sendmail" "$root/usr/bin/${program##*/}" ;;
	*) install -m 755 "$program" "$root$commands/" ;;
	esac
done
ln -sf ../sbin/sendmail "$root/usr/lib/sendmail"
for program in "$build"/libexec/*; do
	if [ "${program##*/}" = lmtp ]; then continue; fi
	install -m 755 "$program" "$root$daemons/"
done
# One program, which looks at its name.
if [ -e "$build/libexec/lmtp" ]; then ln -f "$root$daemons/smtp" "$root$daemons/lmtp"; fi
echo "Posthouse" >"$root$daemons/posthouse.stamp"
chmod 644 "$root$daemons/posthouse.stamp"
DESTDIR=$root meson install -C "$meson" --no-rebuild >/dev/null
for name in mailq newaliases; do ln -sf sendmail.1 "$root/usr/share/man/man1/$name.1"; done

# The configuration of a new installation; kept beside for reference.
share=$root/usr/share/posthouse
mkdir -p "$share" "$root$config"
install -m 644 "$here/../conf/main.cf" "$here/../conf/aliases" "$share/"
# The rows are those that `posthouse init` writes: of the services that were built.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$build/bin/posthouse" init "$scratch/i" >/dev/null
{ cat "$here/../conf/master.cf.head" && grep ' unix' "$scratch/i/etc/master.cf"; } >"$share/master.cf"
chmod 644 "$share/master.cf"
for file in main.cf master.cf; do
	if [ "${WITHOUT_CONFIG:-no}" = no ] && [ ! -e "$root$config/$file" ]; then install -m 644 "$share/$file" "$root$config/$file"; fi
done

mkdir -p "$root/lib/systemd/system" "$root/usr/share/doc/posthouse"
install -m 644 "$here/../debian/posthouse.service" "$root/lib/systemd/system/"
install -m 644 "$here/../README.md" "$here"/../doc/*.md "$root/usr/share/doc/posthouse/"

mkdir -p "$root$queue"
chmod 755 "$root$queue"
if [ $as_root = yes ]; then
	for name in postdrop postqueue postlog; do
		if [ -e "$root$commands/$name" ]; then
			chgrp postdrop "$root$commands/$name"
			chmod 2555 "$root$commands/$name"
		fi
	done
	mkdir -p "$root$data"
	chown postfix:postfix "$root$data"
	chmod 700 "$root$data"
	if [ -z "$root" ]; then "$root$commands/postfix" set-permissions; fi
fi
echo "installed under ${root:-/}: commands in $commands, daemons in $daemons$([ $as_root = yes ] || echo "; run postfix set-permissions as root")"
