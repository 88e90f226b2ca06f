"""As root on a stock configuration: Debian's own files (jailed) and Postfix 3.11's shape, rights of every process, reload under load."""
import os
import re
import subprocess
import time

import pytest

from instance import ROOT, wait_until
from package_helpers import deb, install, load, mailbox, package_root, private_root, status_of  # noqa: F401
from private_root import package_file

MAIN = "myhostname = mx.lab.test\n"
ROOT_EFFECTIVE_ONLY_AROUND_FORK = {"local", "virtual"}
JAILED = {"smtpd", "pickup", "cleanup", "trivial-rewrite", "bounce", "flush", "smtp", "showq", "error", "discard"}


@pytest.fixture(scope="session")
def debian_files(tmp_path_factory):
    """main.cf and master.cf as Debian's postfix package has them; nothing else of it is used."""
    package = package_file("postfix")
    if package is None:
        pytest.skip("Debian's postfix package cannot be had")
    directory = tmp_path_factory.mktemp("stock")
    subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    texts = []
    for name in ("main.cf.debian", "master.cf.dist"):
        with open(f"{directory}/usr/share/postfix/{name}", encoding="utf-8") as file:
            texts.append(file.read())
    return texts


def stock_3_11(debian_master):
    """The same rows without jail, which is what 3.11 delivers."""
    return re.sub(r"(?m)^(\S+ +(?:inet|unix|unix-dgram) +\S+ +\S+ +)y", r"\1n", debian_master)


def start_and_deliver(root):
    """Package installed, check clean, started, mail by both ways."""
    install(root)
    check = root.run("postfix", "check").output
    lines = [line for line in check.splitlines() if "no program" not in line]
    assert lines == [], check
    assert "service tlsmgr: no program" in check
    root.run("sendmail", "alice", input="Subject: by sendmail\n\nhello\n", user="alice")
    root.run("/usr/bin/python3", "-c", "import smtplib; smtplib.SMTP('127.0.0.1', 25, timeout=20).sendmail('a@lab.test', "
             "['alice@mx.lab.test'], 'Subject: by SMTP\\n\\nhello\\n')")
    wait_until(lambda: len(mailbox(root)) == 2, 20, "two messages\n" + said(root))


def said(root):
    return root.read("/var/log/mail.log") if root.exists("/var/log/mail.log") else ""


def assert_rights(root, jailed, expected=("master", "qmgr", "pickup", "smtpd", "cleanup", "trivial-rewrite", "local")):
    """Every running process: user, groups, capabilities, root directory."""
    uid, gid = (int(root.run("id", option, "postfix").output) for option in ("-u", "-g"))
    seen = set()
    for pid, program in root.daemons().items():
        status = status_of(pid)
        seen.add(program)
        if program == "master":
            assert status["uid"] == [0, 0, 0, 0] and not status["jailed"].endswith("/var/spool/postfix")
            continue
        if program in ROOT_EFFECTIVE_ONLY_AROUND_FORK:
            assert status["uid"] == [0, uid, 0, uid], (program, status)
        else:
            assert status["uid"] == [uid] * 4 and status["gid"] == [gid] * 4, (program, status)
            assert status["permitted"] == 0, (program, status)
        assert status["groups"] == [gid] and status["effective"] == 0, (program, status)
        in_jail = jailed and program in JAILED
        assert status["jailed"].endswith("/var/spool/postfix") == in_jail, (program, status)
    assert set(expected) <= seen, seen


def reload_under_load(root):
    result = load(root, 20, 50, "alice@mx.lab.test")
    assert result["trouble"] == [] and result["codes"] == [0] * 50, (result["trouble"][:5], said(root)[-3000:])
    accepted = set(result["accepted"])
    assert len(accepted) > 100
    wait_until(lambda: len(mailbox(root)) >= len(accepted) + 2, 60, f"{len(accepted)} messages")
    subjects = [re.search(r"(?m)^Subject: (.*)$", text).group(1) for text in mailbox(root)]
    assert len(subjects) == len(accepted) + 2 and accepted <= set(subjects)
    return len(accepted)


def stop_and_remove(root):
    root.run("postfix", "stop")
    assert root.daemons() == {}
    root.run("apt-get", "remove", "-y", "posthouse")
    assert root.daemons() == {}


def test_debians_stock_files_in_a_jail(package_root, debian_files, capsys):  # noqa: F811
    root = package_root
    begin = time.monotonic()
    root.write("/etc/postfix/main.cf", debian_files[0] + MAIN)
    root.write("/etc/postfix/master.cf", debian_files[1])
    start_and_deliver(root)
    first = time.monotonic() - begin
    assert_rights(root, jailed=True)
    count = reload_under_load(root)
    assert_rights(root, jailed=True, expected=("master", "qmgr"))
    with capsys.disabled():
        print(f"\n  stock Debian: {first:.1f} s from apt install to the second message; {count} messages in 20 sessions, "
              "50 reloads, none lost")
    stop_and_remove(root)


