"""Text that is not ASCII where the library for it must be loaded before the jail (conf/unicode.h)."""
import os

import pytest

from reference import Ours


@pytest.fixture
def server():
    ours = Ours(network=False)
    yield ours
    ours.root.run([*ours.postfix, "stop"], check=False)
    ours.destroy()


def say(lines, text):
    lines.write(text + "\r\n")
    lines.flush()
    return answer(lines)


def answer(lines):
    reply = lines.readline()
    while reply[3:4] == "-":
        reply = lines.readline()
    return reply.strip()


def smtpd_row(server):
    return next(row.split()[0] for row in server.command("postconf", "-M").stdout.splitlines() if row.split()[-1] == "smtpd")


def test_a_jailed_smtpd_finds_a_name_in_other_letters(server):
    server.configure(["mydestination = lab.test", "alias_maps = hash:/etc/postfix/aliases", "local_recipient_maps = $alias_maps"])
    server.write("aliases", "ärger: alice\n")
    server.command("postalias", "hash:/etc/postfix/aliases")
    server.command("postconf", "-F", f"{smtpd_row(server)}/inet/chroot=y")
    server.start()
    with server.root.connect(server.port) as client, client.makefile("rw", encoding="utf-8", newline="") as lines:
        assert answer(lines).startswith("220 ")
        assert say(lines, "EHLO c.test").startswith("250 ")
        assert say(lines, "MAIL FROM:<a@c.test> SMTPUTF8").startswith("250 ")
        assert say(lines, "RCPT TO:<ÄRGER@lab.test>").startswith("250 ")
        assert say(lines, "RCPT TO:<ÄRGERN@lab.test>").startswith("550 5.1.1")
        jails = {os.readlink(f"/proc/{pid}/root").endswith("/var/spool/postfix") for pid in server.processes() if comm(pid) == "smtpd"}
        assert jails == {True}


def comm(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()
