"""Programs that answer or send on what is delivered, through our sendmail: Sieve (Dovecot's Pigeonhole) under LMTP and under its
delivery program, and the old vacation(1) from .forward. Loops end."""
import email
import email.policy
import re

import pytest

from instance import wait_until
from program_lab import TORTURE, ProgramLab
from test_programs_filters import DOVECOT

SIEVE = DOVECOT + """protocol lmtp {
  mail_plugins = sieve
}
protocol lda {
  mail_plugins = sieve
}
plugin {
  sieve = ~/.dovecot.sieve
  sieve_vacation_min_period = 0
  sieve_user_log = ~/sieve.log
}
service lmtp {
  chroot =
  unix_listener lmtp {
    mode = 0666
  }
}
"""
ALICE = """require ["vacation", "envelope", "subaddress", "fileinto", "copy", "reject", "mailbox"];
if envelope :detail "to" "away" {
  vacation :days 1 :subject "I am äway" :addresses ["alice+away@lab.test"] "Back on Monday.
.
Grüße";
} elsif envelope :detail "to" "on" {
  redirect "bob@lab.test";
} elsif envelope :detail "to" "copy" {
  redirect :copy "bob@lab.test";
  redirect :copy "carol@far.test";
} elsif envelope :detail "to" "loop" {
  redirect "alice+loop@lab.test";
} elsif envelope :detail "to" "ring" {
  redirect "bob+ring@lab.test";
} elsif envelope :detail "to" "no" {
  reject "Not for me.";
}
"""
BOB = """require ["envelope", "subaddress", "vacation"];
if envelope :detail "to" "ring" {
  redirect "alice+ring@lab.test";
} elsif envelope :detail "to" "away" {
  vacation :addresses ["bob+away@lab.test"] "Bob is away, too.";
}
"""
WAYS = {"lmtp": "mailbox_transport = lmtp:unix:/run/dovecot/lmtp",
        "lda": 'mailbox_command = /usr/lib/dovecot/dovecot-lda -f "$SENDER" -a "$RECIPIENT"'}


@pytest.fixture(scope="module", params=sorted(WAYS))
def sieve(request):
    with ProgramLab("dovecot-core", "dovecot-lmtpd", "dovecot-sieve") as lab:
        lab.root.write("/etc/dovecot/dovecot.conf", SIEVE)
        lab.file(".dovecot.sieve", ALICE)
        lab.file(".dovecot.sieve", BOB, "bob")
        lab.file("/tmp/dovecot.log", "", mode=0o666)
        lab.root.popen(["dovecot", "-F"])
        lab.begin([WAYS[request.param], "lmtp_line_length_limit = 0", "virtual_alias_domains = far.test", "virtual_alias_maps = inline:{carol@far.test=bob@lab.test}"])
        wait_until(lambda: lab.root.exists("/run/dovecot/auth-userdb") and lab.root.exists("/run/dovecot/lmtp"), what="dovecot")
        yield lab


def test_sieve_bodies(sieve):
    sieve.torture("alice")
    sieve.torture("alice+on", user="bob")


def test_sieve_redirect_keeps_the_sender(sieve):
    head, _ = sieve.arrives("bob", sieve.give("alice+on", sender="some.one@far.test"))
    assert head.startswith("Return-Path: <some.one@far.test>\n") and "X-Sieve-Redirected-From: alice+on@lab.test\n" in head
    head, _ = sieve.arrives("bob", sieve.give("alice+on", sender=""))
    assert head.startswith("Return-Path: <>\n")


def test_sieve_redirect_to_two(sieve):
    subject = sieve.give("alice+copy", TORTURE["dots"])
    for _, body in [sieve.arrives("alice", subject), *sieve.arrives("bob", subject, count=2)]:
        assert body == TORTURE["dots"]


def subject_is(lab, user, subject):
    """The messages of a user with that subject, decoded."""
    mails = [email.message_from_bytes(text, policy=email.policy.default) for text in lab.mailbox(user)]
    return [mail for mail in mails if mail["Subject"] == subject]