def test_the_stock_shape_of_3_11(package_root, debian_files):  # noqa: F811
    root = package_root
    root.write("/etc/postfix/main.cf", "compatibility_level = 3.11\nmaillog_file = /var/log/mail.log\n" + MAIN)
    root.write("/etc/postfix/master.cf", stock_3_11(debian_files[1]))
    start_and_deliver(root)
    assert_rights(root, jailed=False)
    log = said(root)
    for program in ("postfix-script", "master", "smtpd", "cleanup", "qmgr", "local"):
        assert f" postfix/{program}[" in log, program
    assert "lines were lost" not in log
    # A user's own lines: by way of a set-group-ID program and postlogd.
    root.run("postlog", "-t", "script", "from alice", user="alice")
    root.run("sendmail", "-f", "", check=False, user="alice", input="x\n")
    wait_until(lambda: re.search(r" script\[\d+\]: from alice$", said(root), re.M), 5, "the line of postlog")
    wait_until(lambda: re.search(r" postfix/sendmail\[\d+\]: fatal: ", said(root)), 5, "the line of sendmail")
    assert os.stat(root.path("/var/log/mail.log")).st_mode & 0o7777 == 0o600
    stop_and_remove(root)


# --- what a jailed process must still be able to do ---

SYSLOG = r"""
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
try: os.unlink(sys.argv[1])
except FileNotFoundError: pass
s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666)
print("ready", flush=True)
out = open(sys.argv[2], "ab", buffering=0)
while True: out.write(s.recv(65536) + b"\n")
"""


def fake_syslog(root, path, out):
    root.write("/tmp/syslog.py", SYSLOG)
    root.run(f"/usr/bin/python3 /tmp/syslog.py {path} {out} >/tmp/syslog.out 2>&1 & echo $! >/tmp/syslog.pid")
    wait_until(lambda: root.exists(path), 10, path)


def test_jailed_processes_log_to_syslog_in_local_time(package_root, debian_files):  # noqa: F811
    """The connection to /dev/log was made before the jail; the time zone was read before it. A new syslog daemon that listens in the
    jail too, as Debian's rsyslog does, is found again."""
    root = package_root
    root.run("ln -sf /usr/share/zoneinfo/Asia/Kathmandu /etc/localtime")
    root.write("/etc/postfix/main.cf", debian_files[0] + MAIN)
    root.write("/etc/postfix/master.cf", debian_files[1])
    fake_syslog(root, "/dev/log", "/var/log/one")
    start_and_deliver(root)
    connect = r"^<22>(\w{3} [ \d]\d \d\d:\d\d):\d\d postfix/smtpd\[\d+\]: connect from localhost"
    line = wait_until(lambda: re.search(connect, root.read("/var/log/one"), re.M), what="the line of a connection")
    wanted = {root.run("date", f"--date=@{time.time() - ago}", "+%b %e %H:%M").output.strip() for ago in (0, 30, 60)}
    assert line.group(1) in wanted
    assert "(+0545)" in mailbox(root)[0] or "+0545" in mailbox(root)[0]
    root.run("echo 'syslog_facility = local3' >>/etc/postfix/main.cf")
    root.run("postlog", "by another facility")
    wait_until(lambda: re.search(r"(?m)^<158>.* postfix/postlog\[\d+\]: by another facility$", root.read("/var/log/one")), what="the line of postlog")
    # rsyslog starts anew, with a second socket in the jail.
    root.run("kill $(cat /tmp/syslog.pid); rm -f /dev/log; mkdir -p /var/spool/postfix/dev")
    fake_syslog(root, "/var/spool/postfix/dev/log", "/var/log/two")
    root.run("/usr/bin/python3", "-c", "import smtplib; smtplib.SMTP('127.0.0.1', 25, timeout=20).noop()")
    wait_until(lambda: "postfix/smtpd[" in root.read("/var/log/two"), 60, "lines by the socket in the jail")
    root.run("postfix", "stop")
    assert root.daemons() == {}


def test_set_group_id_commands_read_only_listed_configurations(package_root):  # noqa: F811
    """alternate_config_directories, multi_instance_directories."""
    root = package_root
    install(root)
    for name in ("one", "two", "three"):
        root.run(f"cp -r /etc/postfix /etc/{name}")
    root.write("/etc/postfix/main.cf", root.read("/etc/postfix/main.cf") +
               "alternate_config_directories = /etc/one\nmulti_instance_directories = /etc/zero, /etc/two\n")
    for command in ("postlog -c {} text", "postqueue -c {} -p", "MAIL_CONFIG={} postqueue -p"):
        for name, good in (("one", True), ("two", True), ("three", False)):
            done = root.run(command.format(f"/etc/{name}"), user="alice", check=False)
            assert ("unauthorized configuration directory name: /etc/three" in done.output) != good, (command, name, done.output)
            assert (done.returncode == 0) == good, (command, name, done.output)
    assert root.run("postlog -c /etc/three text", check=False).returncode == 0  # root may


