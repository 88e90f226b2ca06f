"""The LMTP client: what a scripted server hears, what becomes of each recipient, and Dovecot as a real one."""
import os
import re
import shutil
import subprocess
import time

import pytest

from fake_smtp import CLOSE, HANG, FakeSMTP, Then
from instance import USER, Stopped, free_port, wait_until

MAIN = ["myhostname = mx.lab.test", "mydestination = localhost", "mynetworks = 127.0.0.0/8", "smtpd_peername_lookup = no",
        "relay_domains = store.test", "minimal_backoff_time = 300s", "service_throttle_time = 1s"] \
    + [f"lmtp_{phase}_timeout = 2s" for phase in ("lhlo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "rset", "quit")]
ROW = "lmtp unix - - n - - lmtp"
TEXT = "From: s@a.test\r\nSubject: lmtp\r\n\r\n.dot\r\nbody\r\n"
AGAIN = "sending end of data -- message may be sent more than once"


def replies(*lines):
    return "".join(line + "\r\n" for line in lines).encode()


@pytest.fixture
def store(make_instance):
    """make(main, host=..., **script): an instance whose store.test goes to a scripted LMTP server."""
    servers = []

    def make(*main, host="127.0.0.1", nexthop=None, **script):
        fake = FakeSMTP(host, **script)
        servers.append(fake)
        where = nexthop or (f"unix:{host}" if host.startswith("/") else f"inet:{host}:{fake.port}")
        return make_instance([*MAIN, f"transport_maps = inline:{{store.test=lmtp:{where}}}", *main], [ROW]), fake
    yield make
    for server in servers:
        server.close()


def submit(server, *recipients, sender="s@a.test", text=TEXT, **options):
    with server.smtp() as client:
        client.sendmail(sender, [f"{r}@store.test" for r in recipients], text, **options)


def outcome(server, user):
    return server.wait_log(rf"to=<{user}@store\.test>, .*(relay=.*)$")[1]


def test_dialogue_and_log_line(store):
    server, fake = store(data_end=lambda text, c: "250 2.0.0 <r1> Saved")
    submit(server, "r1")
    line = outcome(server, "r1")
    assert re.match(rf"relay=127\.0\.0\.1\[127\.0\.0\.1\]:{fake.port}, delay=\S+ delays=\S+ dsn=2\.0\.0, status=sent \(250 2\.0\.0 <r1> Saved\)", line)
    wait_until(lambda: "QUIT" in fake.commands)
    assert fake.commands == ["LHLO mx.lab.test", "MAIL FROM:<s@a.test>", "RCPT TO:<r1@store.test>", "DATA", "QUIT"]
    assert fake.texts[0].endswith(b"\r\n\r\n..dot\r\nbody\r\n")
    server.wait_log(r"postfix/lmtp\[\d+\]: ")


def test_unix_socket(store, tmp_path):
    server, fake = store(host=str(tmp_path / "s"), data_end="250 2.0.0 Saved")
    submit(server, "r1")
    assert outcome(server, "r1").startswith(f"relay=mx.lab.test[{tmp_path}/s], ")
    assert fake.commands[0] == "LHLO mx.lab.test"


def test_unix_socket_below_the_queue_directory(store, tmp_path):
    server, _ = store(host=str(tmp_path / "s"), nexthop="unix:private/store", data_end="250 2.0.0 Saved")
    os.symlink(tmp_path / "s", f"{server.queue}/private/store")
    submit(server, "r1")
    assert outcome(server, "r1").startswith("relay=mx.lab.test[private/store], ")


def test_nobody_listens_on_a_unix_socket(store, tmp_path):
    server, fake = store(host=str(tmp_path / "s"))
    os.unlink(tmp_path / "s")
    open(tmp_path / "s", "w").close()
    submit(server, "r1")
    assert re.match(r"relay=none, .*dsn=4\.4\.1, status=deferred \(connect to mx\.lab\.test\[\S+/s\]: Connection refused\)", outcome(server, "r1"))


def test_default_port_is_lmtp_tcp_port_and_no_mx_is_looked_up(make_instance):
    fake = FakeSMTP("127.0.0.1", data_end="250 2.0.0 Saved")
    server = make_instance([*MAIN, f"lmtp_tcp_port = {fake.port}", "transport_maps = inline:{store.test=lmtp:localhost}",
                            "lmtp_host_lookup = native", "lmtp_lhlo_name = hello.test"], [ROW])
    submit(server, "r1")
    assert "status=sent" in outcome(server, "r1")
    assert fake.commands[0] == "LHLO hello.test"
    fake.close()


def test_each_recipient_has_its_own_reply(store):
    """RFC 2033 4.2: in the order of the accepted ones."""
    server, _ = store(rcpt=lambda a, c: "550 5.1.1 nobody" if "r2" in a else "250 2.1.5 Ok",
                      data_end=replies("250 2.0.0 one", "452 4.2.2 full", "552 5.2.2 too full"))
    submit(server, "r1", "r2", "r3", "r4")
    assert "dsn=2.0.0, status=sent (250 2.0.0 one)" in outcome(server, "r1")
    assert "status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 nobody (in reply to RCPT TO command))" in outcome(server, "r2")
    assert "dsn=4.2.2, status=deferred (host 127.0.0.1[127.0.0.1] said: 452 4.2.2 full (in reply to end of DATA command))" in outcome(server, "r3")
    assert "dsn=5.2.2, status=bounced (host 127.0.0.1[127.0.0.1] said: 552 5.2.2 too full (in reply to end of DATA command))" in outcome(server, "r4")
    queued = wait_until(lambda: [m for m in server.queued() if m["queue_name"] == "deferred"])
    assert [r["address"] for r in queued[0]["recipients"]] == ["r3@store.test"]


def test_server_leaves_between_the_replies(store):
    server, _ = store(data_end=Then(replies("250 2.0.0 one"), CLOSE))
    submit(server, "r1", "r2")
    assert "status=sent" in outcome(server, "r1")
    assert f"dsn=4.4.2, status=deferred (lost connection with 127.0.0.1[127.0.0.1] while {AGAIN})" in outcome(server, "r2")


def test_server_falls_silent_between_the_replies(store):
    server, _ = store(data_end=Then(replies("250 2.0.0 one"), HANG))
    submit(server, "r1", "r2")
    assert "status=sent" in outcome(server, "r1")
    assert f"status=deferred (conversation with 127.0.0.1[127.0.0.1] timed out while {AGAIN})" in outcome(server, "r2")


@pytest.mark.parametrize("step, doing", [
    ("greeting", "receiving the initial server greeting"), ("lhlo", "performing the LHLO handshake"), ("mail", "sending MAIL FROM"),
    ("rcpt", "sending RCPT TO"), ("data", "sending DATA command"), ("data_end", AGAIN)])
def test_server_leaves_at_each_step(store, step, doing):
    server, _ = store(**{step: CLOSE})
    submit(server, "r1", "r2")
    for user in ("r1", "r2"):
        assert f"dsn=4.4.2, status=deferred (lost connection with 127.0.0.1[127.0.0.1] while {doing})" in outcome(server, user)


def test_lhlo_refused_is_not_followed_by_helo(store):
    server, fake = store(lhlo="500 5.5.1 what?")
    submit(server, "r1")
    assert "refused to talk to me: 500 5.5.1 what?" in outcome(server, "r1")
    assert [c for c in fake.commands if not c.startswith("QUIT")] == ["LHLO mx.lab.test"]


def test_all_recipients_refused_and_data_accepted_anyway(store):
    """No reply to the end of data is due then; the connection ends and nothing is sent twice."""
    server, fake = store(rcpt="550 5.1.1 nobody")
    submit(server, "r1", "r2")
    assert "status=bounced" in outcome(server, "r1")
    assert "status=bounced" in outcome(server, "r2")
    assert fake.texts == []


def test_without_pipelining_and_with_8_bit(store):
    server, fake = store(lhlo="250-fake.test\n250 8BITMIME", data_end="250 2.0.0 Saved")
    early = []
    fake.script["mail"] = lambda a, c: early.append(c.early()) or "250 2.1.0 Ok"
    body = "Subject: x\r\n\r\n\xe9t\xe9\r\n".encode("latin-1")
    submit(server, "r1", text=body, mail_options=["BODY=8BITMIME"])
    outcome(server, "r1")
    assert early == [b""]
    assert "MAIL FROM:<s@a.test> BODY=8BITMIME" in fake.commands
    assert fake.texts[0].endswith(b"\r\n\r\n\xe9t\xe9\r\n")


def test_100_recipients_with_mixed_replies(store):
    server, _ = store("lmtp_destination_recipient_limit = 100",
                      data_end=replies(*[f"250 2.0.0 n{i}" if i % 3 else f"450 4.2.0 n{i}" for i in range(100)]))
    submit(server, *[f"u{i:02}" for i in range(100)])
    server.wait_log(r"to=<u\d+@store\.test>", count=100)
    for i in range(100):
        line = outcome(server, f"u{i:02}")
        assert f"(250 2.0.0 n{i})" in line if i % 3 else f"said: 450 4.2.0 n{i} (in" in line


def test_connection_is_used_again(store):
    server, fake = store("lmtp_destination_concurrency_limit = 1", "initial_destination_concurrency = 1",
                         data_end=lambda text, c: time.sleep(0.3) or "250 2.0.0 Saved")
    with Stopped(server, "qmgr"):
        for i in range(4):
            submit(server, f"r{i}")
    server.wait_log("status=sent", count=4)
    server.wait_log("conn_use=2")
    assert len(fake.connections) < 4


# --- Dovecot ---

DOVECOT = """protocols = lmtp
base_dir = {d}/run
instance_name = test{port}
log_path = {d}/log
ssl = no
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
first_valid_uid = 1
mail_location = maildir:{d}/mail/%n
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={d}/home/%n
}}
passdb {{
  driver = static
  args = nopassword=y
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {d}/lmtp {{
    mode = 0666
  }}
}}
service stats {{
  chroot =
}}
service anvil {{
  chroot =
}}
"""


@pytest.fixture
def dovecot():
    program = shutil.which("dovecot")
    if program is None or os.geteuid() != 0 or not os.path.exists("/usr/lib/dovecot/lmtp"):
        pytest.skip("dovecot with LMTP, started by root, is not there")
    directory = f"/tmp/posthouse-dovecot-{os.getpid()}"
    os.makedirs(directory + "/mail")
    os.makedirs(directory + "/home")
    for part in ("", "/mail", "/home"):
        os.chmod(directory + part, 0o777)
    port = free_port()
    with open(f"{directory}/conf", "w", encoding="utf-8") as file:
        file.write(DOVECOT.format(d=directory, port=port))
    process = subprocess.Popen([program, "-F", "-c", f"{directory}/conf"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: os.path.exists(f"{directory}/lmtp") or process.poll() is not None, what="dovecot")
        if process.poll() is not None:
            pytest.fail("dovecot did not start: " + process.stdout.read().decode())
        yield directory, port
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("way", ["unix", "inet"])
def test_dovecot_takes_mail(make_instance, dovecot, way):
    directory, port = dovecot
    where = f"unix:{directory}/lmtp" if way == "unix" else f"inet:127.0.0.1:{port}"
    server = make_instance([*MAIN, f"transport_maps = inline:{{store.test=lmtp:{where}}}"], [ROW])
    body = "Subject: x\r\n\r\n.dot\r\n\xe9\r\n".encode("latin-1")
    submit(server, "ann", "bob", text=body, mail_options=["BODY=8BITMIME"])
    for user in ("ann", "bob"):
        assert re.search(r"dsn=2\.0\.0, status=sent \(250 2\.0\.0 .*Saved\)", outcome(server, user))
        new = f"{directory}/mail/{user}/new"
        with open(os.path.join(new, os.listdir(new)[0]), "rb") as file:
            assert file.read().replace(b"\r\n", b"\n").endswith(b"\n\n.dot\n\xe9\n")


# --- parameters: each row shows a difference between a value and the default ---

def heard(fake):
    return [c for c in fake.commands if not c.startswith("QUIT")]


SILENT = "conversation with 127.0.0.1[127.0.0.1] timed out while {0}"
TIMEOUTS = {"lmtp_lhlo_timeout": ("lhlo", "performing the LHLO handshake"), "lmtp_mail_timeout": ("mail", "sending MAIL FROM"),
            "lmtp_rcpt_timeout": ("rcpt", "sending RCPT TO"), "lmtp_data_init_timeout": ("data", "sending DATA command"),
            "lmtp_data_done_timeout": ("data_end", AGAIN)}


@pytest.mark.parametrize("name", TIMEOUTS)
def test_timeouts_of_lmtp(make_instance, name):
    step, doing = TIMEOUTS[name]
    fake = FakeSMTP("127.0.0.1", **{step: HANG})
    server = make_instance(["relay_domains = store.test", f"transport_maps = inline:{{store.test=lmtp:inet:127.0.0.1:{fake.port}}}", f"{name} = 1s"], [ROW])
    submit(server, "r1")
    assert SILENT.format(doing) in outcome(server, "r1")
    fake.close()


def test_parameters_of_lmtp(store):
    """lmtp_discard_lhlo_keywords, lmtp_connection_cache_on_demand, lmtp_destination_recipient_limit, lmtp_line_length_limit,
    lmtp_skip_5xx_greeting."""
    server, fake = store("lmtp_discard_lhlo_keywords = 8bitmime", "lmtp_destination_recipient_limit = 1", "lmtp_line_length_limit = 20",
                         "lmtp_connection_cache_on_demand = no", data_end="250 2.0.0 Saved")
    submit(server, *[f"r{i}" for i in range(8)], text="Subject: x\r\n\r\n" + "x" * 50 + "\r\n", mail_options=["BODY=8BITMIME"])
    server.wait_log("status=sent", count=8)
    assert not any("BODY=" in c for c in fake.commands)
    assert len(fake.connections) == 8 and len(fake.texts) == 8
    assert all(len(line) <= 22 for line in fake.texts[0].split(b"\r\n\r\n", 1)[1].split(b"\r\n"))
    server, fake = store("lmtp_skip_5xx_greeting = no", greeting="550 5.3.2 go away")
    submit(server, "r1")
    assert "status=bounced" in outcome(server, "r1")


def test_lmtp_fallback_relay(store):
    server, fake = store(greeting=CLOSE)
    second = FakeSMTP("127.0.0.1", data_end="250 2.0.0 Saved")
    server.configure([f"lmtp_fallback_relay = inet:127.0.0.1:{second.port}"])
    server.reload()
    submit(server, "r1")
    assert f"relay=127.0.0.1[127.0.0.1]:{second.port}, " in outcome(server, "r1")
    assert second.commands[0].startswith("LHLO ")
    second.close()