def test_sieve_vacation(sieve):
    """The answer has the null sender, so it is not answered; it goes once to whoever asks, and to no list and no bounce."""
    subject = sieve.give("alice+away", sender="bob+away@lab.test", header="To: alice+away@lab.test\n")
    sieve.arrives("alice", subject)
    [mail] = wait_until(lambda: subject_is(sieve, "bob", "I am äway"), what="the answer")
    assert (mail["Return-Path"], mail["To"], mail["Auto-Submitted"]) == ("<>", "bob+away@lab.test", "auto-replied (vacation)")
    assert mail.get_content() == "Back on Monday.\n.\nGrüße\n"
    for sender, header in (("bob+away@lab.test", ""), ("", ""), ("list-bounces@far.test", "List-Id: <x.far.test>\n"), ("owner-x@far.test", "")):
        sieve.arrives("alice", sieve.give("alice+away", sender=sender, header=f"To: alice+away@lab.test\n{header}"))
    sieve.wait_empty()
    assert len(subject_is(sieve, "bob", "I am äway")) == 1
    assert not subject_is(sieve, "alice", "Auto: Re: I am äway") and b"Bob is away" not in b"".join(sieve.mailbox("alice"))


def test_sieve_reject(sieve):
    subject = sieve.give("alice+no", sender="bob@lab.test")
    [mail] = wait_until(lambda: [m for m in subject_is(sieve, "bob", f"Rejected: {subject}") + subject_is(sieve, "bob", "Undelivered Mail Returned to Sender")
                                 if "Not for me." in str(m)], what="the rejection")
    assert mail["Return-Path"] == "<>"


@pytest.mark.parametrize("name", ["loop", "ring"])
def test_sieve_loops_end(sieve, name):
    """One that redirects to himself, two that redirect to each other: Delivered-To: tells."""
    sieve.give(f"alice+{name}", b"round and round\n", sender="bob@lab.test")
    text = sieve.bounce("bob", f"alice+{name}@lab.test", "5.4.6")
    assert f"mail forwarding loop for alice+{name}@lab.test" in text and "\nround and round\n" in text
    assert len(re.findall(rf"to=<\w+\+{name}@lab\.test>.*status=sent", sieve.log())) == {"loop": 1, "ring": 2}[name]


def test_vacation():
    """As its manual says; it calls sendmail -f USER -- ADDRESS, and writes to whoever wrote to the user once a week."""
    with ProgramLab("vacation") as lab:
        lab.file(".forward", '\\alice, "|/usr/bin/vacation -a alias alice"\n')
        lab.file("/home/bob/.forward", '\\bob, "|/usr/bin/vacation bob"\n', "bob")
        for user in ("alice", "bob"):
            lab.file(f"/home/{user}/.vacation.msg", "Subject: away\nPrecedence: bulk\n\nGrüße, I am away: $SUBJECT\n", user)
            lab.root.run(["vacation", "-i"], user=user, env={"HOME": f"/home/{user}"})
        lab.begin()
        first = lab.give("alice", TORTURE["eight"], "bob@lab.test", "To: alice@lab.test\n")
        assert lab.arrives("alice", first)[1] == TORTURE["eight"]
        head, body = lab.arrives("bob", "away")
        assert head.startswith("Return-Path: <alice@mx.lab.test>\n") and body.decode() == f"Grüße, I am away: {first}\n"
        for sender, header in (("bob@lab.test", "To: alice@lab.test\n"), ("", "To: alice@lab.test\n"), ("bob@lab.test", "To: others@far.test\n"),
                               ("bob@lab.test", "To: alice@lab.test\nPrecedence: list\n")):
            lab.arrives("alice", lab.give("alice", sender=sender, header=header))
        lab.wait_empty()
        assert len(lab.find("bob", "away")) == 1 and lab.find("alice", "away") == []