def test_set_permissions_repairs_and_follows_no_link(package_root):  # noqa: F811
    root = package_root
    install(root)
    root.run("postfix stop; echo x >/etc/victim; chmod 600 /etc/victim")
    root.run("chmod 755 /usr/sbin/postdrop; chown alice /usr/lib/postfix/sbin/smtpd; chmod 777 /var/spool/postfix/deferred; "
             "chown root /var/spool/postfix/incoming; chown root:root /var/spool/postfix/maildrop; chmod 666 /etc/postfix/main.cf; "
             "echo mail >/var/spool/postfix/deferred/A; ln /etc/victim /var/spool/postfix/hold/B; "
             "ln -s /etc/victim /var/spool/postfix/hold/C; rmdir /var/spool/postfix/saved; ln -s /etc /var/spool/postfix/saved")
    said_before = root.run("postfix", "check").output
    for wanted in ("not set-gid or not owner+group+world executable: /usr/sbin/postdrop", "not owned by root: /usr/lib/postfix/sbin/smtpd",
                   "group or other writable: /var/spool/postfix/deferred", "not owned by postfix: /var/spool/postfix/incoming",
                   "not owned by group postdrop: /var/spool/postfix/maildrop", "group or other writable: /etc/postfix/main.cf"):
        assert wanted in said_before, (wanted, said_before)
    root.run("postfix", "set-permissions")
    # The link in place of a queue is the administrator's, and is only reported.
    after = [line for line in root.run("postfix", "check").output.splitlines() if "/saved" not in line and "unused" not in line]
    assert after == []
    uid = int(root.run("id", "-u", "postfix").output)
    assert os.lstat(root.path("/var/spool/postfix/deferred/A")).st_uid == uid
    for path in ("/etc/victim", "/etc"):
        assert os.stat(root.path(path)).st_uid == 0, path
    assert os.stat(root.path("/etc/victim")).st_mode & 0o7777 == 0o600
    assert os.stat(root.path("/usr/sbin/postdrop")).st_mode & 0o7777 == 0o2555


def test_make_install_lays_out_a_tree_that_works(private_root):  # noqa: F811
    """`make install` as root on the machine itself, without a package."""
    root = private_root
    root.run("rm -rf /etc/postfix /var/spool/postfix; adduser --system --quiet --group --home /var/spool/postfix --no-create-home postfix; "
             "addgroup --system --quiet postdrop; useradd -m alice; "
             "rm -f /var/mail/alice")
    # The tree is mounted read-only here, and meson wants to write down what it installs.
    root.run(f"mount -t tmpfs tmpfs {ROOT}/build/meson/meson-logs; cd {ROOT} && tools/install.sh build build/meson")
    root.run("echo '# a remark of the administrator' >>/etc/postfix/main.cf")
    root.run("postfix start")
    root.run("sendmail", "alice", input="Subject: installed\n\nhello\n", user="alice")
    wait_until(lambda: mailbox(root), 20, "the message")
    assert [line for line in root.run("postfix", "check").output.splitlines() if "unused" not in line] == []
    assert "mailq(1)" not in root.run("man -w mailq sendmail master").output
    # daemon_directory counts where our stamp is, and not where another system's programs may be.
    for stamp, place in (("", "/usr/lib/postfix/sbin"), ("posthouse.stamp", "/opt/sbin")):
        root.run(f"rm -rf /opt/sbin; cp -a /usr/lib/postfix/sbin /opt/sbin; cd /opt/sbin; rm posthouse.stamp; touch ./{stamp or 'other'}")
        root.run("postfix stop; sed -i '/^daemon_directory/d' /etc/postfix/main.cf; echo 'daemon_directory = /opt/sbin' >>/etc/postfix/main.cf")
        started = root.run("postfix", "start").output
        assert ("does not hold programs of ours" in started) == (not stamp)
        # A child that master has forked is called so until it has become its program.
        [master] = wait_until(lambda: (found := [pid for pid, program in root.daemons(place).items() if program == "master"]) and len(found) == 1 and found, 5, "one master")
        assert os.readlink(f"/proc/{master}/exe").endswith(f"{place}/master")
    # Again, over it: the configuration stays.
    root.run(f"cd {ROOT} && tools/install.sh build build/meson")
    assert "# a remark of the administrator" in root.read("/etc/postfix/main.cf")
    root.run("postfix stop")
    assert root.daemons() == {}
