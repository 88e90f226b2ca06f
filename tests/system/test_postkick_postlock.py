"""postlock and postkick: words and exit codes are those of 3.7."""
import fcntl
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from instance import BIN, wait_until

USAGE = "postlock: fatal: usage: postlock [-c config_dir] [-l lock_style] [-v] folder command...\n"


@pytest.fixture
def mail(make_instance):
    return make_instance(["deliver_lock_attempts = 2", "deliver_lock_delay = 1s", "mailbox_delivery_lock = flock, fcntl, dotlock"], start=False)


def postlock(mail, *arguments):
    done = mail.command("postlock", *arguments, check=False)
    return done.returncode, done.stdout, done.stderr


def test_postlock_runs_a_command_with_the_mailbox_locked(mail):
    box = f"{mail.directory}/box"
    assert postlock(mail, box, "sh", "-c", "exit 3") == (3, "", "")
    assert os.path.exists(box) and not os.path.exists(f"{box}.lock")
    status, out, _ = postlock(mail, box, "sh", "-c", f"ls {box}.lock; flock -n {box} echo free || echo taken")
    assert (status, out) == (0, f"{box}.lock\ntaken\n")
    assert postlock(mail, "-l", "dotlock", box, "flock", "-n", box, "echo", "free") == (0, "free\n", "")
    assert postlock(mail, box, "sh", "-c", "kill -9 $$")[0] == 1
    assert not os.path.exists(f"{box}.lock")
    assert postlock(mail, box, "/nonexistent") == (1, "", "postlock: fatal: execvp /nonexistent: No such file or directory\n")


def test_postlock_waits_for_others_and_gives_up(mail):
    box = f"{mail.directory}/box"
    with open(f"{box}.lock", "w", encoding="utf-8"):
        pass
    begin = time.monotonic()
    assert postlock(mail, "-l", "dotlock", box, "true") == (
        75, "", f"postlock: fatal: open file {box}: unable to create lock file {box}.lock: File exists\n")
    assert time.monotonic() - begin > 0.9
    threading.Timer(0.5, os.unlink, [f"{box}.lock"]).start()
    assert postlock(mail, "-l", "dotlock", box, "true")[0] == 0
    with open(box, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert postlock(mail, "-l", "flock", box, "true") == (
            75, "", f"postlock: fatal: open file {box}: unable to lock for exclusive access: Resource temporarily unavailable\n")


def test_postlock_usage(mail):
    assert postlock(mail) == postlock(mail, "box") == (75, "", USAGE)
    assert postlock(mail, "-x") == (75, "", "postlock: invalid option -- 'x'\n" + USAGE)
    assert postlock(mail, "-l", "foo", "box", "true") == (75, "", 'postlock: fatal: unknown mailbox_delivery_lock value "foo" in "foo"\n')
    assert postlock(mail, "/nonexistent/x", "true") == (
        75, "", "postlock: fatal: open file /nonexistent/x: unable to create lock file /nonexistent/x.lock: No such file or directory\n")


def test_postlock_unlocks_when_it_is_interrupted(mail):
    box = f"{mail.directory}/box"
    child = subprocess.Popen([f"{BIN}/postlock", "-c", mail.etc, box, "sleep", "1"])
    wait_until(lambda: os.path.exists(f"{box}.lock"))
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == 0
    assert not os.path.exists(f"{box}.lock")


def test_postkick_wakes_services(make_instance):
    mail = make_instance(["transport_maps = inline:{later.test=retry:4.4.1}", "minimal_backoff_time = 1h", "maximal_backoff_time = 2h"])
    mail.sendmail("Subject: x\n\nx\n", "-f", "s@later.test", "a@later.test")
    mail.wait_log(r"to=<a@later.test>.*status=deferred")

    def attempts():
        return len(re.findall("to=<a@later.test>.*status=deferred", mail.log()))

    for request in "I", "W", "D":  # not due yet
        assert mail.command("postkick", "public", "qmgr", request).stderr == ""
    assert mail.command("postkick", "public", "pickup", "W").stderr == ""
    assert attempts() == 1
    mail.command("postkick", "public", "qmgr", "FAD")
    wait_until(lambda: attempts() == 2)
    done = mail.command("postkick", "public", "nosuch", "W", check=False)
    assert (done.returncode, done.stderr) == (1, "postkick: warning: unable to look up public/nosuch: No such file or directory\n"
                                                 "postkick: warning: Cannot contact class public service nosuch - perhaps the mail system is down\n")
    usage = mail.command("postkick", "a", check=False)
    assert (usage.returncode, usage.stderr) == (1, "postkick: fatal: usage: postkick [-c config_dir] [-v] class service request\n")


def test_postkick_is_the_wakeup_timer_of_flush(make_instance):
    mail = make_instance(["fast_flush_purge_time = 1h"], replace=[("1000?   0       flush", "0       0       flush")])
    path = f"{mail.queue}/flush/old_test"
    with open(path, "w", encoding="utf-8"):
        pass
    os.utime(path, (1, 1))
    mail.command("postkick", "public", "flush", "W")
    wait_until(lambda: not os.path.exists(path), what="the purge")
