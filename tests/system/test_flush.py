"""flush: what waits for a site is delivered on request. Words and exit codes are Postfix's."""
import os
import re
import time

from instance import wait_until

MAIN = ["transport_maps = inline:{later.test=retry:4.4.1, other.test=retry:4.4.1, gone.test=discard:}", "fast_flush_domains = later.test",
        "minimal_backoff_time = 1h", "maximal_backoff_time = 2h"]


def send(mail, *recipients):
    mail.sendmail("Subject: x\n\nx\n", "-f", "s@gone.test", *recipients)
    for recipient in recipients:
        mail.wait_log(rf"to=<{recipient}>.*status=deferred")
    return re.findall(rf" (\w+): to=<{recipients[0]}>", mail.log())[-1]


def log_of(mail, name="later_test"):
    try:
        with open(f"{mail.queue}/flush/{name}", encoding="utf-8") as file:
            return file.read().split()
    except FileNotFoundError:
        return None


def attempts(mail, recipient):
    return len(re.findall(rf"to=<{recipient}>.*status=deferred", mail.log()))


def refused(mail, *arguments):
    done = mail.command("postqueue", *arguments, check=False)
    assert done.returncode == 69 and done.stdout == ""
    return done.stderr


def test_a_site_is_flushed_by_name(make_instance):
    mail = make_instance(MAIN + ["flush_service_name = waker"], ["waker unix n - n - 0 flush"])
    first = send(mail, "a@later.test", "b@later.test")
    second = send(mail, "c@later.test")
    third = send(mail, "d@other.test")
    wait_until(lambda: sorted(log_of(mail) or []) == sorted([first, second]), what="the notes\n")
    assert log_of(mail, "other_test") is None
    assert mail.command("postqueue", "-s", "later.test").stderr == ""
    wait_until(lambda: attempts(mail, "a@later.test") == 2 and attempts(mail, "c@later.test") == 2)
    assert attempts(mail, "d@other.test") == 1
    assert refused(mail, "-s", "other.test") == 'postqueue: fatal: Flush service is not configured for destination "other.test"\n'
    assert refused(mail, "-s", "@") == 'postqueue: fatal: Cannot flush mail queue - invalid destination: "@"\n'
    # One message of any site; one that is not there is no error.
    assert mail.command("postqueue", "-i", third).stderr == ""
    wait_until(lambda: attempts(mail, "d@other.test") == 2)
    assert mail.command("postqueue", "-i", "NOSUCHID0").stderr == ""
    assert refused(mail, "-i", "a/b") == 'postqueue: fatal: Cannot flush queue ID - invalid name: "a/b"\n'
    mail.stop()
    assert refused(mail, "-s", "later.test") == (
        "postqueue: warning: connect to public/waker: Connection refused\npostqueue: fatal: Cannot flush mail queue - mail system is down\n")


def test_many_requests_cost_no_more_than_one(make_instance):
    mail = make_instance(MAIN)
    send(mail, "a@later.test")
    wait_until(lambda: log_of(mail))
    for _ in range(30):
        mail.command("postqueue", "-s", "later.test")
    wait_until(lambda: attempts(mail, "a@later.test") >= 2)
    time.sleep(0.3)
    # It may have been noted again, by the attempt that a request caused, and flushed again; no more than that.
    assert attempts(mail, "a@later.test") <= 31
    wait_until(lambda: log_of(mail))
    before = attempts(mail, "a@later.test")
    mail.command("postqueue", "-s", "later.test")
    wait_until(lambda: attempts(mail, "a@later.test") == before + 1)


def test_logs_are_refreshed_and_purged(make_instance):
    mail = make_instance(MAIN + ["fast_flush_refresh_time = 1h", "fast_flush_purge_time = 2h"], replace=[("1000?   0       flush", "1       0       flush")])
    send(mail, "a@later.test")
    wait_until(lambda: log_of(mail))
    path = f"{mail.queue}/flush/later_test"
    for name in "old_test", "young_test":
        with open(f"{mail.queue}/flush/{name}", "w", encoding="utf-8"):
            pass
    now = time.time()
    os.utime(f"{mail.queue}/flush/old_test", (now - 3 * 3600,) * 2)
    os.utime(f"{mail.queue}/flush/young_test", (now - 3600,) * 2)
    wait_until(lambda: not os.path.exists(f"{mail.queue}/flush/old_test"), what="the purge")
    assert os.path.exists(f"{mail.queue}/flush/young_test")
    assert attempts(mail, "a@later.test") == 1, "not yet"
    os.utime(path, (now - 2 * 3600, now))
    wait_until(lambda: attempts(mail, "a@later.test") == 2, what="the refresh")
