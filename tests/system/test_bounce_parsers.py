"""Notices of many kinds as programs of others read them: Sisimai and flufl.bounce take them for Postfix's, with the right reason and code."""
import email
import importlib.util
import json
import shutil
import subprocess

import pytest

from fake_smtp import FakeSMTP
from instance import USER, free_port, wait_until

SISIMAI = """use Sisimai; my $all = Sisimai->make($ARGV[0], delivered => 1) // [];
print '[', join(',', map { $_->dump('json') } @$all), ']';"""
SISIMAI_DELAY = "RFC3464"  # it knows Postfix by the subject of a failure; a delay of Postfix's is that to it, too
# Recipient, what the next hop says (or the transport), code, what Sisimai calls it.
REPLIES = [
    ("unknown", "550 5.1.1 <unknown@x.test>: Recipient address rejected: User unknown in local recipient table", "5.1.1", "userunknown"),
    ("nomailbox", "550 5.1.1 no such user here", "5.1.1", "userunknown"),
    ("sorry", "553 5.1.1 sorry, no mailbox here by that name", "5.1.1", "userunknown"),
    ("full", "552 5.2.2 Mailbox full", "5.2.2", "mailboxfull"),
    ("quota", "552 5.2.2 Over quota", "5.2.2", "mailboxfull"),
    ("disabled", "550 5.2.1 Account disabled", "5.2.1", None),
    ("size", "552 5.3.4 Message size exceeds fixed limit", "5.3.4", "mesgtoobig"),
    ("system", "554 5.3.0 Mail system trouble", "5.3.0", None),
    ("relay", "554 5.7.1 <relay@x.test>: Relay access denied", "5.7.1", "norelaying"),
    ("blocked", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "5.7.1", "blocked"),
    ("spam", "550 5.7.1 Message content rejected as spam", "5.7.1", "spamdetected"),
    ("policy", "550 5.7.1 Message rejected due to local policy", "5.7.1", None),
    ("virus", "554 5.7.0 The message was rejected because it contains prohibited virus or spam content", "5.7.0", "virusdetected"),
    ("spf", "550 5.7.23 SPF validation failed", "5.7.23", None),
    ("dmarc", "550 5.7.1 Email rejected per DMARC policy", "5.7.1", None),
    ("moved", "551 5.1.6 User has moved, please try another address", "5.1.6", "hasmoved"),
    ("badsyntax", "501 5.1.3 Bad recipient address syntax", "5.1.3", None),
    ("senderrej", "550 5.1.8 Sender address rejected: Domain not found", "5.1.8", "rejected"),
    ("helo", "550 5.7.1 Helo command rejected: Host not found", "5.7.1", None),
    ("crypto", "530 5.7.0 Must issue a STARTTLS command first", "5.7.0", None),
    ("auth", "530 5.7.1 Authentication required", "5.7.1", None),
    ("plain", "550 no enhanced code", "5.0.0", None),
    ("lines", "550-5.1.1 The account that you tried to reach\n550 5.1.1 does not exist", "5.1.1", "userunknown"),
    ("nulmx", "556 5.1.10 Recipient address has null MX", "5.1.10", None),
    ("toomany", "552 5.5.3 Too many recipients", "5.5.3", None),
]
TRANSPORTS = [
    ("hosts.test", "error:5.4.4 Host or domain name not found", "5.4.4", "hostunknown"),
    ("loops.test", "error:5.4.6 mail for loops.test loops back to myself", "5.4.6", None),
    ("expired.test", "error:5.4.7 delivery time expired", "5.4.7", "expired"),
]
LATER = [("busy", "450 4.2.0 Greylisted, try again", "4.2.0"), ("over", "452 4.2.2 Mailbox over quota", "4.2.2"), ("space", "452 4.3.1 Insufficient system storage", "4.3.1")]


def all_notices(server, count):
    def found():
        messages = [m for m in server.mailbox() if b"multipart/report" in m]
        return len(messages) >= count and messages
    return wait_until(found, 40, f"{count} notices\n{server.log()[-3000:]}")


