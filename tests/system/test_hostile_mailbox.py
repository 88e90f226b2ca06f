"""A hostile local user against the delivery of another's mail, and of his own: links, fifos, directories, lock files, races.

Each case has a canary, a file of root's that must be as it was at the end, and mallory may own nothing that he did not
make himself."""
import os
import re
import stat
import subprocess
import time

import pytest

from instance import wait_until
from root_instance import MAIL_GROUP, USERS, RootInstance

QUICK = ["deliver_lock_attempts = 2", "deliver_lock_delay = 1s"]
CANARY = b"root:$6$secret:19000:0:99999:7:::\n"
PROBLEM = r"to=<{0}@localhost>.*status=(deferred|bounced) \(cannot update mailbox \S+ for user {0}\. {1}"


class Attack:
    def __init__(self, spool_mode=0o2775, main=()):
        self.server = RootInstance([*QUICK, *main], spool_mode=spool_mode)
        self.spool = self.server.spool
        self.canary = f"{self.server.directory}/canary"
        with open(self.canary, "wb") as file:
            file.write(CANARY)
        os.chmod(self.canary, 0o600)
        self.before = os.stat(self.canary)

    def box(self, user="victim"):
        return f"{self.spool}/{user}"

    def unharmed(self):
        with open(self.canary, "rb") as file:
            assert file.read() == CANARY
        now = os.stat(self.canary)
        assert (now.st_uid, now.st_gid, now.st_mode) == (self.before.st_uid, self.before.st_gid, self.before.st_mode)

    def fails(self, user, words):
        self.server.deliver(user)
        self.server.wait_log(PROBLEM.format(user, words))
        self.unharmed()


@pytest.fixture
def attack():
    made = []

    def make(**options):
        made.append(Attack(**options))
        made[-1].server.start()
        return made[-1]
    yield make
    for one in made:
        one.unharmed()
        one.server.destroy()


def as_user(user, script, check=True):
    uid = USERS[user]
    return subprocess.run(["/usr/bin/python3", "-c", "import os,sys\n" + script], user=uid, group=uid, extra_groups=[], timeout=60, check=check,
                          capture_output=True, text=True)


@pytest.mark.parametrize("mode", [0o2775, 0o1777], ids=["spool of root", "sticky spool"])
def test_symbolic_link_in_place_of_a_mailbox(attack, mode):
    case = attack(spool_mode=mode)
    os.symlink(case.canary, case.box())
    case.fails("victim", "file is a symbolic link")
    assert os.path.islink(case.box())


@pytest.mark.parametrize("mode", [0o2775, 0o1777], ids=["spool of root", "sticky spool"])
def test_dangling_link_makes_no_file(attack, mode):
    case = attack(spool_mode=mode)
    os.symlink(f"{case.server.directory}/made", case.box())
    case.fails("victim", "file is a symbolic link")
    assert not os.path.exists(f"{case.server.directory}/made")


@pytest.mark.parametrize("mode", [0o2775, 0o1777], ids=["spool of root", "sticky spool"])
def test_hard_link_to_another_file(attack, mode):
    case = attack(spool_mode=mode, main=["strict_mailbox_ownership = no"])
    os.link(case.canary, case.box())
    case.fails("victim", "cannot open file: Permission denied")
    # His own file with another name: what he may open is refused too.
    os.unlink(case.box())
    open(f"{case.spool}/other", "w").close()
    os.chown(f"{case.spool}/other", USERS["victim"], MAIL_GROUP)
    os.link(f"{case.spool}/other", case.box())
    case.fails("victim", "file has 2 hard links")
    assert os.path.getsize(f"{case.spool}/other") == 0


def test_wrong_owner(attack):
    case = attack()
    os.rename(case.canary, case.box())
    case.canary = case.box()
    case.fails("victim", "cannot open file: Permission denied")
    # Open to all, and still not his.
    os.chmod(case.box(), 0o666)
    case.before = os.stat(case.box())
    case.fails("victim", "destination .* is not owned by recipient")


