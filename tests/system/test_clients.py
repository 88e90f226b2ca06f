"""Real clients, written by others, against the whole system; and a real peer."""
import os
import pathlib
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
from email.message import EmailMessage

import pytest

from instance import BIN, USER, free_port, wait_until


def need(program):
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def run(argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, (argv, done.returncode, done.stdout, done.stderr)
    return done


def arrived(server, subject):
    pattern = f"\nSubject: {subject}\n".encode()
    return wait_until(lambda: [m for m in server.mailbox() if pattern in m], what=f"{subject!r}\n{server.log()[-3000:]}")


def test_swaks(instance):
    run([need("swaks"), "--server", f"127.0.0.1:{instance.port}", "--to", f"{USER}@localhost", "--from", "s@a.test",
         "--header", "Subject: from swaks", "--body", "hello"])
    assert b"\nhello\n" in arrived(instance, "from swaks")[0]


def test_swaks_with_pipelining_and_many_recipients(instance):
    run([need("swaks"), "--server", f"127.0.0.1:{instance.port}", "--pipeline", "--to", f"{USER}@localhost,postmaster@localhost",
         "--from", "s@a.test", "--header", "Subject: pipelined"])
    wait_until(lambda: len(arrived(instance, "pipelined")) == 2, what="two copies")


def test_curl(instance, tmp_path):
    mail = tmp_path / "mail"
    mail.write_bytes(b"From: s@a.test\r\nTo: me\r\nSubject: from curl\r\n\r\n.\r\n..two\r\nend")
    run([need("curl"), "-sS", f"smtp://127.0.0.1:{instance.port}/client.test", "--mail-from", "s@a.test", "--mail-rcpt",
         f"{USER}@localhost", "--upload-file", str(mail)])
    assert arrived(instance, "from curl")[0].endswith(b"\n\n.\n..two\nend\n")


def test_smtplib_with_attachment(instance):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "from smtplib", "s@a.test", f"{USER}@localhost"
    message.set_content("text \u00e9\n")
    message.add_attachment(os.urandom(200000), maintype="application", subtype="octet-stream", filename="x.bin")
    message.set_boundary("fixed-boundary")
    with smtplib.SMTP("127.0.0.1", instance.port) as client:
        client.send_message(message)
    body = arrived(instance, "from smtplib")[0].split(b"\n\n", 1)[1]
    assert body == message.as_bytes().split(b"\n\n", 1)[1]


def test_s_nail_through_sendmail(instance):
    env = dict(os.environ, MAIL_CONFIG=instance.etc)
    run([need("s-nail"), "-n", "-Smta=" + f"{BIN}/sendmail", "-s", "from s-nail", f"{USER}@localhost"], input="hello\n.\nmore\n", env=env)
    assert b"\nhello\n.\nmore\n" in arrived(instance, "from s-nail")[0]


def test_sendmail_in_its_usual_forms(instance):
    text = "From: Me <me>\nTo: {0}\nBcc: postmaster\nSubject: {1}\n\nbody\n"
    instance.sendmail(text.format(USER, "plain"), USER)
    instance.sendmail(text.format(USER, "with -t"), "-t")
    instance.sendmail(text.format(USER, "with -oi -f") + ".\nafter the dot\n", "-oi", "-f", "sender@a.test", f"{USER}@localhost")
    instance.sendmail(text.format(USER, "dot ends") + ".\nnot sent\n", "-F", "Full Name", USER)
    assert b"\nFrom: Me <me@" in arrived(instance, "plain")[0]
    copies = wait_until(lambda: len(arrived(instance, "with -t")) == 2 and arrived(instance, "with -t"), what="To and Bcc")
    assert not any(b"\nBcc:" in m for m in copies)
    mail = arrived(instance, "with -oi -f")[0]
    assert mail.startswith(b"Return-Path: <sender@a.test>\n") and mail.endswith(b"\n.\nafter the dot\n")
    assert b"not sent" not in arrived(instance, "dot ends")[0]
    assert re.search(rb"\nReceived: by \S+ \(Postfix, from userid \d+\)\n\tid [0-9A-F]+; ", arrived(instance, "plain")[0])


def test_sendmail_while_the_system_is_down(instance):
    instance.stop()
    instance.sendmail("Subject: while down\n\nx\n", USER)
    listing = instance.command("postqueue", "-p")
    assert "Mail system is down -- accessing queue directly" in listing.stderr
    assert re.search(rf"\n {{41}}{USER}\n\n-- 0 Kbytes in 1 Request\.\n$", listing.stdout), listing.stdout
    instance.start()
    arrived(instance, "while down")


@pytest.mark.parametrize("arguments, text, words", [
    ((), "Subject: x\n\nx\n", "Recipient addresses must be specified on the command line or via the -t option"),
    (("-t",), "Subject: x\n\nx\n", "No recipient addresses found in message header"),
    (("-Z", "x"), "x\n", "usage: sendmail [options]"),
    (("-bq", "x"), "x\n", "unsupported: -bq"),
    (("-qR",), "", "specify: -qRsitename"),
    (("-C", "/nonexist", "x"), "x\n", "open /nonexist/main.cf: No such file or directory"),
])
def test_sendmail_errors_exit_75(instance, arguments, text, words):
    done = instance.sendmail(text, *arguments, check=False)
    assert done.returncode == 75
    assert words in done.stderr


def test_message_over_the_limit_is_refused_by_postdrop(make_instance):
    server = make_instance(["message_size_limit = 20000"])
    done = server.sendmail("Subject: x\n\n" + "y" * 70 + "\n" * 30000, USER, check=False)
    assert done.returncode == 75 and "message file too big" in done.stderr
    assert os.listdir(f"{server.queue}/maildrop") == []


def test_hostile_maildrop_files_are_put_aside(instance):
    """Files as another user, or a client of a file server, could leave them: none is believed, none stops the others."""
    drop = f"{instance.queue}/maildrop"
    t = b"T\x0a1795318146"
    cases = {
        "AAAAA1": b"garbage" * 100,
        "AAAAA2": b"",
        "AAAAA3": t + b"S\x01aR\x04rootM\x00N\x01x",  # cut
        "AAAAA4": t + b"S\x01aR\xff\xff\xff\xff\x7f",  # a record longer than the file
        "AAAAA5": t + b"S\x01aM\x00X\x00E\x00",  # no recipients
    }
    for name, data in cases.items():
        with open(f"{drop}/{name}", "wb") as file:
            file.write(data)
        os.chmod(f"{drop}/{name}", 0o744)
    os.symlink("/etc/passwd", f"{drop}/AAAAA6")
    os.mkfifo(f"{drop}/AAAAA7", 0o744)
    os.mkdir(f"{drop}/AAAAA8")
    instance.sendmail("Subject: in between\n\nx\n", USER)
    arrived(instance, "in between")
    wait_until(lambda: len(os.listdir(f"{instance.queue}/corrupt")) >= len(cases) - 1, what="files in corrupt\n" + instance.log()[-3000:])
    assert len(instance.processes("pickup")) == 1
    assert instance.mailbox() and len(instance.mailbox()) == 1


EXIM = """
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
spool_directory = {directory}/spool
log_file_path = {directory}/log/%slog
exim_path = {exim}
hosts_treat_as_local = *
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
tls_advertise_hosts =
pid_file_path = {directory}/exim.pid
never_users =
acl_smtp_rcpt = accept_all
acl_smtp_data = accept_all
qualify_domain = exim.test
primary_hostname = exim.test
begin acl
accept_all:
  accept
begin routers
back:
  driver = manualroute
  domains = back.test
  route_list = * 127.0.0.1 byname
  self = send
  transport = back
begin transports
back:
  driver = smtp
  port = {ours}
  hosts_override
begin retry
* * F,1m,1s
"""


@pytest.fixture
def open_directory():
    """A directory that other users may enter: Exim gives up its rights, and pytest's own are private."""
    path = tempfile.mkdtemp(prefix="posthouse-exim-")
    os.chmod(path, 0o755)
    yield pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)


