"""Content filters behind the queue, both kinds: spampd, which takes mail by SMTP and gives it back to a second smtpd, and a script by
pipe(8), which gives it back by sendmail. Mail comes out as it went in, and a filter that dies loses none."""
import os
import re
import signal
import socket
import threading
import time

import pytest

from instance import wait_until
from program_lab import TORTURE, ProgramLab

# --- by SMTP ---

MAIN = ["content_filter = scan:[127.0.0.1]:10025", "receive_override_options = no_address_mappings", "virtual_alias_maps = inline:{{both@lab.test=alice,bob}}",
        "recipient_bcc_maps = inline:{both@lab.test=bob+bcc@lab.test}", "header_checks = regexp:/etc/postfix/header_checks"]
# A long line is not the filter's to see cut: smtp would cut it at 998 bytes.
MASTER = ["scan unix - - n - 10 smtp -o smtp_send_xforward_command=yes -o disable_mime_output_conversion=yes -o smtp_generic_maps= "
          "-o smtp_line_length_limit=0",
          "127.0.0.1:10026 inet n - n - 10 smtpd -o content_filter= -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks "
          "-o smtpd_helo_restrictions= -o smtpd_client_restrictions= -o smtpd_sender_restrictions= "
          "-o smtpd_recipient_restrictions=permit_mynetworks,reject -o mynetworks=127.0.0.0/8 -o smtpd_authorized_xforward_hosts=127.0.0.0/8"]
SPAMPD = ["spampd", "--nodetach", "--host=127.0.0.1:10025", "--relayhost=127.0.0.1:10026", "--children=4", "--user=nobody", "--group=nogroup",
          "--tagall", "--local-only", "--pid=/tmp/spampd.pid", "--dose", "--saconfig=/etc/spampd.cf"]


class FilterLab(ProgramLab):
    def named(self, word):
        """Numbers of the processes whose name has the word in it."""
        found = []
        for pid in self.root.processes():
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                    if word in file.read():
                        found.append(pid)
            except OSError:
                continue
        return found


class Spampd(FilterLab):
    def take_syslog(self):
        """spampd does not start without."""
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(self.root.path("/dev/log"))
        os.chmod(self.root.path("/dev/log"), 0o666)
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        while self.syslog.recv(8192):
            pass

    def start_filter(self):
        self.filter = self.root.popen(SPAMPD)
        wait_until(self.filter_listens, 30, "spampd")

    def filter_listens(self):
        try:
            self.root.connect(10025).close()
            return True
        except OSError:
            return False

    def kill_filter(self):
        for pid in self.named("spamp"):
            os.kill(pid, signal.SIGKILL)
        self.filter.wait(20)
        wait_until(lambda: not self.filter_listens(), what="the end of spampd")


@pytest.fixture(scope="module")
def spampd():
    with Spampd("spampd") as lab:
        lab.root.run("install -d -o nobody -g nogroup /var/cache/spampd")
        lab.root.write("/etc/spampd.cf", "report_safe 0\n")
        lab.root.write("/etc/postfix/header_checks", "/^X-Mark:/ PREPEND X-Seen: once\n")
        lab.begin(MAIN, MASTER)
        lab.take_syslog()
        lab.start_filter()
        yield lab


def test_bodies_through_spampd(spampd):
    """SpamAssassin takes away empty lines at the end."""
    spampd.torture("alice", known=lambda body: re.sub(rb"\n{2,}\Z", b"\n", body) if body.strip() else body)


def test_headers_and_envelope_through_spampd(spampd):
    """What is rewritten, expanded, copied or checked is so once, on one side of the filter."""
    header = "X-Mark: 1\nX-Long: " + "a b " * 100 + "\nX-Folded:\n\tone\n  two\nMessage-Id: <1@far.test>\nDate: Wed, 25 Nov 2026 12:00:00 +0000\nTo: both@lab.test\n"
    for sender in ("A.B+x@far.test", ""):
        subject = spampd.give("both", b"text\n", sender, header)
        copies = [spampd.arrives("alice", subject), *spampd.arrives("bob", subject, count=2)]
        for head, _ in copies:
            assert head.startswith(f"Return-Path: <{sender}>\n") and head.count("\nX-Seen: once\n") == 1 and "\nX-Spam-Checker-Version: " in head
            assert head.endswith(f"From: {sender or 'MAILER-DAEMON@far.test'}\nSubject: {subject}\n" + header.replace("X-Mark", "X-Seen: once\nX-Mark")), head
        assert sorted(re.findall("(?m)^Delivered-To: (.*)", "".join(head for head, _ in copies))) == ["alice@mx.lab.test", "bob+bcc@lab.test", "bob@mx.lab.test"]


def test_spampd_is_killed_and_nothing_is_lost(spampd):
    """Killed with mail on its way, twice; what it had is sent to it again."""
    cut, through = "status=deferred (lost connection with 127.0.0.1[127.0.0.1] while ", ":10025, "
    subjects = []
    for _ in range(2):
        cuts, sent = spampd.log().count(cut), spampd.log().count(through)
        subjects += [spampd.give(["alice", "bob"]) for _ in range(12)]
        wait_until(lambda: spampd.log().count(through) > sent, what="the first to be through")
        spampd.kill_filter()
        subjects.append(spampd.give(["alice", "bob"]))
        wait_until(lambda: all(m["queue_name"] == "deferred" for m in spampd.queued()), what="mail to wait\n" + spampd.log()[-3000:])
        assert spampd.log().count(cut) > cuts
        spampd.start_filter()
        spampd.try_again()
        spampd.wait_empty()
    assert_all_arrived(spampd, subjects)


