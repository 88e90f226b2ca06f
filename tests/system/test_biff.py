"""comsat(8) hears of new mail in mailbox files, as Debian's Postfix 3.10.3 tells it: "user@offset" and a NUL."""
import os
import subprocess
import sys

import pytest

from instance import wait_until
from reference import Ours

# Prints what it hears until that is "end".
COMSAT = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as comsat:
    comsat.bind(("127.0.0.1", 512))
    comsat.settimeout(20)
    print("ready", flush=True)
    for heard in iter(lambda: comsat.recv(2000), b"end"):
        print(heard)
"""
END = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'end', ('127.0.0.1', 512))"
MAIN = ["mydestination = lab.test", "myorigin = lab.test", "alias_maps = inline:{file=/var/mail/afile}"]


@pytest.fixture
def server():
    ours = Ours(network=False)
    ours.root.run("grep -q ^biff /etc/services || echo biff 512/udp comsat >>/etc/services; install -d -m 1777 /var/mail")
    yield ours
    ours.root.run([*ours.postfix, "stop"], check=False)
    ours.destroy()


def told(server, *recipients):
    """What comsat hears of mail to these."""
    with server.root.popen([sys.executable, "-c", COMSAT], stdout=subprocess.PIPE, text=True) as comsat:
        assert comsat.stdout.readline() == "ready\n"
        for sent, who in enumerate(recipients, server.log().count(" status=sent ") + 1):
            server.sendmail("Subject: x\n\nx\n", "-f", "a@a.test", f"{who}@lab.test")
            wait_until(lambda sent=sent: server.log().count(" status=sent ") == sent)
        server.root.run([sys.executable, "-c", END])
        return comsat.stdout.read().splitlines()


def test_comsat_is_told_of_mail_in_mailbox_files(server):
    server.configure(MAIN)
    server.command("postconf", "-e", "mail_spool_directory = /var/mail")
    server.start()
    heard = told(server, "alice", "alice", "file", "bob")
    size = os.path.getsize(server.root.path("/var/mail/alice"))
    assert heard == [r"b'alice@0\x00'", rf"b'alice@{size // 2}\x00'", r"b'bob@0\x00'"]
    server.command("postconf", "-e", "home_mailbox = Mailbox")
    server.reload()
    assert told(server, "alice") == [r"b'alice@0\x00'"]
    server.command("postconf", "-e", "home_mailbox = Maildir/")
    server.reload()
    assert told(server, "alice") == []
    server.command("postconf", "-e", "home_mailbox = Mailbox", "biff = no")
    server.reload()
    assert told(server, "alice") == []
    # Nobody need listen, nor the service exist.
    server.command("postconf", "-e", "biff = yes")
    server.root.run("sed -i /^biff/d /etc/services")
    server.reload()
    assert told(server, "alice") == []
    assert "warning: service not found: biff/udp" in server.log()