def test_relay_to_exim_and_back(make_instance, open_directory):
    """A message for loop.test goes to Exim by our smtp, and Exim sends it back to us."""
    exim, tmp_path = need("exim4"), open_directory
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{loop.test=smtp:[127.0.0.1]:{port}}}", "virtual_alias_domains = back.test",
                            f"virtual_alias_maps = inline:{{@back.test={USER}@localhost}}", "myhostname = ours.test"])
    config = tmp_path / "exim.conf"
    for part in ("spool", "log"):
        (tmp_path / part).mkdir(mode=0o777)
        os.chmod(tmp_path / part, 0o777)
    text = EXIM.format(port=port, directory=tmp_path, exim=exim, ours=server.port)
    # What comes for loop.test is sent on to back.test, at our own server.
    config.write_text(text.replace("begin routers\n", "begin routers\nturn:\n  driver = redirect\n  domains = loop.test\n  data = $local_part@back.test\n"))
    process = subprocess.Popen([exim, "-C", str(config), "-bdf", "-q10s"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        def listening():
            try:
                with smtplib.SMTP("127.0.0.1", port, timeout=5):
                    return True
            except OSError:
                return False
        wait_until(listening, 20, "Exim to listen")
        body = "".join(f"line {i}\n.{i}\n..{i}\n" for i in range(500)) + "\u00e9 8-bit\n"
        message = f"From: s@a.test\nTo: x@loop.test\nSubject: there and back\n\n{body}"
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.sendmail("s@a.test", ["x@loop.test"], message.replace("\n", "\r\n").encode(), ["BODY=8BITMIME"])
        mail = arrived(server, "there and back")[0]
        assert mail.split(b"\n\n", 1)[1] == body.encode()
        assert len(re.findall(rb"^Received: ", mail, re.M)) == 3
        server.wait_log(rf"to=<x@loop\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:{port},.*dsn=2\.0\.0, status=sent \(250 OK")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def test_log_is_read_by_pflogsumm(make_instance):
    """A hundred messages: delivered, bounced, deferred, rejected; pflogsumm counts what the ledger has."""
    pflogsumm = need("pflogsumm")
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{down.test=smtp:[127.0.0.1]:{port}}}", "transport_retry_time = 1s",
                            f"local_recipient_maps = inline:{{{USER}=yes, ghost=yes}}", "default_destination_concurrency_failed_cohort_limit = 100"])
    ledger = {"delivered": 70, "bounced": 15, "deferred": 10, "rejected": 5}
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        for i in range(ledger["delivered"]):
            client.sendmail(f"{USER}@localhost", [f"{USER}@localhost"], f"Subject: {i}\r\n\r\nx\r\n")
        for i in range(ledger["bounced"]):
            client.sendmail("", ["ghost@localhost"], f"Subject: {i}\r\n\r\nx\r\n")
        for i in range(ledger["deferred"]):
            client.sendmail(f"{USER}@localhost", [f"r{i}@down.test"], f"Subject: {i}\r\n\r\nx\r\n")
        for i in range(ledger["rejected"]):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail(f"{USER}@localhost", [f"nosuch{i}@localhost"], "Subject: x\r\n\r\nx\r\n")
    server.wait_log(r"status=sent", count=ledger["delivered"])
    server.wait_log(r"status=bounced", count=ledger["bounced"])
    server.wait_log(r"status=deferred", count=ledger["deferred"])
    time.sleep(0.5)
    report = run([pflogsumm, server.log_path]).stdout
    totals = dict((word, int(number)) for number, word in re.findall(r"^ +(\d+) +(received|delivered|deferred|bounced|rejected)\b", report, re.M))
    assert totals["received"] == 95
    assert totals["delivered"] == ledger["delivered"]
    assert totals["bounced"] == ledger["bounced"]
    assert totals["deferred"] == ledger["deferred"]
    assert totals["rejected"] == ledger["rejected"]


def test_local_mail_that_goes_round_is_returned_to_its_sender(instance):
    """Nobody can be refused any more when pickup finds too many hops: the message bounces."""
    instance.sendmail("Received: x\n" * 50 + "Subject: round and round\n\nx\n", "postmaster")
    text = arrived(instance, "Undelivered Mail Returned to Sender")[0]
    assert b"Status: 5.4.0\n" in text and b"too many hops" in text
    instance.wait_log(r"status=bounced \(too many hops\)")
