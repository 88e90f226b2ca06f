"""Mailbox files: what is written, who makes and locks them, and what happens when that is not possible."""
import fcntl
import os
import re
import subprocess
import time

import pytest

from instance import USER, wait_until
from root_instance import MAIL_GROUP, USERS, RootInstance

QUICK = ["deliver_lock_attempts = 2", "deliver_lock_delay = 1s"]
TEXT = "From: s@a.test\r\nSubject: box\r\n\r\nFrom the start\r\n>From here\r\n from\r\nend\r\n"
FROM = rb"From s@a\.test  \w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\n"


def submit(server, *recipients, sender="s@a.test", text=TEXT):
    with server.smtp() as client:
        client.sendmail(sender, [r if "@" in r else f"{r}@localhost" for r in recipients], text)


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def spool(make_instance):
    """make(lines) gives an instance whose spool directory holds mailbox files, and the path of ours."""
    def make(*lines, start=True):
        server = make_instance([*lines, "smtpd_peername_lookup = no", "minimal_backoff_time = 2s", "maximal_backoff_time = 2s",
                                "queue_run_delay = 1s"], start=False)
        server.configure([f"mail_spool_directory = {server.directory}/mail"])
        if start:
            server.start()
        return server, f"{server.directory}/mail/{USER}"
    return make


def test_a_mailbox_file(spool):
    server, path = spool()
    submit(server, USER)
    server.wait_log(r"relay=local,.*dsn=2\.0\.0, status=sent \(delivered to mailbox\)$")
    text = read(path)
    assert re.match(FROM + rb"Return-Path: <s@a\.test>\nX-Original-To: [^\n]+\nDelivered-To: [^\n]+\nReceived: ", text), text
    assert text.endswith(b"\n\n>From the start\n>From here\n from\nend\n\n"), text
    assert os.stat(path).st_mode & 0o7777 == 0o600
    assert not os.path.exists(path + ".lock")
    submit(server, USER, sender="")
    server.wait_log("status=sent", count=2)
    second = read(path)
    assert second.startswith(text)
    assert second[len(text):].startswith(b"From MAILER-DAEMON  ")
    assert len(re.findall(rb"^From ", second, re.M)) == 2


def test_a_message_without_final_line_end_and_a_long_line(spool):
    server, path = spool()
    long = "From " + "x" * 5000
    server.sendmail(f"Subject: l\n\n{long}\nFrom the end", USER)
    server.wait_log("delivered to mailbox")
    assert read(path).endswith(f"\n\n>{long}\n>From the end\n\n".encode())


def test_home_mailbox_as_file_and_as_maildir():
    server = RootInstance(["home_mailbox = Mailbox"])
    try:
        server.start()
        server.deliver("victim")
        server.wait_log(r"to=<victim@localhost>.*delivered to mailbox")
        status = os.stat(server.home("victim") + "/Mailbox")
        assert (status.st_uid, status.st_mode & 0o7777) == (USERS["victim"], 0o600)
        server.configure(["home_mailbox = Maildir/"])
        server.reload()
        server.deliver("victim")
        server.wait_log(r"to=<victim@localhost>.*delivered to maildir")
        assert len(os.listdir(server.home("victim") + "/Maildir/new")) == 1
    finally:
        server.destroy()


def test_the_spool_file_is_made_by_root_and_belongs_to_the_user():
    server = RootInstance()
    try:
        server.start()
        server.deliver("victim")
        server.wait_log("delivered to mailbox")
        status = os.stat(f"{server.spool}/victim")
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (USERS["victim"], MAIL_GROUP, 0o600)
        assert os.listdir(server.spool) == ["victim"]
        # As with Postfix: what root gets is his own.
        server.deliver("root")
        server.wait_log(r"to=<root@localhost>.*delivered to mailbox")
        assert os.stat(f"{server.spool}/root").st_uid == 0
    finally:
        server.destroy()


def test_mailbox_size_limit_leaves_the_file_as_it_was(spool):
    server, path = spool("mailbox_size_limit = 30000", "message_size_limit = 20000")
    big = "Subject: big\r\n\r\n" + ("z" * 900 + "\r\n") * 20
    submit(server, USER, text=big)
    server.wait_log("delivered to mailbox")
    before = read(path)
    submit(server, USER, sender="nobody@discard.test", text=big)
    server.wait_log(r"dsn=5\.2\.2, status=bounced \(cannot update mailbox \S+ for user \S+ error writing message: File too large\)")
    assert read(path) == before


def test_a_full_disk_leaves_the_file_as_it_was(spool):
    server, path = spool(start=False)
    mail = f"{server.directory}/mail"
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mail], check=False).returncode:
        pytest.skip("cannot mount a small file system")
    try:
        with open(path, "wb") as file:
            file.write(b"From a  Thu Jan  1 00:00:00 1970\n\nold\n\n")
        before = read(path)
        server.start()
        submit(server, USER, text="Subject: big\r\n\r\n" + ("z" * 900 + "\r\n") * 200)
        server.wait_log(r"dsn=4\.3\.1, status=deferred \(cannot update mailbox .*No space left on device\)")
        assert read(path) == before
        server.stop()
    finally:
        subprocess.run(["umount", mail], check=True)


