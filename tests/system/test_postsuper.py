"""postsuper: words and exit codes are those of 3.7 and 3.10 on the same queues."""
import os
import re
import subprocess
import time

from instance import wait_until

MAIN = ["transport_maps = inline:{later.test=retry:4.4.1, gone.test=discard:}"]


def files(instance, *queues):
    """Queue ids by queue."""
    found = {}
    for queue in queues:
        for folder, _, names in os.walk(f"{instance.queue}/{queue}"):
            found.update({name: os.path.join(folder, name) for name in names})
    # Empty ones are ids that cleanup keeps in stock.
    return {name: path for name, path in found.items() if os.path.exists(path) and os.path.getsize(path) > 0}


def deferred(instance, count):
    for number in range(count):
        instance.sendmail(f"Subject: {number}\n\nbody {number}\n", "-f", "a@gone.test", f"x{number}@later.test")
    wait_until(lambda: len(files(instance, "deferred")) == count, what="deferred mail\n")
    wait_until(lambda: not files(instance, "active", "incoming", "maildrop"))
    return sorted(files(instance, "deferred"))


def postsuper(instance, *arguments, status=0, **options):
    done = instance.command("postsuper", *arguments, check=False, **options)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert done.stdout == ""
    return [line.removeprefix("postsuper: ") for line in done.stderr.splitlines()]


def test_holds_releases_requeues_and_removes(make_instance):
    mail = make_instance(MAIN)
    ids = deferred(mail, 6)
    assert postsuper(mail, "-h", ids[0], "-h", ids[1]) == [f"{ids[0]}: placed on hold", f"{ids[1]}: placed on hold", "Placed on hold: 2 messages"]
    assert sorted(files(mail, "hold")) == ids[:2]
    mail.wait_log(rf"postsuper\[\d+\]: {ids[0]}: placed on hold")
    assert postsuper(mail, "-h", ids[0]) == ["Placed on hold: 0 messages"]
    assert postsuper(mail, "-H", ids[0]) == [f"{ids[0]}: released from hold", "Released from hold: 1 message"]
    assert postsuper(mail, "-h", "ALL") == ["Placed on hold: 5 messages"]
    assert postsuper(mail, "-e", ids[0], "-d", ids[1]) == [f"{ids[0]}: expired", f"{ids[1]}: removed", "Deleted: 1 message", "Force-expired: 1 message"]
    assert os.stat(files(mail, "hold")[ids[0]]).st_mode & 0o777 == 0o710
    assert postsuper(mail, "-f", ids[0]) == [f"{ids[0]}: released from hold", "Force-expired: 0 messages", "Released from hold: 1 message"]
    assert ids[1] not in files(mail, "defer", "hold", "deferred")
    assert postsuper(mail, "-d", "-", input=f"{ids[2]}\n\nbad/id\nAB\nNOSUCHID0\n") == [
        f"{ids[2]}: removed", "warning: invalid mail queue id: ", "warning: invalid mail queue id: bad/id", "warning: invalid mail queue id: AB", "Deleted: 1 message"]
    assert postsuper(mail, "-d", "ALL", "deferred") == ["Deleted: 1 message"]
    assert sorted(files(mail, "hold")) == ids[3:]
    assert postsuper(mail, "-d", "ALL") == ["Deleted: 3 messages"]
    assert not files(mail, "hold", "deferred", "defer")


def test_requeued_mail_is_new_mail_of_the_same_content(make_instance):
    mail = make_instance(MAIN)
    old = deferred(mail, 1)[0]
    assert postsuper(mail, "-h", old, "-r", old) == [f"{old}: placed on hold", f"{old}: requeued", "Requeued: 1 message", "Placed on hold: 1 message"]
    mail.command("postqueue", "-f")
    new = mail.wait_log(rf"pickup\[\d+\]: (\w+): uid=\d+ from=<a@gone.test> orig_id={old}").group(1)
    wait_until(lambda: new in files(mail, "deferred"))
    text = mail.command("postcat", "-q", new).stdout
    assert text.count("Received:") == 2 or text.count("Received:") == 1
    assert "body 0" in text and f"recipient: x0@later.test" in text
    mail.wait_log(rf" {new}: to=<x0@later.test>.*status=deferred")


def test_beside_a_live_queue_manager_nothing_is_lost(make_instance):
    """Messages are held and released while they are delivered; each arrives once."""
    mail = make_instance(["transport_maps = inline:{later.test=discard:}"])
    count = 60
    children = [subprocess.Popen([f"{os.path.dirname(__file__)}/../../build/bin/sendmail", "-f", "a@gone.test", f"x{n}@later.test"],
                                 stdin=subprocess.PIPE, env=dict(os.environ, MAIL_CONFIG=mail.etc)) for n in range(count)]
    for child in children:
        child.stdin.write(b"Subject: x\n\nx\n")
        child.stdin.close()
    for _ in range(8):
        postsuper(mail, "-h", "ALL")
        postsuper(mail, "-H", "ALL")
    assert all(child.wait() == 0 for child in children)
    postsuper(mail, "-H", "ALL")
    mail.command("postqueue", "-f")
    wait_until(lambda: not files(mail, "maildrop", "incoming", "active", "deferred", "hold") and not mail.queued(), 60, "an empty queue")
    sent = re.findall(r"to=<(x\d+)@later.test>.*status=sent", mail.log())
    assert sorted(sent) == sorted(f"x{n}" for n in range(count))


