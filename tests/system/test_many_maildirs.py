"""One message for many maildirs: written together, synced together, and each recipient has an outcome of its own."""
import os
import re
import signal
import time

import pytest

from instance import wait_until
from root_instance import OWNER, RootInstance

COUNT = 12
QUICK = ["minimal_backoff_time = 1s", "maximal_backoff_time = 1s", "queue_run_delay = 1s", "smtpd_peername_lookup = no",
         "virtual_mailbox_domains = box.test"]
BOX_UID = 64130


def maps(boxes):
    return "virtual_mailbox_maps = inline:{" + ", ".join(f"{{{name}@box.test = {box}/}}" for name, box in boxes.items()) + "}"


def messages(base, box):
    folder = f"{base}/{box}/new"
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def left_in_tmp(base):
    return [name for box in os.listdir(base) if os.path.isdir(f"{base}/{box}/tmp") for name in os.listdir(f"{base}/{box}/tmp")]


def send(server, names):
    with server.smtp() as client:
        client.sendmail("s@a.test", [f"{name}@box.test" for name in names], "Subject: x\r\n\r\nbody\r\n")


@pytest.fixture
def virtual(make_instance):
    """make(boxes, fault) gives an instance with those mailboxes, and their base directory."""
    def make(boxes, fault=None):
        server = make_instance(QUICK, start=False)
        base = f"{server.directory}/boxes"
        os.mkdir(base)
        server.configure([f"virtual_mailbox_base = {base}", maps(boxes)])
        if fault:
            server.environment = {"POSTHOUSE_FAULT": fault, "POSTHOUSE_FAULT_PROGRAM": "virtual"}
        server.start()
        return server, base
    return make


def test_each_recipient_gets_a_copy_with_its_own_fields(virtual):
    names = [f"u{i}" for i in range(COUNT)]
    server, base = virtual({name: name for name in names})
    send(server, names)
    server.wait_log(r"status=sent \(delivered to maildir\)$", count=COUNT)
    for name in names:
        (file,) = messages(base, name)
        with open(f"{base}/{name}/new/{file}", encoding="utf-8") as text:
            assert f"\nDelivered-To: {name}@box.test\n" in text.read()
    assert left_in_tmp(base) == []
    server.wait_empty()


def test_two_recipients_that_share_a_maildir(virtual):
    server, base = virtual({"u": "same", "v": "same", "w": "same"})
    send(server, ["u", "v", "w"])
    server.wait_log(r"status=sent \(delivered to maildir\)$", count=3)
    assert len(messages(base, "same")) == 3


def test_one_maildir_that_fails_does_not_hold_up_the_others(virtual):
    server, base = virtual({"u": "u", "v": "v", "w": "w"})
    with open(f"{base}/v", "w", encoding="utf-8"):
        pass
    send(server, ["u", "v", "w"])
    server.wait_log(r"to=<v@box\.test>.*status=(deferred|bounced) \(maildir delivery failed: ")
    server.wait_log(r"status=sent \(delivered to maildir\)$", count=2)
    assert len(messages(base, "u")) == len(messages(base, "w")) == 1


def has_journal(folder):
    return os.popen(f"stat -f -c %T {folder}").read().strip() in ("ext2/ext3", "xfs")


# Which sync it is. With one journal: each of three files is started and waited for, then one sync for the names. Else: three files, three names.
@pytest.mark.parametrize("call", range(1, 8))
def test_a_failed_sync_takes_back_what_relied_on_it(virtual, call, tmp_path):
    if call == 7 and not has_journal(tmp_path):
        pytest.skip("there are six syncs where the file system has no journal that we know")
    names = ["u", "v", "w"]
    server, base = virtual({name: name for name in names}, fault=f"fsync:{call}=EIO")
    send(server, names)
    server.wait_log(r"status=deferred \(maildir delivery failed: \S+: Input/output error\)$")
    server.wait_empty()
    assert {name: len(messages(base, name)) for name in names} == {name: 1 for name in names}, server.log()[-3000:]
    assert left_in_tmp(base) == []


def test_a_failed_sync_of_names_is_a_failure_of_all(virtual, tmp_path):
    """The last sync of the first attempt: on a file system with one journal it stands for all three."""
    journal = has_journal(tmp_path)
    names = ["u", "v", "w"]
    server, base = virtual({name: name for name in names}, fault=f"fsync:{7 if journal else 6}=EIO")
    send(server, names)
    server.wait_log(r"status=deferred")
    server.wait_empty()
    assert len(re.findall(r"status=deferred", server.log())) == (3 if journal else 1)


def root_boxes(names):
    server = RootInstance([*QUICK, f"virtual_uid_maps = static:{BOX_UID}", f"virtual_gid_maps = static:{BOX_UID}"])
    base = f"{server.directory}/boxes"
    os.mkdir(base)
    os.chown(base, BOX_UID, BOX_UID)
    server.configure([f"virtual_mailbox_base = {base}", maps({name: name for name in names})])
    return server, base