def hold_fcntl(path):
    """Another process holds the lock until its end."""
    script = f"import fcntl,time\nf=open({path!r},'a')\nfcntl.lockf(f, fcntl.LOCK_EX)\nprint('held',flush=True)\ntime.sleep(100)\n"
    process = subprocess.Popen(["python3", "-c", script], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_fcntl_lock_is_waited_for(spool):
    server, path = spool(*QUICK)
    open(path, "wb").close()
    holder = hold_fcntl(path)
    try:
        submit(server, USER)
        server.wait_log(r"dsn=4\.2\.0, status=deferred \(cannot update mailbox \S+ for user \S+\. "
                        r"unable to lock for exclusive access: Resource temporarily unavailable\)")
        assert read(path) == b"" and not os.path.exists(path + ".lock")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    server.wait_log("delivered to mailbox")


def test_flock_lock_only_when_asked(spool):
    server, path = spool(*QUICK)
    with open(path, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        submit(server, USER)
        server.wait_log("delivered to mailbox")
        server.configure(["mailbox_delivery_lock = flock"])
        server.reload()
        submit(server, USER)
        server.wait_log("unable to lock for exclusive access")


def test_dotlock_is_waited_for_and_removed_when_stale(spool):
    server, path = spool("deliver_lock_attempts = 2", "deliver_lock_delay = 2s", "stale_lock_time = 100s")
    open(path + ".lock", "w").close()
    started = time.monotonic()
    submit(server, USER)
    server.wait_log(r"unable to create lock file \S+\.lock: File exists")
    assert 1.5 < time.monotonic() - started < 6  # two attempts, one wait
    os.utime(path + ".lock", (time.time() - 101,) * 2)
    server.wait_log("delivered to mailbox")
    assert not os.path.exists(path + ".lock")


def test_luser_relay_takes_mail_for_nobody(spool):
    server, path = spool("local_recipient_maps =", f"luser_relay = {USER}+$user", "recipient_delimiter = +")
    submit(server, "nosuch+ext")
    server.wait_log(rf"to=<{USER}\+nosuch@\S+>, orig_to=<nosuch\+ext@localhost>.*delivered to mailbox")
    assert b"\nDelivered-To: nosuch+ext@localhost\n" in read(path)


def test_extension_goes_along_with_alias(make_instance):
    server = make_instance(["recipient_delimiter = +", "propagate_unmatched_extensions = alias"], start=False)
    with open(f"{server.etc}/aliases", "a", encoding="utf-8") as file:
        file.write(f"team: {USER}\n")
    server.start()
    submit(server, "team+x")
    server.wait_log(rf"to=<{USER}\+x@\S+>, orig_to=<team\+x@localhost>.*status=sent")


def test_virtual_mailbox_file_and_its_lock(make_instance):
    server = make_instance([*QUICK, "virtual_mailbox_domains = vmail.test", "minimal_backoff_time = 1s", "queue_run_delay = 1s",
                            "maximal_backoff_time = 1s", "virtual_mailbox_maps = inline:{v1@vmail.test=box}"], start=False)
    server.configure([f"virtual_mailbox_base = {server.directory}/mail"])
    server.start()
    path = f"{server.directory}/mail/box"
    submit(server, "v1@vmail.test")
    server.wait_log(r"to=<v1@vmail\.test>, relay=virtual.*status=sent \(delivered to mailbox\)")
    assert re.match(FROM + rb"Return-Path: <s@a\.test>\nX-Original-To: v1@vmail\.test\nDelivered-To: v1@vmail\.test\n", read(path))
    server.configure(["virtual_mailbox_lock = flock"])
    server.reload()
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        submit(server, "v1@vmail.test")
        server.wait_log(r"delivery failed to mailbox \S+: unable to lock for exclusive access")


def test_virtual_mailbox_with_ids_from_tables():
    server = RootInstance(["virtual_mailbox_domains = vmail.test", "virtual_uid_maps = inline:{{v1@vmail.test=64112} {v2@vmail.test=64150}}",
                           "virtual_gid_maps = static:64120", "virtual_mailbox_maps = inline:{{v1@vmail.test=v1} {v2@vmail.test=v2}}",
                           "virtual_minimum_uid = 64112"])
    try:
        vmail = f"{server.directory}/vmail"
        os.mkdir(vmail)
        os.chmod(vmail, 0o777)
        server.configure([f"virtual_mailbox_base = {vmail}"])
        server.start()
        submit(server, "v1@vmail.test", "v2@vmail.test")
        server.wait_log("delivered to mailbox", count=2)
        status = [os.stat(f"{vmail}/{name}") for name in ("v1", "v2")]
        assert [(s.st_uid, s.st_gid) for s in status] == [(64112, 64120), (64150, 64120)]
        server.configure(["virtual_minimum_uid = 64150"])
        server.reload()
        submit(server, "v1@vmail.test")
        server.wait_log(r"recipient v1@vmail\.test: bad uid 64112 in virtual_uid_maps")
    finally:
        server.destroy()
