#!/bin/sh
# Makes programs usable in place: commands as BUILD/bin/NAME, daemons as BUILD/libexec/NAME.
# link_programs.sh MESON_DIR BUILD
set -eu
mkdir -p "$2/bin" "$2/libexec"
link() {
	ln -f "$1" "$3/$2"
}
# One program a line, so that two who add one each do not touch the same line.
commands='posthouse
postfix
sendmail
postdrop
postqueue
postcat
postconf
postlog
postsuper
postkick
postlock
qshape'
daemons='master
smtpd
cleanup
trivial-rewrite
qmgr
smtp
local
virtual
discard
error
pipe
spawn
bounce
pickup
showq
flush
verify
qmqpd
proxymap
postlogd
recover'
for program in $commands; do
	file=$1/src/$program/$program
	link "$file" "$program" "$2/bin"
done
for name in postmap postalias; do link "$1/src/postmap/$name" "$name" "$2/bin"; done
link "$1/src/smtp/smtp" lmtp "$2/libexec"
for name in mailq newaliases; do ln -f "$2/bin/sendmail" "$2/bin/$name"; done
for program in $daemons; do
	file=$1/src/$(echo "$program" | tr - _)/$program
	link "$file" "$program" "$2/libexec"
done