def test_with_the_rights_of_the_owner():
    """In a child: outcomes come back over a pipe, each to its recipient."""
    names = [f"u{i}" for i in range(COUNT)]
    server, base = root_boxes(names)
    try:
        os.mkdir(f"{base}/u5", 0o700)
        os.chown(f"{base}/u5", OWNER, OWNER)
        server.start()
        send(server, names)
        server.wait_log(r"status=sent \(delivered to maildir\)$", count=COUNT - 1)
        server.wait_log(r"to=<u5@box\.test>.*status=bounced \(maildir delivery failed: create maildir file \S+: Permission denied\)$")
        for name in names:
            files = messages(base, name)
            assert len(files) == (0 if name == "u5" else 1), name
            assert all(os.stat(f"{base}/{name}/new/{file}").st_uid == BOX_UID for file in files)
    finally:
        server.destroy()


def test_a_delivery_process_that_takes_too_long_is_ended():
    """It has the user's rights, so that ending it needs root's: the agent would wait for it for ever."""
    server = RootInstance(["command_time_limit = 2s", "deliver_lock_attempts = 9", "deliver_lock_delay = 20s"], spool_mode=0o1777)
    try:
        server.start()
        with open(f"{server.spool}/victim.lock", "w", encoding="utf-8"):
            pass
        began = time.monotonic()
        server.deliver("victim")
        server.wait_log(r"status=deferred \(.*delivery process took more than 2 seconds\)$", seconds=15)
        assert time.monotonic() - began < 12
        wait_until(lambda: len(server.processes("local")) <= 1, 5, "the child to be gone")
    finally:
        server.destroy()


# --- the scribe: the child that stays while mailboxes of one owner get mail ---


def owned_by(server, uid):
    """Processes of the agent with the mailboxes' rights."""
    found = []
    for pid in server.processes("virtual"):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                found += [pid] if re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}", file.read(), re.M) else []
        except FileNotFoundError:
            pass
    return found


@pytest.fixture
def scribe():
    """A server whose agent has one, its base directory, and the scribe's pid."""
    server, base = root_boxes(["u"])
    try:
        server.start()
        for number in (1, 2):
            send(server, ["u"])
            server.wait_log(r"status=sent \(delivered to maildir\)$", count=number)
        (pid,) = owned_by(server, BOX_UID)
        yield server, base, pid
    finally:
        server.destroy()


def test_a_second_delivery_for_the_same_owner_leaves_a_scribe(scribe):
    server, base, pid = scribe
    send(server, ["u"])
    server.wait_log(r"status=sent \(delivered to maildir\)$", count=3)
    assert owned_by(server, BOX_UID) == [pid]
    files = messages(base, "u")
    assert len(files) == 3 and left_in_tmp(base) == []
    for file in files:
        with open(f"{base}/u/new/{file}", encoding="utf-8") as text:
            content = text.read()
        assert content.startswith("Return-Path: <s@a.test>\nX-Original-To: u@box.test\nDelivered-To: u@box.test\nReceived: ")
        assert "\nSubject: x\n" in content and content.endswith("\n\nbody\n")
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        text = status.read()
    assert re.search(rf"^Gid:\t{BOX_UID}\t{BOX_UID}\t{BOX_UID}", text, re.M) and re.search(rf"^Groups:\t{BOX_UID} ?$", text, re.M)
    assert sorted(os.listdir(f"/proc/{pid}/fd"), key=int) == ["0", "1", "2", "3"]
    server.stop()
    wait_until(lambda: not server.processes(), 5, "all processes to be gone")


def test_a_scribe_that_was_killed_is_replaced(scribe):
    server, base, pid = scribe
    os.kill(pid, signal.SIGKILL)
    for number in (3, 4):
        send(server, ["u"])
        server.wait_log(r"status=sent \(delivered to maildir\)$", count=number)
    (other,) = owned_by(server, BOX_UID)
    assert other != pid and len(messages(base, "u")) == 4
    assert not os.path.exists(f"/proc/{pid}")


def test_a_scribe_that_dies_in_the_middle_leaves_the_message_queued(scribe):
    server, base, pid = scribe
    os.kill(pid, signal.SIGSTOP)
    send(server, ["u"])
    wait_until(lambda: len(server.queued()) == 1, 5, "the message to be under way")
    time.sleep(0.5)
    assert len(messages(base, "u")) == 2
    os.kill(pid, signal.SIGKILL)
    server.wait_log(r"status=deferred \(delivery process died\)$")
    wait_until(lambda: len(messages(base, "u")) == 3, 20, "the next attempt")
    server.wait_empty()
