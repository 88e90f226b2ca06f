"""Delivery programs: procmail, maildrop and Dovecot's, from mailbox_command, .forward and pipe(8), as their documents say."""
import re

import pytest

from instance import wait_until
from program_lab import ProgramLab

# --- procmail ---

PROCMAILRC = """MAILDIR=$HOME
DEFAULT=$HOME/Maildir/
EXT=$1
:0
* EXT ?? ^^box^^
box/
:0
* EXT ?? ^^mbox^^
mbox
:0
* EXT ?? ^^later^^
{
  EXITCODE=`test -e $HOME/later && echo 75 || echo 0`
  LOG="the reason is secret
"
  :0
  * EXITCODE ?? 75
  { HOST=nowhere }
}
:0
* EXT ?? ^^never^^
{ EXITCODE=77 HOST=nowhere }
:0
* EXT ?? ^^nouser^^
{ EXITCODE=67 HOST=nowhere }
:0 fhw
* EXT ?? ^^filter^^
| sed -e 's/^Subject: /Subject: filtered /'
:0 r
* EXT ?? ^^forward^^
! bob@lab.test
"""
VIRTUALRC = "DEFAULT=/home/alice/pipe/\nMAILDIR=/home/alice\nLOGFILE=/home/alice/pipe.log\nLOGABSTRACT=no\nLOG=\"$USER,$EXT,$SENDER,$RECIPIENT\n\"\n"


@pytest.fixture(scope="module")
def procmail():
    with ProgramLab("procmail") as lab:
        lab.file(".procmailrc", PROCMAILRC)
        lab.root.write("/etc/procmailrcs/virtual.rc", VIRTUALRC)
        lab.file("/home/bob/.forward", "\"|IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #bob\"\n", "bob")
        lab.file("/home/bob/.procmailrc", "DEFAULT=$HOME/Maildir/\n", "bob")
        lab.begin(['mailbox_command = procmail -a "$EXTENSION"', "transport_maps = inline:{piped.test=procmail:}", "relay_domains = piped.test",
                   "procmail_destination_recipient_limit = 1"],
                  ["procmail unix - n n - - pipe flags=DRhuXO user=alice argv=/usr/bin/procmail -t -m USER=${user} EXT=${extension} "
                   "SENDER=${sender} RECIPIENT=${recipient} /etc/procmailrcs/virtual.rc"])
        yield lab


def test_procmail_bodies(procmail):
    procmail.torture("alice")
    procmail.torture("alice+box", folder="box/new")


def test_procmail_mbox(procmail):
    """The separator has the envelope sender, the null one as MAILER-DAEMON; procmail escapes "From " in the body."""
    procmail.give("alice+mbox", b"From here\n", "Some.One+x@far.test")
    procmail.give("alice+mbox", b"second\n", "")
    wait_until(lambda: procmail.root.exists("/home/alice/mbox") and procmail.root.read("/home/alice/mbox").count("\nReturn-Path: ") == 2)
    text = procmail.root.read("/home/alice/mbox")
    assert sorted(re.findall(r"(?m)^From (\S+) ", text)) == ["MAILER-DAEMON", "Some.One+x@far.test"]
    assert "\n\n>From here\n\n" in text


def test_procmail_envelope(procmail):
    head, _ = procmail.arrives("alice", procmail.give("alice+other", sender="a.b@far.test"))
    assert head.startswith("Return-Path: <a.b@far.test>\nX-Original-To: alice+other@lab.test\nDelivered-To: alice+other@lab.test\n")


def test_procmail_temporary_failure(procmail):
    procmail.file("later", "")
    subject = procmail.give("alice+later")
    procmail.wait_log(r"to=<alice\+later@lab\.test>, relay=local, .*dsn=4\.3\.0, status=deferred \(temporary failure\. Command output: the reason is secret \)")
    assert procmail.find("alice", subject) == []
    procmail.root.run("rm /home/alice/later")
    procmail.try_again()
    procmail.arrives("alice", subject)


