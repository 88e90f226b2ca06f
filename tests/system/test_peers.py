"""Mail to other systems and back: Exim, Sendmail and OpenSMTPD each take mail for their domain from our smtp, rewrite the
recipient to back.test, and send it to our smtpd. Each is run from its Debian package, unpacked into a private root."""
import email
import re
import signal
import smtplib
import subprocess

import pytest

from instance import USER, free_port, wait_until
from private_root import PrivateRoot

ALIASES = [f"u{i}" for i in range(1000)]
RECIPIENTS = 100
USERS = ALIASES[:RECIPIENTS]

EXIM = """
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
spool_directory = /tmp/spool
log_file_path = /tmp/log/%slog
pid_file_path = /tmp/exim.pid
hosts_treat_as_local = *
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
tls_advertise_hosts =
never_users =
dsn_advertise_hosts = *
acl_smtp_rcpt = accept_all
acl_smtp_data = accept_text
qualify_domain = peer.test
primary_hostname = peer.test
begin acl
accept_all:
  deny
    local_parts = nosuch
    message = no such user
  accept
accept_text:
  accept
begin routers
turn:
  driver = redirect
  domains = peer.test
  data = $local_part@back.test
back:
  driver = manualroute
  domains = !peer.test
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

SENDMAIL = """divert(-1)
include(`/usr/share/sendmail/cf/m4/cf.m4')
divert(0)
VERSIONID(`peer of a test')
OSTYPE(`linux')
define(`confDOMAIN_NAME', `peer.test')dnl
define(`QUEUE_DIR', `/tmp/mqueue')dnl
define(`ALIAS_FILE', `/tmp/aliases')dnl
define(`STATUS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`confPID_FILE', `/tmp/sendmail.pid')dnl
define(`confTO_IDENT', `0s')dnl
define(`confMAX_DAEMON_CHILDREN', `20')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupReadableSASLDBFile,WorldWritableAliasFile,GroupWritableAliasFile,GroupWritableDirPathSafe')dnl
FEATURE(`nocanonify')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`promiscuous_relay')dnl
define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl
define(`SMTP_MAILER_ARGS', `TCP $h {ours}')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {ours}')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {ours}')dnl
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA')dnl
LOCAL_DOMAIN(`peer.test')dnl
MAILER(smtp)dnl
MAILER(local)dnl
"""

OPENSMTPD = """table aliases file:/tmp/aliases
smtp max-message-size "35M"
listen on 127.0.0.1 port {port} hostname peer.test
action "turn" expand-only alias <aliases>
action "back" relay host smtp://127.0.0.1:{ours} helo peer.test
match from any for domain "peer.test" action "turn"
match from any for domain "back.test" action "back"
match from any for any action "back"
"""


def exim(root, port, ours):
    root.unpack_package("exim4-daemon-light")
    root.unpack_package("exim4-base")
    root.write("/etc/exim4/exim4.conf", EXIM.format(port=port, ours=ours))
    root.run("mkdir -p -m 777 /tmp/spool /tmp/log; chmod 777 /tmp/spool /tmp/log; grep -q ^Debian-exim: /etc/passwd || "
             "useradd -r -s /bin/false Debian-exim; chown -R Debian-exim /tmp/spool /tmp/log")
    return ["exim4", "-bdf", "-q10s"]


def sendmail(root, port, ours):
    for package in ("libldap-2.5-0", "liblockfile1", "libnsl2", "libwrap0", "libsasl2-2", "libdb5.3", "sendmail-base", "sendmail-cf", "sendmail-bin", "m4"):
        root.unpack_package(package)
    root.write("/tmp/sendmail.mc", SENDMAIL.replace("{port}", str(port)).replace("{ours}", str(ours)))
    root.write("/tmp/aliases", "".join(f"{u}: {u}@back.test\n" for u in ALIASES) + "postmaster: root\nMAILER-DAEMON: root\nroot: /dev/null\n")
    # A host without a full name makes Sendmail wait for a minute.
    root.run("hostname peer.test; echo 127.0.0.1 peer.test localhost > /etc/hosts; mkdir -p -m 700 /tmp/mqueue; for u in smmta smmsp; do grep -q ^$u: /etc/passwd || useradd -r -s /bin/false $u; done; "
             "m4 /tmp/sendmail.mc > /tmp/sendmail.cf; chmod 755 /tmp; chmod 644 /tmp/sendmail.cf")
    program = "/usr/libexec/sendmail/sendmail" if root.exists("/usr/libexec/sendmail/sendmail") else "/usr/lib/sm.bin/sendmail"
    root.run([program, "-C", "/tmp/sendmail.cf", "-bi"])
    return [program, "-C", "/tmp/sendmail.cf", "-bD", "-q10s"]


def opensmtpd(root, port, ours):
    for package in ("libevent-2.1-7", "libdb5.3", "opensmtpd"):
        root.unpack_package(package)
    root.write("/tmp/smtpd.conf", OPENSMTPD.format(port=port, ours=ours))
    root.write("/tmp/aliases", "".join(f"{u}: {u}@back.test\n" for u in ALIASES))
    root.run("for u in opensmtpd opensmtpq; do grep -q ^$u: /etc/passwd || useradd -r -d /var/lib/opensmtpd/empty -s /bin/false $u; done; "
             "chmod 644 /tmp/smtpd.conf /tmp/aliases; echo peer.test > /etc/mailname; mkdir -p /var/lib/opensmtpd/empty; chmod 711 /var/lib/opensmtpd; "
             "chown root:root /var/lib/opensmtpd/empty; mkdir -p -m 711 /var/spool/smtpd")
    return ["smtpd", "-d", "-f", "/tmp/smtpd.conf"]


PEERS = {"exim": exim, "sendmail": sendmail, "opensmtpd": opensmtpd}


class Exchange:
    def __init__(self, server, root, process, log):
        self.server, self.root, self.process, self.log_file = server, root, process, log

    def send(self, sender, recipients, text, mail=(), rcpt=()):
        with smtplib.SMTP("127.0.0.1", self.server.port, timeout=60) as client:
            client.sendmail(sender, recipients, text, mail, rcpt)

    def arrived(self, subject, count=1, seconds=60):
        pattern = f"\nSubject: {subject}\n".encode()

        def found():
            mail = [m for m in self.server.mailbox() if pattern in m and b"multipart/report" not in m.split(b"\n\n")[0]]
            return len(mail) >= count and mail
        try:
            return wait_until(found, seconds, f"{count} of {subject!r}")
        except AssertionError as error:
            with open(self.log_file, encoding="utf-8", errors="replace") as file:
                said = file.read() + self.root.run("cat /tmp/log/*log", check=False).stdout
            raise AssertionError(f"{error}\n{self.server.log()[-3000:]}\n{said[-3000:]}") from None


def answers(port):
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(params=sorted(PEERS))
def peer(request, make_instance, tmp_path):
    port, ours = free_port(), free_port()
    with PrivateRoot(network=False) as root:
        argv = PEERS[request.param](root, port, ours)
        server = make_instance([f"transport_maps = inline:{{peer.test=smtp:[127.0.0.1]:{port}}}", "virtual_alias_domains = back.test",
                                f"virtual_alias_maps = inline:{{@back.test={USER}@localhost}}", "myhostname = ours.test", "smtpd_peername_lookup = no",
                                "mynetworks = 127.0.0.0/8", "mydestination = localhost ours.test"], start=False)
        # The peer was told our port before there was an instance.
        with open(f"{server.etc}/master.cf", encoding="utf-8") as file:
            text = file.read()
        with open(f"{server.etc}/master.cf", "w", encoding="utf-8") as file:
            file.write(re.sub(rf"^{server.port} ", f"{ours} ", text, flags=re.M))
        server.port = ours
        server.start()
        log = tmp_path / "peer.log"
        with open(log, "wb") as out:
            process = root.popen(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: answers(port) or process.poll() is not None, 30, "the peer")
            assert process.poll() is None, log.read_text()
            yield Exchange(server, root, process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_there_and_back(peer):
    """8-bit bodies byte for byte, the null sender, a hundred recipients, reports of success and failure."""
    body = b"".join(b"line %d\n.%d\n..%d\nFrom here\n" % (i, i, i) for i in range(300)) + b"\xc3\xa9 8-bit \xe9\xff\n" + b"x" * 990 + b"\n.\n\nend\n"
    text = b"From: s@a.test\nSubject: bytes\n\n" + body
    peer.send("s@a.test", ["u1@peer.test"], text.replace(b"\n", b"\r\n"), mail=["BODY=8BITMIME"])
    mail = peer.arrived("bytes")[0]
    assert mail.split(b"\n\n", 1)[1] == body
    assert b"Return-Path: <s@a.test>\n" in mail and len(re.findall(rb"^Received: ", mail, re.M)) >= 3
    peer.server.wait_log(r"to=<u1@peer\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*dsn=2\.0\.0, status=sent \(250 ")

    peer.send("", ["u2@peer.test"], "Subject: null\r\n\r\nx\r\n")
    assert b"Return-Path: <>\n" in peer.arrived("null")[0]

    peer.send("s@a.test", [f"{u}@peer.test" for u in USERS], "Subject: hundred\r\n\r\nx\r\n")
    mails = peer.arrived("hundred", RECIPIENTS)
    assert {re.search(rb"X-Original-To: (\S+)@back\.test", m)[1].decode() for m in mails} == set(USERS)
    assert len(mails) == RECIPIENTS

    peer.send(f"{USER}@ours.test", ["u3@peer.test"], "Subject: success\r\n\r\nx\r\n", mail=["ENVID=QQ31", "RET=HDRS"], rcpt=["NOTIFY=SUCCESS,FAILURE"])
    peer.arrived("success")

    def report():
        for m in peer.server.mailbox():
            parsed = email.message_from_bytes(m)
            if parsed.get_content_type() == "multipart/report" and b"u3@" in m:
                return parsed
        return None
    # From us ("relayed": the peer has no DSN), or from the peer or us at the end of the way.
    assert wait_until(report, 30, "a report of success")

    peer.send(f"{USER}@ours.test", ["nosuch@peer.test"], "Subject: failure\r\n\r\nx\r\n")
    wait_until(lambda: any(b"nosuch@peer.test" in m and b"multipart/report" in m for m in peer.server.mailbox()), 30,
               "a report of failure\n" + peer.server.log()[-2000:])
    peer.server.wait_empty()
