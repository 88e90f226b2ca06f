"""A queue that Postfix left is listed, shown and delivered by us, and the other way round after a clean stop. Both live in private roots of
their own with one and the same queue directory, one after the other."""
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from instance import wait_until
from reference import side_by_side

MAIN = ["myhostname = mx.lab.test", "mydestination = mx.lab.test", "smtputf8_enable = yes", "smtpd_recipient_limit = 100",
        "minimal_backoff_time = 1000s", "maximal_backoff_time = 1000s", "queue_run_delay = 1000s", "recipient_delimiter = +"]
# 127.0.0.1 has no server behind port 1; the port of "hang" accepts and says nothing.
WAITS = "transport_maps = inline:{later.test=smtp:[127.0.0.1]:1, hang.test=smtp:[127.0.0.1]:4225, gone.test=error:nobody}"
ARRIVES = "transport_maps = inline:{later.test=local:, hang.test=local:, lab.test=discard:}"

PLAIN = "From: s@lab.test\nSubject: plain\n\nhello\n"
SUBMISSIONS = [  # name, options of sendmail, message
    ("plain", ["-f", "s@lab.test", "alice@later.test"], PLAIN),
    ("two", ["-f", "s@lab.test", "alice@later.test", "bob@later.test"], PLAIN),
    ("null sender", ["-f", "", "alice@later.test"], "Subject: null\n\nx\n"),
    ("dsn", ["-f", "s@lab.test", "-V", "ENV42", "-R", "hdrs", "-N", "delay,failure", "bob@later.test"], PLAIN),
    ("8 bit", ["-f", "s@lab.test", "-B", "8BITMIME", "alice@later.test"],
     "Subject: eight\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\u00fc\u00dfe\n"),
    ("long lines", ["-f", "s@lab.test", "alice@later.test"], "Subject: long\n\n" + "x" * 5000 + "\n" + "y" * 2048 + "\n" + "z" * 2047 + "\n"),
    ("no end", ["-f", "s@lab.test", "alice@later.test"], "Subject: open\n\nlast line without end"),
    ("dots", ["-i", "-f", "s@lab.test", "alice@later.test"], "Subject: dots\n\n.\n..\nFrom here\n>From there\n\n\n"),
    ("quoted", ["-f", "", '"a b"@later.test', "alice+x@later.test"], PLAIN),
    ("full name", ["-f", "s@lab.test", "-F", "A. N. Other", "alice@later.test"], "Subject: name\n\nx\n"),
]