def test_structure_names_and_places(make_instance):
    mail = make_instance(MAIN)
    ids = deferred(mail, 4)
    mail.stop()
    for path in files(mail, "deferred").values():  # other inodes, as after a restored backup
        os.rename(path, path + ".old")
        subprocess.run(["cp", "-p", path + ".old", path], check=True)
        os.unlink(path + ".old")
    inodes = {name: os.stat(path).st_ino for name, path in files(mail, "deferred").items()}
    changed = [name for name in ids if f"{inodes[name]:X}" != name[5:]]
    said = postsuper(mail, "-s")
    assert said == ([f"Renamed to match inode number: {len(changed)} message{'s' * (len(changed) != 1)}",
                     "warning: QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS"] if changed else [])
    assert changed, "the file system gave the same inodes again"
    now = files(mail, "deferred")
    assert set(now) == {f"{name[:5]}{inode:X}" for name, inode in inodes.items()}
    assert set(files(mail, "defer")) == set(now), "logs follow"
    assert postsuper(mail, "-s") == []
    # Places: another depth, and back.
    mail.configure(["hash_queue_depth = 2"])
    assert postsuper(mail) == []
    for name, path in files(mail, "deferred", "defer").items():
        assert path.endswith(f"/{name[0]}/{name[1]}/{name}")
    mail.configure(["hash_queue_names = flush"])
    assert postsuper(mail) == []
    assert sorted(os.listdir(f"{mail.queue}/deferred")) == sorted(now)
    mail.start()
    mail.command("postqueue", "-f")
    for number in range(4):
        mail.wait_log(rf"to=<x{number}@later.test>.*status=deferred", count=2)


def test_an_interrupted_change_of_names_is_finished(make_instance):
    mail = make_instance(MAIN)
    name = deferred(mail, 1)[0]
    mail.stop()
    for queue in "deferred", "defer":
        os.rename(files(mail, queue)[name], f"{mail.queue}/{queue}/{name}#")
    assert postsuper(mail, "-s") == []
    assert files(mail, "deferred")[name] == f"{mail.queue}/deferred/{name[0]}/{name}"
    assert files(mail, "defer")[name] == f"{mail.queue}/defer/{name[0]}/{name}"


def test_purge_takes_only_what_was_left_for_a_day(make_instance):
    mail = make_instance(MAIN)
    ids = deferred(mail, 3)
    mail.stop()
    paths = files(mail, "deferred")
    for name, age in (ids[0], 2 * 86400), (ids[1], 3600):
        os.chmod(paths[name], 0o600)
        os.utime(paths[name], (time.time() - age,) * 2)
    os.utime(paths[ids[2]], (1, 1))
    with open(f"{mail.queue}/incoming/1234.5678", "w", encoding="utf-8"):
        pass
    assert postsuper(mail, "-p") == ["warning: bogus file name: incoming/1234.5678"]
    assert sorted(files(mail, "deferred")) == ids[1:]
    assert postsuper(mail, "-d", ids[1]) == ["Deleted: 0 messages"], "it is being written"


def logged(mail):
    """Two deferred messages that the commit log has."""
    for _ in range(10):
        ids = deferred(mail, 2)
        if all(map(mail.is_logged, ids)):
            return ids
        postsuper(mail, "-d", "ALL")
        time.sleep(1)
    raise AssertionError("cleanup does not log")


def logged_and_crashed(mail):
    """The same after a crash: a checkpoint may have come before it."""
    for _ in range(10):
        ids = logged(mail)
        mail.crash()
        if all(map(mail.is_logged, ids)):
            return ids
        mail.start()
        postsuper(mail, "-d", "ALL")
    raise AssertionError("always a checkpoint before the crash")


def test_what_was_deleted_does_not_come_back_after_a_crash(make_instance):
    """The commit log has it still, and recovery restores what is missing."""
    mail = make_instance(MAIN + ["commit_engine = log"])
    ids = logged(mail)
    assert postsuper(mail, "-d", ids[0]) == [f"{ids[0]}: removed", "Deleted: 1 message"]
    mail.crash()
    mail.start()
    wait_until(lambda: ids[1] in files(mail, "deferred"), what="the other message")
    assert ids[0] not in files(mail, "deferred", "incoming", "active", "hold")


def test_after_a_crash_the_commit_log_is_read_first(make_instance):
    """postsuper may be run before the mail system is started again: nothing in the log may be forgotten then."""
    mail = make_instance(MAIN + ["commit_engine = log"])
    ids = logged_and_crashed(mail)
    os.unlink(files(mail, "deferred")[ids[0]])  # lost by the file system
    postsuper(mail, "-h", ids[1])
    assert ids[0] in files(mail, "incoming") and ids[1] in files(mail, "hold")


def test_without_the_lock_of_the_commit_log_nothing_is_touched(make_instance):
    """A checkpoint by somebody who has not recovered would forget acknowledged mail."""
    mail = make_instance(MAIN + ["commit_engine = log"])
    ids = logged_and_crashed(mail)
    os.unlink(files(mail, "deferred")[ids[0]])
    os.unlink(f"{mail.queue}/commit/lock")
    os.mkdir(f"{mail.queue}/commit/lock")
    assert "Is a directory" in postsuper(mail, "-h", ids[1], status=1)[-1]
    os.rmdir(f"{mail.queue}/commit/lock")
    postsuper(mail, "-h", ids[1])
    assert ids[0] in files(mail, "incoming") and ids[1] in files(mail, "hold")


def test_usage_and_refusals(make_instance):
    mail = make_instance(start=False)
    mail.start()
    mail.stop()
    usage = postsuper(mail, "-x", status=1)
    assert usage[0] == "invalid option -- 'x'" and usage[1].startswith("fatal: usage: postsuper [-c config_dir] [-d queue_id (delete)]")
    assert postsuper(mail, "-d", "ALL", "corrupt", status=1) == ["fatal: invalid directory name: corrupt"]
    assert postsuper(mail) == []
