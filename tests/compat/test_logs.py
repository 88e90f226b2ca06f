"""pflogsumm, logwatch and fail2ban read our log of a mixed run as they read Postfix's of the same run."""
import re
import shutil
import smtplib

import pytest
from instance import wait_until
from reference import Ours, Reference

TOOLS = ("pflogsumm", "logwatch", "fail2ban-regex")

MAIN = [
    "myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "myorigin = lab.test", "mynetworks = 127.0.0.1/32",
    "alias_maps =", "local_recipient_maps = unix:passwd.byname", "smtpd_peername_lookup = no", "smtpd_error_sleep_time = 0",
    "smtpd_reject_unlisted_recipient = no", "relay_domains = later.test refused.test gone.test never.test",
    "transport_maps = inline:{ {later.test = retry:4.4.1 busy} {refused.test = smtp:[127.0.0.1]:9} {gone.test = retry:4.2.0 gone for now} "
    "{never.test = error:5.1.2 no such host} }",
    "virtual_alias_maps = inline:{ {bounced@lab.test = x@never.test} }",
    "smtpd_sender_restrictions = check_sender_access inline:{ {hold@a.test = HOLD} {rej@a.test = REJECT no thanks} }",
    "smtpd_recipient_restrictions = check_recipient_access inline:{ {nosuch@lab.test = reject_unlisted_recipient} }",
    "smtpd_helo_restrictions = check_helo_access inline:{ {bad.test = REJECT your name} }",
    "smtpd_hard_error_limit = 1000", "minimal_backoff_time = 1000s", "maximal_backoff_time = 1000s",
]
# How many, from where, helo, sender, recipient.
RUN = [
    (110, "127.0.0.1", "c.test", "s@a.test", "alice@lab.test"),
    (19, "127.0.0.1", "c.test", "s@a.test", "x@later.test"),
    (1, "127.0.0.1", "c.test", "s@a.test", "x@refused.test"),
    (15, "127.0.0.1", "c.test", "bob@lab.test", "bounced@lab.test"),
    (10, "127.0.0.1", "c.test", "hold@a.test", "alice@lab.test"),
    (10, "127.0.0.1", "c.test", "bob@lab.test", "y@gone.test"),
    (15, "127.0.0.2", "c.test", "s@a.test", "nosuch@lab.test"),  # refused by smtpd_recipient_restrictions
    (10, "127.0.0.2", "c.test", "s@a.test", "x@elsewhere.example"),
    (5, "127.0.0.2", "c.test", "rej@a.test", "alice@lab.test"),
    (5, "127.0.0.2", "bad.test", "s@a.test", "alice@lab.test"),
]


def send(server, source, helo, sender, recipient):
    class Client(smtplib.SMTP):
        def _get_socket(self, *_unused):
            return server.open_socket(source)
    with Client("x", 25, local_hostname=helo) as client:
        try:
            client.sendmail(sender, [recipient], "Subject: a run\r\nMessage-ID: <one@a.test>\r\n\r\nhello\r\n" + "x" * 500)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused):
            pass


def run(kind):
    server = kind()
    try:
        server.configure(MAIN)
        server.start()
        for count, *what in RUN:
            for _ in range(count):
                send(server, *what)
        deferred = wait_until(lambda: [q for q in server.queued() if q["queue_name"] == "deferred"] if
                              sum(q["queue_name"] == "deferred" for q in server.queued()) >= 30 and
                              not any(q["queue_name"] in ("active", "incoming") for q in server.queued()) else None, 30,
                              "the deferred messages\n" + server.log()[-2000:])
        assert len(deferred) == 30
        # What is for gone.test has waited long enough.
        server.command("postsuper", *[option for q in deferred if q["recipients"][0]["address"].startswith("x@")
                                      for option in ("-h", q["queue_id"])])
        server.configure(["maximal_queue_lifetime = 0"])
        server.reload()
        server.command("postqueue", "-f")
        server.wait_log("status=expired", count=10)
        wait_until(lambda: all(q["queue_name"] == "hold" for q in server.queued()), 30, "an idle queue")
        server.stop()
        found = {}
        found["pflogsumm"] = server.root.run(["pflogsumm", "/var/log/mail.log"]).stdout
        server.root.run("rm -f /var/log/maillog* /var/log/mail.log.*; mkdir -p /var/cache/logwatch")
        found["logwatch"] = server.root.run(["logwatch", "--service", "postfix", "--range", "all", "--detail", "10", "--output",
                                             "stdout"]).stdout
        found["fail2ban"] = server.root.run(["fail2ban-regex", "/var/log/mail.log", "postfix[mode=aggressive]"]).stdout
        found["log"] = server.log()
        return found
    finally:
        server.destroy()


@pytest.fixture(scope="module")
def both():
    for tool in TOOLS:
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/bin") is None:
            pytest.skip(f"{tool} is not installed")
    return run(Reference), run(Ours)


def pflogsumm_counts(text):
    """The grand totals (but bytes: ids differ in length) and the counted lines of the refusals."""
    totals = text[text.index("Grand Totals"):text.index("Per-Hour")]
    rows = {m[2]: m[1] for m in re.finditer(r"^ +(\d+)k? +([a-z][^\n]*?)(?: +\(\d+%\))?$", totals, re.M) if "bytes" not in m[2]}
    details = text[text.index("message deferral detail"):text.index("\nWarnings\n")]
    return rows, sorted(re.sub(r"\b[0-9A-F]{6,}\b", "ID", line) for line in details.splitlines() if "byte" not in line)


def test_pflogsumm_counts_the_same(both):
    theirs, ours = (pflogsumm_counts(found["pflogsumm"]) for found in both)
    assert theirs[0]["received"] != "0" and ours[0] == theirs[0]
    assert ours[1] == theirs[1]


def logwatch_lines(text):
    body = text[text.index("Postfix Begin"):text.index("Postfix End")]
    keep = [line for line in body.splitlines() if not re.search(r"[Bb]ytes|KiB|MiB", line)]
    keep = [re.sub(r"\w+ +\d+ [\d:]+ \S+ (\S+)\[\d+\]:", r"\1:", line) for line in keep]
    return [re.sub(r"\s+", " ", re.sub(r"\b[0-9A-F]{6,}\b", "ID", line)).strip() for line in keep]


def test_logwatch_counts_the_same_and_leaves_no_more_unmatched(both):
    theirs, ours = (logwatch_lines(found["logwatch"]) for found in both)
    assert any("Rejected" in line or "reject" in line for line in theirs)
    def unmatched(lines):
        at = [i for i, line in enumerate(lines) if "Unmatched" in line]
        return set(re.sub(r"^\d+ ", "", line) for line in lines[at[0]:]) if at else set()
    assert unmatched(ours) <= unmatched(theirs)
    # Our start is logged, and parameters without effect are warned about.
    counts = [[line for line in lines if re.match(r"\d+ [A-Z][a-z]", line) and not re.search("Postfix start|warnings", line)]
              for lines in (theirs, ours)]
    assert counts[1] == counts[0]


def test_fail2ban_finds_the_same(both):
    def matched(found):
        return re.search(r"Lines: \d+ lines, \d+ ignored, (\d+) matched", found["fail2ban"])[1]
    assert int(matched(both[0])) > 0 and matched(both[1]) == matched(both[0])
