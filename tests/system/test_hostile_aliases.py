"""A hostile local user and what he writes: .forward files, :include: lists, aliases that are his, addresses that look like
commands. What he gains is what he had: his own rights."""
import os
import subprocess
import time

import pytest

from instance import wait_until
from local_lab import LocalLab
from root_instance import USERS

SECRET = "root:$6$secret:19000:0:99999:7:::\n"


@pytest.fixture
def lab():
    made = LocalLab()
    made.canary = made.write(f"{made.server.directory}/canary", SECRET, mode=0o600)
    yield made
    with open(made.canary, encoding="utf-8") as file:
        assert file.read() == SECRET
    status = os.stat(made.canary)
    assert (status.st_uid, status.st_mode & 0o777) == (0, 0o600)
    made.server.destroy()


BAD_FORWARDS = {
    "link": lambda lab, path: os.symlink(lab.canary, path),
    "link to his own": lambda lab, path: (lab.forward("mallory", "victim\n", "real"), os.symlink("real", path)),
    "hard link": lambda lab, path: os.link(lab.canary, path),
    "fifo": lambda lab, path: os.mkfifo(path, 0o666),
    "directory": lambda lab, path: os.mkdir(path),
    "device": lambda lab, path: os.mknod(path, 0o020666, os.makedev(1, 5)),
    "world writable": lambda lab, path: lab.forward("mallory", "victim\n", mode=0o666),
    "victim's": lambda lab, path: lab.forward("mallory", "victim\n", owner="victim"),
    "unreadable": lambda lab, path: lab.forward("mallory", "victim\n", mode=0),
}


@pytest.mark.parametrize("kind", BAD_FORWARDS)
def test_forward_files_that_do_not_count(lab, kind):
    """The mail goes into his mailbox, and the log says why."""
    path = f"{lab.server.home('mallory')}/.forward"
    BAD_FORWARDS[kind](lab, path)
    lab.start()
    lab.send("mallory")
    lab.mails("mallory")
    lab.no_mail("victim")
    lab.logs(r"warning: (file \S+/\.forward (is not a regular file|is world writable|has bad owner uid)|cannot open file \S+/\.forward: Permission denied)")
    assert "secret" not in lab.server.log()


@pytest.mark.parametrize("text", ["{canary}\n", "\"|cat {canary} > {home}/gained\"\n", "\"|chmod 666 {canary}\"\n", "/etc/passwd\n", "{victim}/.forward\n", "{victim}/Maildir/\n"])
def test_forward_file_gives_its_writer_no_more_rights(lab, text):
    home, victim = lab.server.home("mallory"), lab.server.home("victim")
    lab.forward("mallory", text.format(canary=lab.canary, home=home, victim=victim))
    before = os.stat("/etc/passwd")
    lab.start("mailbox_size_limit = 0")
    lab.send("mallory")
    lab.logs(r"to=<mallory@localhost>.*status=(bounced|deferred)")
    assert not os.path.exists(f"{home}/gained") or os.path.getsize(f"{home}/gained") == 0
    assert os.listdir(victim) == [] and os.stat("/etc/passwd").st_mtime == before.st_mtime


def test_list_of_his_in_an_alias_of_roots_has_his_rights(lab):
    lab.start("allow_mail_to_commands = alias, forward, include", aliases="list: :include:{out}/list\n")
    lab.write(f"{lab.out}/list", "\"|{out}/show list\"\n", user="mallory")
    lab.send("list")
    assert lab.seen("list")[0][0] == str(USERS["mallory"])


def test_list_that_all_may_write_is_none(lab):
    lab.start(aliases="list: :include:{out}/list\n")
    lab.write(f"{lab.out}/list", "victim\n", mode=0o666)
    lab.send("list")
    lab.logs(r"warning: :include: file \S+/list is world writable")
    lab.logs(r"to=<list@localhost>.*dsn=5.3.5, status=bounced \(mail system configuration error\)")
    lab.no_mail("victim")


def test_list_that_is_a_link_is_none(lab):
    lab.start(aliases="list: :include:{out}/list\n")
    os.symlink(lab.canary, f"{lab.out}/list")
    lab.send("list")
    lab.logs(r"warning: :include: file \S+/list is not a regular file")
    assert "secret" not in lab.server.log()


def test_list_in_his_forward_file_is_read_with_his_rights(lab):
    lab.start()
    lab.forward("mallory", f":include:{lab.canary}\n")
    lab.send("mallory")
    lab.logs(r"cannot open include file \S+/canary: Permission denied")
    assert "secret" not in lab.server.log()


def victims_list(lab, mode=0o600):
    return lab.write(f"{lab.server.directory}/victims", "\"|{out}/show secret\"\nsecret@other.test\n", mode=mode, user="victim")