def assert_all_arrived(lab, subjects):
    for user in ("alice", "bob"):
        assert [s for s in subjects if not lab.find(user, s)] == []


# --- by pipe(8) and sendmail ---

SCRIPT = """#!/bin/sh
cd /tmp/filter || exit 75
trap "rm -f in.$$" 0 1 2 3 15
cat >in.$$ || exit 75
echo "$@" >>seen
test -e later && { echo "not now"; exit 75; }
grep -aq VIRUS in.$$ && { echo "not with me"; exit 69; }
while test -e slow; do sleep 0.1; done
/usr/sbin/sendmail -G -i "$@" <in.$$
exit $?
"""


@pytest.fixture(scope="module")
def script():
    with FilterLab() as lab:
        lab.root.run("useradd -r filter && install -d -o filter -g filter /tmp/filter")
        lab.root.write("/usr/local/bin/simple-filter", SCRIPT, 0o755)
        lab.begin(["transport_maps = inline:{far.test=discard:}"],
                  ["filter unix - n n - 10 pipe flags=Rq user=filter null_sender= argv=/usr/local/bin/simple-filter -f ${sender} -- ${recipient}",
                   "127.0.0.1:10025 inet n - n - - smtpd -o content_filter=filter:dummy"])
        yield lab


def send(lab, recipients, body=b"text\n", sender="bob@lab.test", header=""):
    """By the smtpd that filters; gives the subject."""
    usual, lab.port = lab.port, 10025
    try:
        return lab.give(recipients, body, sender, header)
    finally:
        lab.port = usual


def test_bodies_through_a_script(script):
    """sendmail ends a line at LF and takes all else as it is; -G: headers are left as they are."""
    # "last" has no newline at the end, which smtpd cannot be given.
    sent = {name: send(script, "alice", body) for name, body in TORTURE.items() if name != "last"}
    for name, subject in sent.items():
        assert script.arrives("alice", subject)[1] == TORTURE[name], name
    header = "To: both@far.test,\n\tThem <them@far.test>\nX-Long: " + "a b " * 100 + "\nMessage-Id: <1@far.test>\nDate: Wed, 25 Nov 2026 12:00:00 +0000\n"
    head, _ = script.arrives("alice", send(script, "alice", header=header))
    assert head.startswith("Return-Path: <bob@lab.test>\n") and head.endswith("\n" + header)


def test_a_script_gets_sender_and_recipients(script):
    """q quotes, and the null sender is empty by null_sender=; two recipients are one command."""
    script.root.run("rm -f /tmp/filter/seen")
    subjects = [send(script, ["alice", "bob"], sender=""), send(script, ['"a b"@lab.test', "alice"], sender='"x y"@far.test')]
    for subject in subjects:
        head, _ = script.arrives("alice", subject)
        assert head.startswith(("Return-Path: <>\n", 'Return-Path: <"x y"@far.test>\n'))
    script.wait_empty()
    lines = script.root.read("/tmp/filter/seen").splitlines()
    assert sorted(lines) == sorted(["-f  -- alice@lab.test bob@lab.test", '-f "x y"@far.test -- "a b"@lab.test alice@lab.test'])


def test_a_script_says_no_or_later(script):
    send(script, "alice", b"has a VIRUS\n")
    text = script.bounce("bob", "alice@lab.test", "5.3.0")
    assert re.search(r"service unavailable\. Command output:\s+not\s+with\s+me", text) and "\nhas a VIRUS\n" in text
    script.root.run("touch /tmp/filter/later")
    subject = send(script, "alice")
    script.wait_log(r"to=<alice@lab\.test>, relay=filter, .*dsn=4\.3\.0, status=deferred \(temporary failure\. Command output: not now \)")
    script.root.run("rm /tmp/filter/later")
    script.try_again()
    script.arrives("alice", subject)


def test_a_script_is_killed_and_nothing_is_lost(script):
    """By a signal, and with the pipe service above it."""
    script.root.run("touch /tmp/filter/slow")
    subjects = [send(script, ["alice", "bob"]) for _ in range(5)]
    running = wait_until(lambda: (found := script.named("simple-filter")) and len(found) == 5 and found, what="the scripts")
    services = script.named("pipe")
    assert services
    for pid in running[:3]:
        os.kill(pid, signal.SIGKILL)
    script.wait_log(r"relay=filter, .*dsn=4\.3\.0, status=deferred \(Command died with signal 9: \"/usr/local/bin/simple-filter\"", count=6)
    for pid in services:
        if os.path.exists(f"/proc/{pid}"):
            os.kill(pid, signal.SIGKILL)
    script.root.run("rm /tmp/filter/slow")

    def gone():
        script.try_again()
        time.sleep(0.2)
        return not script.queued()
    wait_until(gone, 30, "an empty queue\n" + script.log()[-3000:])
    assert_all_arrived(script, subjects)
