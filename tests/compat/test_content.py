"""What is stored of a message is what Postfix stores: header completed and folded, long lines cut, odd bytes."""
import re

import pytest
from reference import Ours, Reference

MAIN = ["myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "myorigin = lab.test", "local_recipient_maps =",
        "smtpd_peername_lookup = no", "mynetworks = 127.0.0.1/32"]

MESSAGES = [
    b"", b"no header at all", b"\n\nbody", b"Subject: x\n\nbody without newline", b"Subject: " + b"x" * 5000 + b"\n\nx\n",
    b"Subject: x\n\n" + b"y" * 5000 + b"\n", b"Subject: x\n folded\n\tagain\n\nx\n", b"Subject: x\nnot a header\nX: y\n\nx\n",
    b"From old Mon Jan 1 00:00:00 2024\nSubject: x\n\nx\n", b"To: alice, Bob <bob>, c@host\n\nx\n", b"From: me\nCc: (c) x@y\n\nx\n",
    b"Bcc: secret@lab.test\nReturn-Path: <x@y>\nContent-Length: 7\nSubject: x\n\nx\n", b"Resent-To: bob\nSubject: x\n\nx\n",
    b"Subject: a\0b\n\nx\0y\n", b"Subject: a\rb\n\nx\ry\n", b"Subject : spaced\n\nx\n", b": none\n\nx\n", b"\xe9: x\n\nx\n",
    b"Subject: \xe9\n\n\xe9\n", b"To: \"A. B\" <a@lab.test>, group: x, y;\n\nx\n", b"Message-Id: <1@x>\nDate: then\nFrom: a@b\n\nx\n",
    b"From: <>\n\nx\n", b"To: undisclosed-recipients:;\n\nx\n", b"X: " + b"a@b.test, " * 500 + b"\n\nx\n",
    b"To: " + b"alice, " * 500 + b"\n\nx\n", b">From x\nSubject: y\n\nx\n", b"Subject: x\n\n.\n..\n.x\n",
]
NAMES = ["Some One", "Some. One", 'A "B" C', "A (B) C", "a@b", "\u00e9 x", "", "x" * 100, "A, B", "A\\B", "A:B",
         "J\u00f6rg M\u00fcller", "\u65e5\u672c \u592a\u90ce", "\u00e9 \"q\" (c) a@b, =?_x!-.+*/", "\u00e9" * 30, "\u65e5" * 40, "\u00e9 abc " * 12,
         "\u00e9" + "a" * 48, "\u00e9" + "a" * 54, "\u00e9" + "a" * 55]


@pytest.fixture(scope="module")
def servers():
    made = []
    try:
        for kind in (Reference, Ours):
            made.append(kind())
            made[-1].configure(MAIN)
            made[-1].start()
        yield made
    finally:
        for server in made:
            server.destroy()


def stored(server, submit):
    before = set(server.mailbox("alice"))
    count = len(server.mailbox("alice"))
    submit(server)
    new = [m for m in server.wait_mail(count + 1, user="alice") if m not in before]
    text = re.sub(rb"\b[0-9A-F]{6,12}\b", b"ID", new[0])
    text = re.sub(rb"\d{14}\.ID", b"TIME.ID", text)
    return re.sub(rb"\w{3}, +\d+ \w{3} \d{4} [\d:]{8} [+-]\d{4} \(\w+\)", b"DATE", text)


def same(servers, submit):
    theirs, ours = (stored(server, submit) for server in servers)
    assert ours == theirs


@pytest.mark.parametrize("text", MESSAGES, ids=lambda text: repr(text[:30]))
def test_by_sendmail(servers, text):
    same(servers, lambda server: server.sendmail(text, "-i", "alice", user="bob", text=False))


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("text", MESSAGES, ids=lambda text: repr(text[:30]))
def test_by_smtp(servers, text, source):
    def submit(server):
        with server.connect(source) as wire:
            for line in ("EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", "DATA"):
                wire.say(line)
            wire.raw(text.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b"\r\n.\r\n")
            assert wire.reply().startswith("250 ")
    same(servers, submit)


@pytest.mark.parametrize("name", NAMES)
def test_full_name(servers, name):
    same(servers, lambda server: server.sendmail("Subject: x\n\nx\n", "-F", name, "alice", user="bob"))