@pytest.mark.parametrize("extension, status", [("never", "5.7.0"), ("nouser", "5.1.1")])
def test_procmail_permanent_failure(procmail, extension, status):
    procmail.give(f"alice+{extension}", b"come back\n", sender="bob@lab.test")
    text = procmail.bounce("bob", f"alice+{extension}@lab.test", status)
    assert "\ncome back\n" in text


def test_procmail_filters_and_forwards(procmail):
    """What procmail sends on comes through our sendmail, from the user."""
    subject = procmail.give("alice+filter", b"\xe9 From\nFrom x\n")
    assert procmail.arrives("alice", "filtered " + subject)[1] == b"\xe9 From\nFrom x\n"
    head, body = procmail.arrives("bob", procmail.give("alice+forward", b".\n..\nFrom x\n", "x@far.test"))
    assert head.startswith("Return-Path: <alice@mx.lab.test>\n") and "Delivered-To: alice+forward@lab.test\n" in head and body == b".\n..\nFrom x\n"


def test_procmail_forward_file(procmail):
    """The line that procmail's manual gives for a .forward file."""
    procmail.torture("bob", user="bob")


def test_procmail_by_pipe(procmail):
    procmail.torture("Alice+Ext@Piped.Test", folder="pipe/new")
    lines = set(procmail.root.read("/home/alice/pipe.log").splitlines())
    assert lines == {"alice,ext,s@far.test,alice+ext@piped.test"}
    head, _ = procmail.arrives("alice", procmail.give("alice@piped.test", sender="A.B@far.test"), "pipe/new")
    assert head.startswith("Return-Path: <A.B@far.test>\nX-Original-To: alice@piped.test\nDelivered-To: alice@piped.test\n")


# --- maildrop ---

MAILFILTER = """if ("$EXT" eq "box")
{
  to "box/"
}
if ("$EXT" eq "later")
{
  `test -e $HOME/later`
  if ($RETURNCODE == 0)
  {
    echo "come again"
    EXITCODE=75
    exit
  }
}
if ("$EXT" eq "never")
{
  echo "not for me"
  EXITCODE=77
  exit
}
if ("$EXT" eq "forward")
{
  to "! bob@lab.test"
}
if ("$EXT" eq "copy")
{
  cc "| cat > $HOME/copy"
}
to "Maildir/"
"""


@pytest.fixture(scope="module")
def maildrop():
    """The row is that of Debian's master.cf, but for the user; maildrop says on standard error that its daemon for virtual users is away."""
    with ProgramLab("maildrop") as lab:
        for user in ("alice", "bob"):
            lab.root.run(f"for d in Maildir box; do maildirmake.maildrop /home/{user}/$d; done", user=user)
        lab.root.write("/etc/maildroprc", "DEFAULT=\"$HOME/Maildir\"\n")
        lab.file(".mailfilter", "EXT=\"$1\"\n" + MAILFILTER, mode=0o600)
        lab.begin(['mailbox_command = /usr/bin/maildrop -d "$USER" "$EXTENSION"', "transport_maps = inline:{piped.test=maildrop:}",
                   "relay_domains = piped.test", "maildrop_destination_recipient_limit = 1"],
                  ["maildrop unix - n n - - pipe flags=DRXhu user=alice argv=/usr/bin/maildrop -d ${user} ${extension}"])
        yield lab


def test_maildrop_bodies(maildrop):
    maildrop.torture("alice")
    maildrop.torture("alice+box", folder="box/new")
    maildrop.torture("alice+box@piped.test", folder="box/new")


def test_maildrop_temporary_failure(maildrop):
    maildrop.file("later", "")
    subjects = [maildrop.give(f"alice+later@{domain}") for domain in ("lab.test", "piped.test")]
    maildrop.wait_log(r"to=<alice\+later@lab\.test>, relay=local, .*dsn=4\.3\.0, status=deferred \(temporary failure\. Command output: .*come again \)")
    maildrop.wait_log(r"to=<alice\+later@piped\.test>, relay=maildrop, .*dsn=4\.3\.0, status=deferred \(temporary failure\. Command output: .*come again \)")
    maildrop.root.run("rm /home/alice/later")
    maildrop.try_again()
    for subject in subjects:
        maildrop.arrives("alice", subject)