def test_somebody_elses_mailbox_is_used_when_ownership_does_not_count(attack):
    """strict_mailbox_ownership = no: as the site wants it."""
    case = attack(main=["strict_mailbox_ownership = no"])
    open(case.box(), "w").close()
    os.chown(case.box(), USERS["mallory"], MAIL_GROUP)
    os.chmod(case.box(), 0o666)
    case.server.deliver("victim")
    case.server.wait_log("delivered to mailbox")


def test_fifo(attack):
    case = attack()
    os.mkfifo(case.box(), 0o666)
    os.chmod(case.box(), 0o666)
    reader = os.open(case.box(), os.O_RDONLY | os.O_NONBLOCK)
    case.fails("victim", "destination .* is not a regular file")
    try:
        assert os.read(reader, 1000) == b""
    except BlockingIOError:
        pass
    os.close(reader)


def test_directory(attack):
    case = attack()
    os.mkdir(case.box(), 0o777)
    case.fails("victim", "cannot open file: Is a directory")
    assert os.listdir(case.box()) == []


def test_device(attack):
    case = attack()
    os.mknod(case.box(), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod(case.box(), 0o666)
    case.fails("victim", "destination .* is not a regular file")


def test_lock_that_is_a_link_is_not_followed(attack):
    case = attack(main=["stale_lock_time = 3s"])
    os.symlink(case.canary, case.box() + ".lock")
    case.fails("victim", r"unable to create lock file \S+\.lock: File exists")
    os.utime(case.box() + ".lock", (1, 1), follow_symlinks=False)
    case.server.command("postqueue", "-f")
    case.server.wait_log("delivered to mailbox")
    assert not os.path.lexists(case.box() + ".lock")
    case.unharmed()


def test_lock_that_links_to_nothing_makes_nothing(attack):
    case = attack()
    os.symlink(f"{case.server.directory}/made", case.box() + ".lock")
    case.fails("victim", "unable to create lock file")
    assert not os.path.exists(f"{case.server.directory}/made")


def test_lock_that_is_held_for_ever_costs_only_its_own_mail(attack):
    case = attack(spool_mode=0o1777, main=["stale_lock_time = 1000s"])
    as_user("mallory", f"open({case.box()!r} + '.lock', 'w')")
    started = time.monotonic()
    case.server.deliver("victim", "mallory")
    case.server.wait_log(r"to=<victim@localhost>.*status=deferred")
    case.server.wait_log(r"to=<mallory@localhost>.*delivered to mailbox")
    assert time.monotonic() - started < 10


def test_file_lock_that_is_held_for_ever(attack):
    case = attack()
    case.server.deliver("mallory")
    case.server.wait_log("delivered to mailbox")
    process = subprocess.Popen(["/usr/bin/python3", "-c", f"import fcntl,time\nf=open({case.box('mallory')!r},'a')\n"
                                "fcntl.lockf(f,fcntl.LOCK_EX)\nprint('x',flush=True)\ntime.sleep(60)"], user=USERS["mallory"],
                               stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        case.fails("mallory", "unable to lock for exclusive access")
        case.server.deliver("victim")
        case.server.wait_log(r"to=<victim@localhost>.*delivered to mailbox")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_huge_mailbox_is_not_read(attack):
    case = attack(main=["mailbox_size_limit = 20000000"])
    with open(case.box(), "wb") as file:
        file.truncate(1 << 40)
    os.chown(case.box(), USERS["victim"], MAIL_GROUP)
    case.fails("victim", "error writing message: File too large")
    assert os.stat(case.box()).st_size == 1 << 40


SWAP = """
import time
box, target = {box!r}, {target!r}
end = time.time() + {seconds}
n = 0
while time.time() < end:
    n += 1
    tmp = box + '.tmp%d' % (n % 3)
    for make in (lambda: os.symlink(target, tmp), lambda: os.close(os.open(tmp, os.O_CREAT | os.O_WRONLY, 0o600)), lambda: os.mkfifo(tmp)):
        try:
            make()
            os.rename(tmp, box)
        except OSError:
            try:
                os.unlink(tmp)
            except OSError:
                pass
    try:
        os.unlink(box)
    except OSError:
        pass
"""


@pytest.mark.parametrize("where", ["sticky spool", "home"])
def test_race_that_swaps_the_mailbox_for_a_link(attack, where):
    """mallory swaps his own mailbox for links, files and fifos while mail for him arrives: nothing is ever written to
    the canary, and nothing hangs."""
    main = ["deliver_lock_attempts = 1"] + (["home_mailbox = box"] if where == "home" else [])
    case = attack(spool_mode=0o1777, main=main)
    box = case.server.home("mallory") + "/box" if where == "home" else case.box("mallory")
    racer = subprocess.Popen(["/usr/bin/python3", "-c", "import os\n" + SWAP.format(box=box, target=case.canary, seconds=6)],
                             user=USERS["mallory"], group=USERS["mallory"], extra_groups=[])
    count = 0
    while racer.poll() is None:
        case.server.deliver("mallory")
        count += 1
    assert racer.returncode == 0 and count > 5
    wait_until(lambda: len(re.findall(r"to=<mallory@localhost>.*status=", case.server.log())) >= count, 60, "all outcomes")
    case.unharmed()


def test_race_in_a_spool_that_a_group_may_write(attack):
    """Somebody with the rights of group mail (a mail reader with a fault) plays with victim's mailbox, which root opens."""
    case = attack(main=["deliver_lock_attempts = 1"])
    racer = subprocess.Popen(["/usr/bin/python3", "-c", "import os\n" + SWAP.format(box=case.box(), target=case.canary, seconds=6)],
                             user=USERS["mallory"], group=MAIL_GROUP, extra_groups=[])
    count = 0
    while racer.poll() is None:
        case.server.deliver("victim")
        count += 1
    assert racer.returncode == 0 and count > 5
    wait_until(lambda: len(re.findall(r"to=<victim@localhost>.*status=", case.server.log())) >= count, 60, "all outcomes")
    case.unharmed()


def test_home_directory_that_is_not_his(attack):
    """A home in which the user may write nothing: no root rights help him."""
    case = attack(main=["home_mailbox = Mailbox"])
    os.chown(case.server.home("victim"), 0, 0)
    os.chmod(case.server.home("victim"), 0o755)
    case.fails("victim", r"unable to create lock file \S+\.lock: Permission denied")
    assert os.listdir(case.server.home("victim")) == []


def test_home_mailbox_as_link_to_a_file_of_roots(attack):
    case = attack(main=["home_mailbox = Mailbox"])
    as_user("mallory", f"os.symlink({case.canary!r}, {case.server.home('mallory')!r} + '/Mailbox')")
    case.fails("mallory", "file is a symbolic link")


def test_maildir_as_link_to_a_directory_of_roots(attack):
    case = attack(main=["home_mailbox = Maildir/"])
    os.mkdir(f"{case.server.directory}/rootdir", 0o755)
    as_user("mallory", f"os.symlink({case.server.directory!r} + '/rootdir', {case.server.home('mallory')!r} + '/Maildir')")
    case.server.deliver("mallory")
    case.server.wait_log(r"to=<mallory@localhost>.*status=(bounced|deferred) \(maildir delivery failed")
    assert os.listdir(f"{case.server.directory}/rootdir") == []


@pytest.mark.parametrize("name", ["../etc/passwd", "..", ".hidden", "a/b", "victim.lock", "\"../canary\""])
def test_names_that_lead_elsewhere(attack, name):
    case = attack()
    with case.server.smtp() as client:
        client.docmd("EHLO x")
        client.docmd("MAIL FROM:<>")
        code, _ = client.docmd(f"RCPT TO:<{name}@localhost>")
        if code == 250:
            client.data(b"Subject: x\r\n\r\nx\r\n")
            case.server.wait_log(r"status=bounced \(unknown user")
    assert os.listdir(case.spool) == []
    case.unharmed()
