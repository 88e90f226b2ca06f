"""Ours in a private root, with programs of others from their Debian packages: what the tests of real programs share.

    with ProgramLab("procmail") as lab:
        lab.begin(["mailbox_command = procmail -a \"$EXTENSION\""])
        lab.give("alice", TORTURE["dots"])

Packages and what they need are downloaded once, to build/packages, and unpacked: their scripts do not run, so nothing is started."""
import os
import re
import shlex
import subprocess

import pytest

from instance import wait_until
from private_root import CACHE
from reference import Ours

PLACE = os.path.join(CACHE, "programs")
WAIT = 90  # seconds

# Bodies that a program on the way is known to harm. All are what a mailbox holds: lines end in LF.
TORTURE = {
    "eight": "Grüße ☃\n".encode() + b"\xe9t\xe9 \xff\xfe\x80\n",
    "binary": bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256)) + b"\n",
    "long": b"x" * 990 + b"\n" + b"word " * 190 + b"\n" + b"y" * 6000 + b"\nend\n",
    "dots": b".\n..\n...\n.dot\n. \nQUIT\n.\n",
    "from": b"From here on\n>From there\nFrom alice@lab.test Mon Jan  1 00:00:00 2024\n\nFrom: x\n",
    "blank": b"\n\n\nSubject: not a header\n\n  \n\t\n\n",
    "last": b"one\nno newline at the end",
    "empty": b"",
    "million": b"".join(b"%07d abcdefghijklmnopqrstuvwxyz 0123456789 ABCDEFGHIJKLMNOPQRSTUVW\n" % i for i in range(14800)),
}


def apt(*arguments):
    """The machine's sources, lists and downloads of our own."""
    options = ["-o", f"Dir::State::lists={PLACE}/lists", "-o", f"Dir::Cache={PLACE}/cache", "-o", "APT::Sandbox::User=root",
               "-o", "Debug::NoLocking=1", "-o", "APT::Install-Recommends=no"]
    return subprocess.run(["apt-get", *options, *arguments], capture_output=True, text=True, timeout=300, check=False)


def package_files(names):
    """Paths of the packages and of all that they need and this machine lacks; None when they cannot be had."""
    archives = f"{PLACE}/cache/archives"
    # What apt answered is kept for as long as the machine's packages are the same.
    known = f"{PLACE}/{'+'.join(names)}.list"
    if os.path.exists(known) and os.path.getmtime(known) > os.path.getmtime("/var/lib/dpkg/status"):
        with open(known, encoding="utf-8") as file:
            files = file.read().splitlines()
        if all(map(os.path.exists, files)):
            return files
    os.makedirs(f"{PLACE}/lists/partial", exist_ok=True)
    os.makedirs(f"{archives}/partial", exist_ok=True)
    plan = apt("install", "-s", "--reinstall", *names)
    if plan.returncode != 0 or not re.search("^Inst ", plan.stdout, re.M):
        apt("update")
        plan = apt("install", "-s", "--reinstall", *names)
    wanted = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", plan.stdout, re.M)
    if plan.returncode != 0 or apt("install", "-y", "-d", "--reinstall", *names).returncode != 0:
        return None
    have = os.listdir(archives)
    files = []
    for name, version in wanted:
        start = f"{name}_{version.replace(':', '%3a')}_"
        files += [f"{archives}/{file}" for file in have if file.startswith(start)]
    if len(files) != len(wanted):
        return None
    with open(known, "w", encoding="utf-8") as file:
        file.write("".join(name + "\n" for name in files))
    return files


