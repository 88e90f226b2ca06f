"""Mailman 3 takes the mail of its lists by LMTP, from the tables that it writes and indexes with our postmap, and sends posts back through
our smtpd. As its documents say: transport_maps, local_recipient_maps and relay_domains refer to its tables."""
import re

import pytest

from instance import wait_until
from program_lab import TORTURE, ProgramLab

DATA = "/var/lib/mailman3/data"
CONFIGURATION = """[mailman]
site_owner: root@lab.test
layout: test
[paths.test]
var_dir: /var/lib/mailman3
bin_dir: /usr/lib/mailman3/bin
log_dir: /var/lib/mailman3/logs
lock_dir: /var/lib/mailman3/locks
pid_file: /var/lib/mailman3/master.pid
[mta]
incoming: mailman.mta.postfix.LMTP
outgoing: mailman.mta.deliver.deliver
lmtp_host: 127.0.0.1
lmtp_port: 8024
smtp_host: 127.0.0.1
smtp_port: 25
configuration: /etc/mailman3/postfix.cfg
verp_delivery_interval: 1
[archiver.mhonarc]
enable: no
[archiver.mail_archive]
enable: no
[archiver.prototype]
enable: no
"""
# What a test of delivery does not need costs seconds at start.
IDLE = ("archive", "bad", "digest", "nntp", "rest", "retry", "shunt", "task")
POSTFIX = "[postfix]\npostmap_command: /usr/sbin/postmap\ntransport_file_type: hash\n"
# A list that sends on what it gets.
PREPARE = """
from mailman.config import config
from mailman.interfaces.action import Action

def prepare(talk):
    talk.default_member_action = talk.default_nonmember_action = Action.accept
    talk.send_welcome_message = False
    talk.subject_prefix = ''
    talk.max_message_size = 0
    config.db.commit()
"""
FOOTER = "/var/lib/mailman3/templates/lists/talk.lists.test/en/list:member:regular:footer.txt"


def mailman(lab, *arguments, **options):
    return lab.root.run(["mailman", "-C", "/etc/mailman3/mailman.cfg", *arguments], user="list", env={"HOME": "/var/lib/mailman3"}, **options)


@pytest.fixture(scope="module")
def lists():
    with ProgramLab("mailman3") as lab:
        lab.root.write("/etc/mailman3/mailman.cfg", CONFIGURATION + "".join(f"[runner.{name}]\nstart: no\n" for name in IDLE))
        lab.root.write("/etc/mailman3/postfix.cfg", POSTFIX)
        lab.root.run("mkdir -p /var/lib/mailman3 && chown -R list: /var/lib/mailman3")
        mailman(lab, "create", "-d", "talk@lists.test")
        lab.root.write("/usr/lib/python3/dist-packages/preparation.py", PREPARE)
        lab.root.write(FOOTER, "")
        lab.root.run("chown -R list: /var/lib/mailman3")
        mailman(lab, "withlist", "-r", "preparation.prepare", "-l", "talk@lists.test")
        mailman(lab, "addmembers", "-W", "-", "talk@lists.test", input="alice@lab.test\nbob@lab.test\nnosuch@lab.test\n")
        lab.begin(["owner_request_special = no", f"transport_maps = hash:{DATA}/postfix_lmtp",
                   f"local_recipient_maps = unix:passwd.byname hash:{DATA}/postfix_lmtp",
                   f"relay_domains = hash:{DATA}/postfix_domains", f"relay_recipient_maps = hash:{DATA}/postfix_lmtp"])
        with open(lab.root.path("/tmp/mailman.out"), "wb") as out:
            lab.mailman = lab.root.popen(["mailman", "-C", "/etc/mailman3/mailman.cfg", "start", "-f"], user="list", env={"HOME": "/var/lib/mailman3"}, stdout=out, stderr=out)

        def up():
            try:
                lab.root.connect(8024).close()
                return True
            except OSError:
                return False

        wait_until(up, 60, "Mailman")
        yield lab


def test_posts_reach_the_members(lists):
    """Whole (but for lines of more than 998 bytes, which Mailman refuses and our lmtp therefore breaks, and
    lines that begin with "From ", which it quotes), with a sender for each; whom nobody knows Mailman is told in the session."""
    sent = {name: lists.give("talk@lists.test", body, "alice@lab.test", "To: talk@lists.test\n") for name, body in TORTURE.items() if name != "long"}
    for name, subject in sent.items():
        for user in ("alice", "bob"):
            head, body = lists.arrives(user, subject)
            whole = TORTURE[name] + (b"" if not TORTURE[name] or TORTURE[name].endswith(b"\n") else b"\n")
            assert body == re.sub(rb"(?m)^From ", b">From ", whole), (name, body[:300])
            assert head.startswith(f"Return-Path: <talk-bounces+{user}=lab.test@lists.test>\nX-Original-To: {user}@lab.test\n"), head
    lists.wait_log(r"to=<talk@lists\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:8024, .*dsn=2\.0\.0, status=sent \(250 Ok\)")
    lists.wait_log(r"reject: RCPT .* 550 5\.1\.1 <nosuch@lab\.test>: .*from=<talk-bounces\+nosuch=lab\.test@lists\.test>")


def test_addresses_that_no_list_has(lists):
    """They are refused at once, by the table that Mailman wrote."""
    with lists.connect() as client:
        client.say("EHLO c.test")
        client.say("MAIL FROM:<alice@lab.test>")
        assert client.say("RCPT TO:<other@lists.test>").startswith("550 5.1.1 <other@lists.test>: Recipient address rejected")
        assert client.say("RCPT TO:<talk-owner@lists.test>").startswith("250 ")