class Silent:
    """Accepts and says nothing, inside a root's network."""

    def __init__(self, root):
        self.process = root.popen(["python3", "-c", "import socket, time\ns = socket.create_server(('127.0.0.1', 4225))\nk = []\n"
                                   "print('ready', flush=True)\nwhile True: k.append(s.accept())"], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"


@pytest.fixture
def pair():
    """Postfix and ours over one queue directory."""
    spool = tempfile.mkdtemp(prefix="handover-")
    os.chmod(spool, 0o755)
    try:
        with side_by_side(binds=[(spool, "var/spool/postfix")]) as systems:
            owners = {system.root.run(["id", "-u", "postfix"]).stdout for system in systems}
            assert len(owners) == 1, "the roots give the account different numbers"
            yield systems
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def queued_files(system, *queues):
    found = {}
    for queue in queues:
        for path in glob.glob(f"{system.queue}/{queue}/**", recursive=True):
            if os.path.isfile(path) and os.path.getsize(path) > 0:
                found[os.path.basename(path)] = path
    return found


def submit(system, options, text):
    return system.root.run(["sendmail", *options], input=text.encode(), text=False)


def fill(system):
    """Mail of all kinds; ids by what it is."""
    ids = {}

    def newest(name, *queues):
        wait_until(lambda: set(queued_files(system, *queues)) - set(ids.values()), 30, f"{name}\n{system.log()[-2000:]}")
        ids[name] = (set(queued_files(system, *queues)) - set(ids.values())).pop()

    for name, options, text in SUBMISSIONS:
        submit(system, options, text)
        newest(name, "deferred")
    with system.smtp() as client:
        client.ehlo("c.test")
        utf8 = client.has_extn("smtputf8")
        dsn = client.has_extn("dsn")
        client.mail("s\u00e9nder@lab.test" if utf8 else "sender@lab.test",
                    ["SMTPUTF8"] * utf8 + ["BODY=8BITMIME"] + ["ENVID=E+3D1", "RET=FULL"] * dsn)
        client.rcpt("alice@later.test", ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Alice@old.test"] * dsn)
        assert client.data("Subject: Gr\u00fc\u00dfe\r\n\r\nutf8\r\n".encode())[0] == 250
    newest("utf8", "deferred")
    submit(system, ["-f", "s@lab.test", "alice@later.test"], "Subject: held\n\nheld\n")
    newest("held", "deferred")
    system.command("postsuper", "-h", ids["held"])
    submit(system, ["-f", "s@lab.test", "alice@later.test"], "Subject: corrupt\n\ncorrupt\n")
    newest("corrupt", "deferred")
    # One recipient has failed, and its sender does not know it yet.
    submit(system, ["-f", "bob@later.test", "alice@hang.test", "nobody@gone.test"], "Subject: active\n\nactive\n")
    newest("active", "active")
    wait_until(lambda: ids["active"] in queued_files(system, "bounce"))
    return ids


def configure(system, *lines):
    system.configure(MAIN + list(lines))


def listing(system):
    return system.command("postqueue", "-p").stdout


def shown(system, queue_id):
    return [system.command("postcat", *options, queue_id).stdout for options in
            (["-q"], ["-hq"], ["-bq"], ["-hbq"], ["-eq"], ["-oq"], ["-dq"], ["-voq"])]


def content(system, queue_id):
    return system.root.run(["postcat", "-hbq", queue_id], text=False).stdout


def json_listing(system):
    return [json.loads(line) for line in system.command("postqueue", "-j").stdout.splitlines()]


def truncate(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 2)


def kill_all(system):
    for pid in system.processes("master") + [p for p in system.processes() if p not in system.processes("python3")]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def body_of(message):
    """A delivered message without what the delivery agent put in front of it."""
    lines = message.split(b"\n")
    while lines[0].split(b":")[0] in (b"Return-Path", b"X-Original-To", b"Delivered-To"):
        del lines[0]
    return b"\n".join(lines)


def delivered(system):
    """Without the notice about nobody@gone.test."""
    messages = sorted(body_of(m) for user in ("alice", "bob") for m in system.mailbox(user))
    return [m for m in messages if b"Undelivered Mail Returned" not in m]


def notices(system):
    return [m for m in system.mailbox("bob") if b"Undelivered Mail Returned" in m]


def start_as_taker(system):
    configure(system, ARRIVES)
    system.start()
    system.command("postqueue", "-f")


EXPECT = {"two": 2}  # alice and bob; all others one ("a b" is no user: that recipient fails)


@pytest.mark.parametrize("settings", [(), ("enable_long_queue_ids = yes",),
                                      ("hash_queue_names = deferred, defer, incoming, active, hold", "hash_queue_depth = 2", "delay_warning_time = 1h")],
                         ids=["short", "long", "hashed"])
def test_what_postfix_left_is_listed_shown_and_delivered(pair, settings):
    postfix, ours = pair
    Silent(postfix.root)
    configure(postfix, WAITS, *settings)
    postfix.start()
    ids = fill(postfix)
    kill_all(postfix)
    wait_until(lambda: not postfix.processes("qmgr"))
    submit(postfix, ["-f", "s@lab.test", "bob@later.test"], "Subject: dropped\n\ndropped while down\n")
    truncate(queued_files(postfix, "deferred")[ids["corrupt"]])
    good = {name: queue_id for name, queue_id in ids.items() if name != "corrupt"}
    # Ours reads with the settings of Postfix: the same in every byte.
    configure(ours, WAITS, *settings)
    assert listing(ours) == listing(postfix)
    assert json_listing(ours) == json_listing(postfix)
    for name, queue_id in good.items():
        for theirs, mine in zip(shown(postfix, queue_id), shown(ours, queue_id)):
            assert mine == theirs, name
    expected = sorted(content(postfix, queue_id) for name, queue_id in good.items() for _ in range(EXPECT.get(name, 1)) if name != "held")
    held = content(postfix, ids["held"])
    # Delivered by ours.
    start_as_taker(ours)
    count = len(expected) + 1
    wait_until(lambda: len(delivered(ours)) >= count, 40, f"{count} messages")
    got = delivered(ours)
    dropped = [m for m in got if b"dropped while down" in m]
    assert len(dropped) == 1
    got.remove(dropped[0])
    assert got == expected
    wait_until(lambda: notices(ours), 20, "the notice")
    assert len(notices(ours)) == 1 and b"<nobody@gone.test>: nobody" in notices(ours)[0]
    ours.wait_log(rf"warning: {ids['corrupt']}: message rejected: missing end record")
    assert ids["corrupt"] in queued_files(ours, "corrupt")
    assert ids["held"] in queued_files(ours, "hold")
    ours.command("postsuper", "-H", ids["held"])
    ours.command("postqueue", "-f")
    wait_until(lambda: held in delivered(ours))
    wait_until(lambda: not queued_files(ours, "deferred", "active", "incoming", "maildrop", "hold"), 20,
               f"an empty queue\n{listing(ours)}")
    assert set(queued_files(ours, "defer")) <= {ids["corrupt"]}, "logs go with their messages"


@pytest.mark.parametrize("settings", [("enable_long_queue_ids = yes",)], ids=["long"])
def test_what_we_left_is_listed_shown_and_delivered_by_postfix(pair, settings):
    postfix, ours = pair
    Silent(ours.root)
    configure(ours, WAITS, *settings)
    ours.start()
    ids = fill(ours)
    ours.stop()
    assert not ours.processes("qmgr")
    submit(ours, ["-f", "s@lab.test", "bob@later.test"], "Subject: dropped\n\ndropped while down\n")
    del ids["corrupt"]
    configure(postfix, WAITS, *settings)
    assert listing(ours) == listing(postfix)
    assert json_listing(ours) == json_listing(postfix)
    for name, queue_id in ids.items():
        for theirs, mine in zip(shown(postfix, queue_id), shown(ours, queue_id)):
            assert mine == theirs, name
    expected = sorted(content(ours, queue_id) for name, queue_id in ids.items() for _ in range(EXPECT.get(name, 1)) if name != "held")
    start_as_taker(postfix)
    wait_until(lambda: len(delivered(postfix)) >= len(expected) + 2, 40)
    got = delivered(postfix)
    assert [m for m in got if b"dropped while down" not in m and b"Subject: corrupt" not in m] == expected
    postfix.command("postsuper", "-H", ids["held"])
    postfix.command("postqueue", "-f")
    wait_until(lambda: not queued_files(postfix, "deferred", "active", "incoming", "maildrop", "hold"), 30)