class ProgramLab(Ours):
    """Ours, a network of its own, users alice and bob with homes."""

    def __init__(self, *packages, network=True):
        files = package_files(packages) if packages else []
        if files is None:
            pytest.skip(f"packages {' '.join(packages)} cannot be had here")
        self.files, self.given = files, 0
        super().__init__(network)

    def install(self):
        """Packages first: what one brings in the place of ours is replaced."""
        self.root.run("".join(f"dpkg --fsys-tarfile {shlex.quote(f)} | tar -x -C / --keep-directory-symlink || exit 1\n" for f in self.files) + "ldconfig")
        super().install()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.destroy()

    def begin(self, main=(), master=()):
        self.configure(["myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test localhost", "recipient_delimiter = +",
                        "home_mailbox = Maildir/", "minimal_backoff_time = 300s", "service_throttle_time = 1s",
                        "smtpd_peername_lookup = no", *main], master)
        self.start()

    def again(self, *main):
        """Other values of parameters, from the next message on."""
        self.command("postconf", "-e", *main)
        self.reload()

    def folder(self, user):
        return self.root.path(f"/home/{user}/Maildir/new")

    def give(self, recipients, body=b"text\n", sender="s@far.test", header="", options=()):
        """Sends a message of its own subject by SMTP and gives the subject. A body that ends without a newline goes to sendmail, as
        SMTP has none such."""
        self.given += 1
        subject = f"given {self.given}"
        recipients = [r if "@" in r else f"{r}@lab.test" for r in ([recipients] if isinstance(recipients, str) else recipients)]
        text = f"From: {sender or 'MAILER-DAEMON@far.test'}\nSubject: {subject}\n{header}\n".encode() + body
        if body and not body.endswith(b"\n"):
            self.root.run(["sendmail", "-i", "-f", sender, "--", *recipients], input=text, text=False)
        else:
            with self.smtp() as client:
                client.sendmail(sender, recipients, text.replace(b"\n", b"\r\n"), options)
        return subject

    def find(self, user, subject, folder="Maildir/new"):
        """The messages of that subject in a folder of a user's, as bytes."""
        path = self.root.path(f"/home/{user}/{folder}")
        found = []
        for name in os.listdir(path) if os.path.isdir(path) else []:
            with open(f"{path}/{name}", "rb") as file:
                text = file.read()
            if re.search(rb"(?m)^Subject: " + re.escape(subject.encode()) + rb"\r?$", text.partition(b"\n\n")[0]):
                found.append(text)
        return found

    def arrives(self, user, subject, folder="Maildir/new", count=1):
        """The one message of that subject, as (header as text, body as bytes)."""
        def done():
            found = self.find(user, subject, folder)
            return len(found) >= count and found
        try:
            found = wait_until(done, WAIT, f"{subject!r} for {user}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-2500:]}") from None
        assert len(found) == count, found
        parts = [(head.decode() + "\n", body) for head, _, body in (text.partition(b"\n\n") for text in found)]
        return parts[0] if count == 1 else parts

    def file(self, path, text, user="alice", mode=0o644):
        """A file of a user's: a path that begins with no slash lies in the home directory."""
        path = path if path.startswith("/") else f"/home/{user}/{path}"
        self.root.write(path, text, mode)
        self.root.run(["chown", f"{user}:", path])

    def torture(self, way, user="alice", folder="Maildir/new", known=lambda body: body):
        """Every body goes `way` (a recipient) and lies in the folder as it was, but for a newline at the end, which all mail gets, and
        for what `known` says that the program does to it."""
        sent = {name: self.give(way, body) for name, body in TORTURE.items()}
        for name, subject in sent.items():
            _, body = self.arrives(user, subject, folder)
            wanted = TORTURE[name]
            if wanted and not wanted.endswith(b"\n"):
                wanted += b"\n"
            wanted = known(wanted)
            assert body == wanted, (name, body[:300], wanted[:300])

    def try_again(self):
        """Deferred mail is tried now."""
        self.command("postqueue", "-f")

    def bounce(self, user, recipient, status):
        """The one bounce for that recipient that comes to the user's maildir; its text."""
        def done():
            for text in self.mailbox(user):
                if b"multipart/report" in text and re.search(rb"(?m)^Final-Recipient: rfc822; " + re.escape(recipient.encode()), text):
                    return text.decode(errors="replace")
            return None
        try:
            text = wait_until(done, WAIT, f"a bounce of {recipient}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-2500:]}") from None
        assert f"\nStatus: {status}\n" in text and "\nAction: failed\n" in text, text
        return text