def make_notices(make_instance):
    """{recipient: the notice}, failures and delays, made in one run."""
    said = {name: text.replace("\n", "\r\n") for name, text, *_ in [*REPLIES, *LATER]}
    peer = FakeSMTP("127.0.0.1", rcpt=lambda argument, count: next(text for name, text in said.items() if f"<{name}@" in argument))
    closed = free_port()
    rows = [("x.test", f"smtp:[127.0.0.1]:{peer.port}"), ("refused.test", f"smtp:[127.0.0.1]:{closed}"), *((d, t) for d, t, *_ in TRANSPORTS)]
    server = make_instance(["myhostname = mx.lab.test", "mydestination = lab.test mx.lab.test", "local_recipient_maps =", "smtpd_peername_lookup = no",
                            "minimal_backoff_time = 1s", "maximal_backoff_time = 1s", "queue_run_delay = 1s", "transport_retry_time = 1s",
                            "delay_warning_time = 1s", "smtpd_reject_unlisted_recipient = no",
                            "transport_maps = inline:{ " + " ".join(f"{{{d} = {t}}}" for d, t in rows) + " }"])
    recipients = [f"{name}@x.test" for name in said] + [f"a@{d}" for d, *_ in TRANSPORTS] + ["nosuch@lab.test", "a@refused.test"]
    try:
        with server.smtp() as client:
            for recipient in recipients:
                client.sendmail(f"{USER}@lab.test", [recipient], f"From: {USER}@lab.test\r\nTo: {recipient}\r\nSubject: a test\r\n\r\nx\r\n")
        found = {}
        for text in all_notices(server, len(recipients)):
            fields = email.message_from_bytes(text).get_payload()[1].get_payload()[1]
            found[fields["Final-Recipient"].split("; ")[1]] = text
    finally:
        peer.close()
    assert sorted(found) == sorted(recipients)
    return found


EXPECTED = {f"{name}@x.test": (code, reason) for name, _, code, reason in REPLIES}
EXPECTED |= {f"a@{domain}": (code, reason) for domain, _, code, reason in TRANSPORTS}
EXPECTED |= {"nosuch@lab.test": ("5.1.1", "userunknown")}
DELAYED = {f"{name}@x.test": code for name, _, code in LATER} | {"a@refused.test": "4.4.1"}


def read_by_sisimai(folder):
    done = subprocess.run(["perl", "-MSisimai", "-e", SISIMAI, folder], capture_output=True, text=True, timeout=60, check=True)
    return {one["recipient"]: one for one in json.loads(done.stdout)}


def test_sisimai_and_flufl_read_notices_of_many_kinds(make_instance, tmp_path):
    if shutil.which("perl") is None or subprocess.run(["perl", "-MSisimai", "-e1"], capture_output=True, check=False).returncode:
        pytest.skip("libsisimai-perl is not installed (group check)")
    if importlib.util.find_spec("flufl.bounce") is None:
        pytest.skip("python3-flufl.bounce is not installed (group check)")
    from flufl.bounce import all_failures
    notices = make_notices(make_instance)
    assert len(EXPECTED | DELAYED) >= 30
    for number, text in enumerate(notices.values()):
        (tmp_path / f"{number}.eml").write_bytes(text)
    seen = read_by_sisimai(str(tmp_path))
    wrong = []
    for recipient, (code, reason) in EXPECTED.items():
        one = seen.get(recipient, {})
        have = (one.get("smtpagent"), one.get("deliverystatus"), one.get("reason"))
        if have[:2] != ("Postfix", code) or (reason and have[2] != reason):
            wrong.append((recipient, code, reason, have))
        temporary, permanent = all_failures(email.message_from_bytes(notices[recipient]))
        if temporary or permanent != {recipient.encode()}:
            wrong.append((recipient, temporary, permanent))
    for recipient, code in DELAYED.items():
        one = seen.get(recipient, {})
        temporary, permanent = all_failures(email.message_from_bytes(notices[recipient]))
        if (one.get("smtpagent"), one.get("deliverystatus")) != (SISIMAI_DELAY, code) or permanent or temporary != {recipient.encode()}:
            wrong.append((recipient, code, one.get("smtpagent"), one.get("deliverystatus"), one.get("reason"), temporary, permanent))
    assert not wrong, "\n".join(map(repr, wrong))
