"""An unprivileged user against setgid postdrop and postqueue, installed as root in a private root: nothing is gained."""
import os
import random
import signal
import time

import pytest
from instance import wait_until
from reference import Ours
from test_submit import GOOD, record, records

WHO = "mallory"


@pytest.fixture(scope="module")
def server():
    made = Ours()
    try:
        made.configure(["myhostname = mx.lab.test", "mydestination = mx.lab.test", "local_recipient_maps ="],
                       replace=[("pickup unix n - n 60 1 pickup\n", "")])  # what is dropped stays to be looked at
        made.root.add_user(WHO, "-m")
        made.start()
        yield made
    finally:
        made.destroy()


def dropped(server):
    return sorted(os.listdir(f"{server.queue}/maildrop"))


@pytest.fixture
def empty(server):
    for name in dropped(server):
        os.unlink(f"{server.queue}/maildrop/{name}")
    yield server
    assert server.root.run("find / -xdev -user mallory -newer /etc/postfix/master.cf ! -path '/proc/*' ! -path '/home/*' ! -path "
                           "'/tmp/*' ! -path '/var/spool/postfix/maildrop/*' 2>/dev/null", check=False).stdout == ""


def postdrop(server, data, prefix="", **options):
    return server.root.run(["sh", "-c", f"{prefix} exec /usr/sbin/postdrop -r"], user=WHO, input=data, text=False, check=False, timeout=30,
                           **options)


def test_postdrop_is_what_we_think(empty):
    mode = os.stat(empty.root.path("/usr/sbin/postdrop")).st_mode
    assert mode & 0o2000 and not mode & 0o4000
    assert postdrop(empty, records(*GOOD)).returncode == 0
    [name] = dropped(empty)
    status = os.stat(f"{empty.queue}/maildrop/{name}")
    assert str(status.st_uid) == empty.root.run(["id", "-u", WHO]).stdout.strip()


def test_every_record_type_and_random_bytes_leave_at_most_a_whole_message(empty):
    source = random.Random(3)
    for kind in map(chr, range(1, 128)):
        for body in (b"", b"x", b"a\nb", b"a\0b", b"y" * 5000, b" 1 2 3 4 5"):
            if kind in "\n\r":
                continue
            done = postdrop(empty, records(*GOOD[:3]) + record(kind, body) + records(*GOOD[3:])) if source.random() < 0.15 else None
            if done is not None and done.returncode != 0:
                assert dropped(empty) == [], (kind, body[:9])
            for name in dropped(empty):
                assert os.stat(f"{empty.queue}/maildrop/{name}").st_mode & 0o7777 == 0o744
                os.unlink(f"{empty.queue}/maildrop/{name}")
    for _ in range(30):
        done = postdrop(empty, source.randbytes(source.randrange(1, 300)))
        assert done.returncode in (0, 1) and dropped(empty) == []


def test_directories_and_environment_of_his_own(empty):
    root = empty.root
    root.run(f"rm -rf /tmp/evil; mkdir -p /tmp/evil/q/maildrop; cp /etc/postfix/m*.cf /tmp/evil; sed -i 's,/var/spool/postfix,/tmp/evil/q,' "
             f"/tmp/evil/main.cf; chown -R {WHO} /tmp/evil")
    for command in ("/usr/sbin/postdrop -c /tmp/evil", "MAIL_CONFIG=/tmp/evil /usr/sbin/postdrop", "/usr/sbin/postqueue -c /tmp/evil -p",
                    "MAIL_CONFIG=/tmp/evil /usr/sbin/postqueue -p"):
        done = root.run(command, user=WHO, check=False)
        assert done.returncode != 0 and "unauthorized configuration directory name" in done.stderr + empty.log(), (command, done)
    assert root.run("ls /tmp/evil/q/maildrop").stdout == ""
    for setting in ("LD_PRELOAD=/tmp/evil.so", "MAIL_DEBUG=1", "MAIL_LOGTAG=root", "POSTHOUSE_FAULT=open:1+=EIO", "TZ=:/etc/shadow",
                    "MALLOC_CHECK_=3"):
        assert postdrop(empty, records(*GOOD), f"export {setting};").returncode == 0, setting
    assert len(dropped(empty)) == 6


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"])
def test_closed_descriptors(empty, closed):
    """No file of the queue takes the place of a closed descriptor."""
    empty.root.run(["sh", "-c", f"exec /usr/sbin/postdrop -r {closed}"], user=WHO, input="garbage that would be written\n", check=False)
    assert dropped(empty) == []


@pytest.mark.parametrize("limit", ["-f 0", "-f 1", "-n 3", "-n 4", "-n 6", "-n 8", "-p 1", "-v 10000", "-s 8"])
def test_limits(empty, limit):
    done = postdrop(empty, records(*GOOD[:5]) + record("N", "x" * 1000) * 20 + records("X", "E"), f"(ulimit {limit}) 2>/dev/null && ulimit {limit};")
    assert (done.returncode == 0) == (len(dropped(empty)) == 1)


def test_signals_at_any_moment(empty):
    source = random.Random(4)
    data = records(*GOOD[:5]) + record("N", "x" * 100) * 200 + records("X", "E")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL) * 8:
        before = len([n for n in dropped(empty) if os.stat(f"{empty.queue}/maildrop/{n}").st_mode & 0o700 == 0o700])
        process = empty.root.popen(["sh", "-c", f"/usr/sbin/postdrop -r </tmp/in & p=$!; sleep {source.random() * 0.01:.4f}; "
                                    f"kill -{int(number)} $p 2>/dev/null; wait $p"], user=WHO, stdout=-3, stderr=-3) \
            if empty.root.exists("/tmp/in") or not empty.root.write("/tmp/in", data) else None
        code = process.wait(20)
        whole = [n for n in dropped(empty) if os.stat(f"{empty.queue}/maildrop/{n}").st_mode & 0o700 == 0o700]
        assert code != 0 or len(whole) == before + 1
        if number != signal.SIGKILL:
            assert len(dropped(empty)) == len(whole)
        for name in set(dropped(empty)) - set(whole):
            os.unlink(f"{empty.queue}/maildrop/{name}")


def test_the_maildrop_is_closed_to_him(empty):
    for command in ("ls /var/spool/postfix/maildrop", "ln -s /etc/shadow /var/spool/postfix/maildrop/AAAAAA", "touch "
                    "/var/spool/postfix/maildrop/AAAAAA", "ln /etc/passwd /var/spool/postfix/maildrop/AAAAAA", "ls /var/spool/postfix/public/"):
        assert empty.root.run(command, user=WHO, check=False).returncode != 0, command
    assert dropped(empty) == []


def test_odd_names_and_arguments(empty):
    script = "import os,sys; os.execv('/usr/sbin/postdrop', {argv})"
    for argv in ("['']", "['../../x\\n']", "['x' * 5000]", "['postdrop', '-x']", "['postdrop', '-r', 'operand']", "['%n%s']"):
        done = empty.root.run(["python3", "-c", script.format(argv=argv)], user=WHO, check=False, input="")
        assert done.returncode in (0, 1, 64, 75), (argv, done)
    assert dropped(empty) == []