@pytest.mark.parametrize("way", ["forward", "list"])
def test_closed_list_of_a_victims_stays_closed(lab, way):
    """Not its owner's rights count then but those of him who named it, in his .forward file or in a list of his."""
    lab.start("allow_mail_to_commands = alias, forward, include", aliases="list: :include:{out}/list\n")
    victims = victims_list(lab)
    lab.forward("mallory", f":include:{victims}\n")
    lab.write(f"{lab.out}/list", f":include:{victims}\n", user="mallory")
    lab.send("mallory" if way == "forward" else "list")
    lab.logs(r"to=<(mallory|list)@localhost>.*dsn=5.3.5, status=bounced \(mail system configuration error\)")
    lab.logs(r"cannot open include file \S+/victims: Permission denied")
    assert "secret" not in lab.server.log() and not [name for name in os.listdir(lab.out) if name.startswith("seen")]


def test_open_list_of_a_victims_runs_with_the_rights_of_him_who_named_it(lab):
    lab.start("allow_mail_to_commands = alias, forward, include")
    lab.forward("mallory", f":include:{victims_list(lab, 0o644)}\n")
    lab.send("mallory")
    assert lab.seen("mallory")[0][0] == str(USERS["mallory"])


def test_list_behind_a_closed_door_is_not_told_of(lab):
    """What is there and whose it is, he hears no more than he can see."""
    lab.start()
    os.chmod(lab.server.home("victim"), 0o700)
    lab.write(f"{lab.server.home('victim')}/list", "victim\n", user="victim")
    lab.forward("mallory", f":include:{lab.server.home('victim')}/list\n")
    lab.send("mallory")
    lab.logs(r"unable to lookup :include: file \S+/list: Permission denied")
    lab.no_mail("victim")


def test_alias_database_of_his_gives_his_rights(lab):
    lab.start(aliases="cmd: \"|{out}/show a\"\nfile: {canary}\n".replace("{canary}", lab.canary))
    os.chown(f"{lab.server.etc}/aliases", USERS["mallory"], USERS["mallory"])
    lab.send("cmd")
    assert lab.seen("cmd")[0][0] == str(USERS["mallory"])
    lab.send("file")
    lab.logs(r"to=<file@localhost>.*status=bounced \(cannot append message to file")


@pytest.mark.parametrize("name", ["|id>/tmp/gained", "/tmp/gained", ":include:/etc/passwd", "~root/x", "../victim", "\\\\victim'"])
def test_recipients_that_look_like_destinations(lab, name):
    lab.start()
    with lab.server.smtp() as client:
        client.docmd("EHLO x")
        client.docmd("MAIL FROM:<>")
        code, _ = client.docmd(f"RCPT TO:<\"{name}\"@localhost>")
        if code == 250:
            client.data(b"Subject: x\r\n\r\nx\r\n")
            lab.logs(r"status=bounced \(unknown user")
    assert not os.path.exists("/tmp/gained")


def test_shell_characters_of_strangers_reach_no_shell(lab):
    lab.start(f"mailbox_command = eval {lab.out}/show $SENDER $EXTENSION")
    with lab.server.smtp() as client:
        client.docmd("EHLO x")
        assert client.docmd("MAIL FROM:<\"$(touch${IFS}/tmp/gained)\"@a.test>")[0] == 250
        assert client.docmd("RCPT TO:<\"victim+`id`$(id);id|id\"@localhost>")[0] == 250
        client.data(b"x\r\n")
    lines, _ = lab.seen("victim")
    given = [line for line in lines if line.startswith("arg[")]
    assert given == ["arg[__touch__IFS_/tmp/gained_@a.test]", "arg[_id___id__id_id]"]
    assert not os.path.exists("/tmp/gained")


def test_command_that_stays_is_ended_and_costs_others_nothing(lab):
    lab.forward("mallory", "\"|sleep 600\"\n")
    lab.start("command_time_limit = 3s")
    lab.send("mallory")
    lab.send("victim")
    lab.mails("victim")
    lab.logs(r"Command time limit exceeded: \"sleep 600\"")


SWAP = """
import os, time
home = os.environ['H']; canary = os.environ['C']; end = time.time() + 4; n = 0
while time.time() < end:
    n += 1
    tmp = home + '/.t%d' % (n % 4)
    try:
        if n % 4 == 0: os.symlink(canary, tmp)
        elif n % 4 == 1: os.mkfifo(tmp)
        elif n % 4 == 2: open(tmp, 'w').write('/dev/null\\n')
        else: os.link(home + '/.base', tmp)
        os.rename(tmp, home + '/.forward')
    except OSError:
        try: os.unlink(tmp)
        except OSError: pass
"""


def test_race_that_swaps_the_forward_file(lab):
    lab.forward("mallory", "\"|cat >/dev/null\"\n", ".base")
    lab.start()
    uid = USERS["mallory"]
    racer = subprocess.Popen(["/usr/bin/python3", "-c", SWAP], user=uid, group=uid, extra_groups=[],
                             env={"H": lab.server.home("mallory"), "C": lab.canary})
    count = 0
    while racer.poll() is None:
        lab.send("mallory")
        count += 1
        time.sleep(0.01)
    assert count > 5
    wait_until(lambda: lab.server.log().count("to=<mallory@localhost>") >= count, 30, "all outcomes")
    assert "secret" not in lab.server.log()