@pytest.mark.parametrize("domain", ["lab.test", "piped.test"])
def test_maildrop_permanent_failure(maildrop, domain):
    maildrop.give(f"alice+never@{domain}", b"come back\n", sender="bob@lab.test")
    text = maildrop.bounce("bob", f"alice+never@{domain}", "5.7.0")
    assert re.search(r"permission denied\. Command\s+output: .*not\s+for\s+me", text, re.S) and "\ncome back\n" in text


def test_maildrop_unknown_user(maildrop):
    maildrop.give("nobody-here@piped.test", sender="bob@lab.test")
    maildrop.bounce("bob", "nobody-here@piped.test", "5.1.1")


def test_maildrop_forwards(maildrop):
    """maildrop itself chooses the null sender."""
    head, body = maildrop.arrives("bob", maildrop.give("alice+forward", b".\n..\nFrom x\n", "x@far.test"))
    assert "\nReturn-Path: <>\n" in head and body == b".\n..\nFrom x\n"
    maildrop.arrives("alice", maildrop.give("alice+copy", b"to a command, too\n"))
    assert maildrop.root.read("/home/alice/copy").endswith("\n\nto a command, too\n")


# --- Dovecot ---

DOVECOT = """protocols = lmtp
log_path = /tmp/dovecot.log
ssl = no
first_valid_uid = 1
mail_location = maildir:~/Maildir
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
recipient_delimiter = +
lda_mailbox_autocreate = yes
auth_username_format = %n
submission_host =
userdb {
  driver = passwd
}
passdb {
  driver = passwd
}
service auth {
  unix_listener auth-userdb {
    mode = 0666
  }
}
service stats {
  chroot =
  unix_listener stats-writer {
    mode = 0666
  }
}
service anvil {
  chroot =
}
"""


@pytest.fixture(scope="module")
def dovecot():
    with ProgramLab("dovecot-core", "dovecot-lmtpd") as lab:
        lab.root.write("/etc/dovecot/dovecot.conf", DOVECOT)
        lab.file("/tmp/dovecot.log", "", mode=0o666)
        lab.dovecot = lab.root.popen(["dovecot", "-F"])
        lab.begin(['mailbox_command = /usr/lib/dovecot/dovecot-lda -f "$SENDER" -a "$RECIPIENT" -m "$EXTENSION"', "transport_maps = inline:{piped.test=dovecot:}",
                   "relay_domains = piped.test", "dovecot_destination_recipient_limit = 1"],
                  ["dovecot unix - n n - - pipe flags=DRhu user=alice argv=/usr/lib/dovecot/deliver -f ${sender} -d ${recipient}"])
        wait_until(lambda: lab.root.exists("/run/dovecot/auth-userdb"), what="dovecot")
        yield lab


def test_dovecot_bodies(dovecot):
    dovecot.torture("alice")
    dovecot.torture("alice+box", folder="Maildir/.box/new")
    dovecot.torture("alice@piped.test")


def test_dovecot_envelope(dovecot):
    head, _ = dovecot.arrives("alice", dovecot.give("Alice@Piped.Test", sender="A.B@far.test"))
    assert head.startswith("Return-Path: <A.B@far.test>\nDelivered-To: Alice@Piped.Test\n")
    head, _ = dovecot.arrives("alice", dovecot.give("alice@piped.test", sender=""))
    # The null sender is null_sender= of the row, as in Postfix.
    assert head.startswith("Return-Path: <MAILER-DAEMON>\n")


def test_dovecot_unknown_user(dovecot):
    dovecot.give("nobody-here@piped.test", sender="bob@lab.test")
    dovecot.bounce("bob", "nobody-here@piped.test", "5.1.1")


def test_dovecot_is_away(dovecot):
    """A user that cannot be looked up now is no unknown user."""
    dovecot.root.run("chmod 0 /run/dovecot/auth-userdb")
    subject = dovecot.give("alice@piped.test")
    dovecot.wait_log(r"to=<alice@piped\.test>, relay=dovecot, .*dsn=4\.3\.0, status=deferred \(temporary failure")
    dovecot.root.run("chmod 666 /run/dovecot/auth-userdb")
    dovecot.try_again()
    dovecot.arrives("alice", subject)
