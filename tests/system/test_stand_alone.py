"""sendmail -bs: SMTP on standard input and output, beside the reference; the mail system is down, so that the records are there to look at."""
import re
import subprocess

import pytest

from instance import BIN, USER
from reference import side_by_side
from test_sendmail_options import run

HELLO = "EHLO x.test\r\n"
MESSAGE = "MAIL FROM:<s@a.test>\r\nRCPT TO:<alice>\r\nRCPT TO:<bob@b.test>\r\nDATA\r\nSubject: x\r\n\r\n..hi\r\n.\r\n"

DIALOGUES = {
    "message": HELLO + MESSAGE + "QUIT\r\n",
    "line feeds": (HELLO + MESSAGE + "QUIT\r\n").replace("\r\n", "\n"),
    "two messages": HELLO + MESSAGE + MESSAGE.replace("alice", "carol") + "QUIT\r\n",
    "helo": "HELO x.test\r\n" + MESSAGE,
    "no greeting": MESSAGE + "QUIT\r\n",
    "parameters": HELLO + "MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<b@b.test> NOTIFY=NEVER ORCPT=rfc822;q@z\r\n"
                  "DATA\r\n\r\n.\r\nQUIT\r\n",
    "long line": HELLO + MESSAGE.replace("..hi", "y" * 5000) + "QUIT\r\n",
    "nothing": "",
    "broken off": HELLO + MESSAGE[:-3],
    "other commands": HELLO + "VRFY nosuch\r\nVRFY a@b\r\nXFORWARD NAME=x\r\nXCLIENT NAME=y\r\nNOOP\r\nRSET\r\nRCPT TO:<x>\r\nDATA\r\nFOO\r\n",
    "etrn": HELLO + "ETRN foo.test\r\nQUIT\r\n",
    "another protocol": "GET / HTTP\r\n",
    "bad addresses": HELLO + "MAIL FROM:x y\r\nMAIL\r\nMAIL FROM:<s@a.test>\r\nRCPT TO:<>\r\nRCPT\r\nQUIT\r\n",
    "too big": HELLO + MESSAGE.replace("..hi", ("z" * 70 + "\r\n") * 300) + "QUIT\r\n",
    "too many errors": "FOO\r\n" * 6,
}


@pytest.fixture(scope="module")
def both():
    with side_by_side() as systems:
        for system in systems:
            system.configure(["myhostname = mx.lab.test", "smtpd_error_sleep_time = 0", "smtpd_hard_error_limit = 6",
                              "message_size_limit = 20000", "mail_name = Mail", "smtpd_recipient_restrictions = reject",
                              "smtpd_discard_ehlo_keywords = chunking, silent-discard", "smtpd_timeout = 2s"])
            system.start()
            system.stop()
        yield systems


def masked(result):
    """Queue ids and times of day are nobody's fault."""
    text = re.sub(r"\b[0-9A-F]{6,}\b", "ID", repr(result))
    return re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d", "TIME", text)


@pytest.mark.parametrize("name", DIALOGUES)
def test_the_answers_and_the_mail_are_those_of_the_reference(both, name):
    reference, ours = both
    for user in ("alice", "root"):
        mine, other = (run(system, ["-bs"], DIALOGUES[name], user) for system in (ours, reference))
        if name == "too big":  # its postdrop complains that no message came to an end
            assert other.pop("errors") == "postdrop: warning: mail_stream_cleanup: close error\n" and mine.pop("errors") == ""
        assert masked(mine) == masked(other), (name, user)
        assert "220 mx.lab.test ESMTP Mail" in mine["output"]
        assert len(mine["records"]) == mine["output"].count("queued as")


def test_what_a_notice_shows_is_kept(both):
    """RET and ENVID (RFC 3461), which the reference forgets here."""
    text = DIALOGUES["parameters"].replace("8BITMIME", "8BITMIME RET=HDRS ENVID=abc")
    reference, ours = (run(system, ["-bs"], text)["records"][0] for system in both)
    assert ours[:2] == ["Aenvelope_id=abc", "Aret_flags=2"] and not set(ours[:2]) & set(reference)


def test_a_silent_caller_is_told_and_left(both):
    results = [system.root.run("su alice -s /bin/sh -c '(echo EHLO x; sleep 4) | sendmail -bs; echo status $?'", check=False).stdout
               for system in both]
    assert results[0] == results[1] and results[1].endswith("421 4.4.2 mx.lab.test Error: timeout exceeded\nstatus 0\n")


def test_standard_input_waits_as_before(both):
    """Its state is shared with who gave it: a shell's terminal must not be left without waiting."""
    done = both[1].root.run(["python3", "-c", """import fcntl, os, subprocess
for flag in (0, os.O_NONBLOCK):
    a, b = os.pipe()
    os.write(b, b"QUIT\\r\\n")
    fcntl.fcntl(a, fcntl.F_SETFL, flag)
    subprocess.run(["/usr/sbin/sendmail", "-bs"], stdin=a, stdout=subprocess.DEVNULL, check=True)
    print(fcntl.fcntl(a, fcntl.F_GETFL) & os.O_NONBLOCK)
"""])
    assert done.stdout == "0\n2048\n"


def test_mail_belongs_to_who_ran_the_command(both):
    ours = both[1]
    ours.start()
    try:
        for user, uid in (("alice", ours.root.run(["id", "-u", "alice"]).stdout.strip()), ("root", "0")):
            done = ours.root.run(["/usr/sbin/sendmail", "-bs"], user=user, input=DIALOGUES["message"])
            queue_id = re.search(r"queued as (\w+)", done.stdout)[1]
            assert queue_id
            ours.wait_log(rf"pickup\[\d+\]: [0-9A-F]+: uid={uid} from=<s@a\.test>")
        mail = ours.wait_mail(2, user="alice")
        assert b"\nReceived: from x.test (localhost [127.0.0.1])\n\tby mx.lab.test (Mail) with ESMTP id " in mail[0]
    finally:
        ours.stop()


def test_when_postdrop_fails_the_client_is_put_off(both):
    ours = both[1]
    ours.root.run("mv /usr/sbin/postdrop /usr/sbin/postdrop.away")
    try:
        done = ours.root.run(["/usr/sbin/sendmail", "-bs"], user="alice", input=HELLO + MESSAGE + "QUIT\r\n", check=False)
    finally:
        ours.root.run("mv /usr/sbin/postdrop.away /usr/sbin/postdrop")
    assert "451 4.3.0 Error: queue file write error" in done.stdout and "queued as" not in done.stdout


def test_an_instance_of_one_user(instance):
    """Also with the names as they come to a program: MAIL_CONFIG."""
    done = subprocess.run([f"{BIN}/sendmail", "-C", instance.etc, "-bs"], input=HELLO + MESSAGE.replace("alice", USER).replace("b.test", "localhost")
                          .replace("bob", USER) + "QUIT\r\n", capture_output=True, text=True, timeout=30, check=True)
    assert "queued as" in done.stdout
    assert b"\nSubject: x\n" in instance.wait_mail()[0]
