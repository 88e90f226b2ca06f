"""Debian's Postfix, and ours, installed in a private root, with the interface of Instance: what is compared.

    reference, ours = Reference(), Ours()

Postfix is the newest that can be had: 3.10.3 from backports, else 3.7.11. With a network of its own it listens on port 25; without, on a
free port of the machine. `reference.version` says which it is."""
import contextlib
import os
import subprocess

import pytest

from instance import BIN, LIBEXEC, MailSystem, free_port, wait_until
from private_root import PrivateRoot, package_file

SUITES = ("bookworm-backports", "")
MAILBOXES = "/var/mailboxes"

MAIN_CF = """compatibility_level = 3.11
mail_owner = postfix
setgid_group = postdrop
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
maillog_file = /var/log/mail.log
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
mydestination = $myhostname, localhost.$mydomain, localhost
mail_spool_directory = /var/mailboxes/
alias_maps =
local_recipient_maps =
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
"""

MASTER_CF = """{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

ACCOUNTS = """getent group postfix >/dev/null || groupadd -r postfix
getent group postdrop >/dev/null || groupadd -r postdrop
getent passwd postfix >/dev/null || useradd -r -g postfix -d /var/spool/postfix -s /usr/sbin/nologin postfix
getent passwd alice >/dev/null || useradd -m alice
getent passwd bob >/dev/null || useradd -m bob
mkdir -p /var/lib/postfix /var/mailboxes
chown postfix:postfix /var/lib/postfix
chmod 1777 /var/mailboxes
"""


class Installed(MailSystem):
    """A mail system that lives in a private root as a package would have put it there: started as root, /etc/postfix,
    /var/spool/postfix, users alice and bob. install() puts its programs there."""

    etc = "/etc/postfix"  # inside

    def __init__(self, network=True, binds=()):
        self.root = PrivateRoot(network, binds)
        try:
            self.port = 25 if network else free_port()
            self.install()
            self.root.run(ACCOUNTS)
            self.root.write(f"{self.etc}/main.cf", MAIN_CF)
            self.root.write(f"{self.etc}/master.cf", MASTER_CF.format(port=self.port))
            self.root.run("chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue && chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue")
            self.root.run("if test -e /usr/sbin/postlog; then chgrp postdrop /usr/sbin/postlog; chmod 2755 /usr/sbin/postlog; fi")
        except BaseException:
            self.root.destroy()
            raise
        self.queue = self.root.path("/var/spool/postfix")
        self.log_path = self.root.path("/var/log/mail.log")
        self.version = self.command("postconf", "-h", "mail_version").stdout.strip()

    postfix = ("postfix",)

    def install(self):
        raise NotImplementedError

    def configure(self, main=(), master=(), replace=()):
        """Sets parameters in main.cf (one line each), adds lines to master.cf; `replace` is (old, new) pairs in master.cf."""
        # Not a second line of a name: postlogd would log a warning about it, to itself, and hang.
        names = {line.split("=")[0].strip() for line in main}
        kept = [line for line in self.root.read(f"{self.etc}/main.cf").splitlines() if line.split("=")[0].strip() not in names]
        self.root.write(f"{self.etc}/main.cf", "".join(line + "\n" for line in kept + list(main)))
        text = self.root.read(f"{self.etc}/master.cf")
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        self.root.write(f"{self.etc}/master.cf", text + "".join(line + "\n" for line in master))

    def write(self, name, text, mode=0o644):
        """A file in the configuration directory; gives its path inside."""
        self.root.write(f"{self.etc}/{name}", text, mode)
        return f"{self.etc}/{name}"

    def command(self, name, *arguments, check=True, **options):
        return self.root.run([name, *arguments], check=check, **options)

    def sendmail(self, message, *arguments, check=True, **options):
        return self.root.run(["sendmail", *arguments], input=message, check=check, **options)

    def start(self):
        with open(self.root.path("/tmp/start.out"), "w+", encoding="utf-8") as out:
            done = self.command(*self.postfix, "start", check=False, stdout=out, stderr=subprocess.STDOUT)
            out.seek(0)
            assert done.returncode == 0, out.read() + self.log()
        wait_until(self.listens, 30, "the server to listen")

    def listens(self):
        try:
            self.open_socket().close()
            return True
        except OSError:
            return False

    def stop(self):
        return self.command(*self.postfix, "stop")

    def reload(self):
        return self.command(*self.postfix, "reload")

    def is_up(self):
        return self.command(*self.postfix, "status", check=False).returncode == 0

    def processes(self, name=None):
        found = []
        for pid in self.root.processes():
            try:
                program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if name is None or program == name:
                found.append(pid)
        return found

    def destroy(self):
        self.root.destroy()

    def folder(self, user):
        return self.root.path(f"{MAILBOXES}/{user}/new")

    def open_socket(self, source=None):
        return self.root.connect(self.port, self.host, source)


class Reference(Installed):
    """Debian's Postfix."""

    name = "postfix"

    def install(self):
        for suite in SUITES:
            if package_file("postfix", suite):
                self.root.unpack_package("postfix", suite)
                return
        pytest.skip("Debian's postfix cannot be had here")

    def install_map_type(self, name):
        """postfix-pcre, postfix-lmdb ...: for tests that compare such tables."""
        self.root.unpack_package(f"postfix-{name}", SUITES[0] if self.version.startswith("3.10") else "")


class Ours(Installed):
    """What was built, installed where Debian would have put Postfix."""

    name = "posthouse"

    def install(self):
        self.root.run(f"""mkdir -p /etc/postfix /usr/lib/postfix/sbin /var/spool/postfix
install -m 755 {BIN}/* /usr/sbin/
install -m 755 {LIBEXEC}/* /usr/lib/postfix/sbin/
ln -sf ../sbin/sendmail /usr/lib/sendmail
echo Posthouse >/usr/lib/postfix/sbin/posthouse.stamp""")


@contextlib.contextmanager
def side_by_side(**options):
    """[Reference, Ours], made alike; what stands of them goes at the end."""
    with contextlib.ExitStack() as ends:
        made = []
        for kind in (Reference, Ours):
            made.append(kind(**options))
            ends.callback(made[-1].destroy)
        yield made
