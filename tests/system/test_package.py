"""The Debian package: installed, upgraded, removed and purged in a private root; it asks nothing and leaves nothing running."""
import os
import re
import time

import pytest

from instance import wait_until
from package_helpers import DEB, deb, install, mailbox, package_root, private_root  # noqa: F401

REMOVE = ["apt-get", "remove", "-y", "posthouse"]
PURGE = ["apt-get", "purge", "-y", "posthouse"]


def test_the_package_installs_asks_nothing_delivers_and_goes(package_root, capsys):  # noqa: F811
    root = package_root
    begin = time.monotonic()
    install(root)
    assert "master" in root.daemons().values()
    root.run("sendmail", "alice", input="Subject: first\n\nhello\n", user="alice")
    wait_until(lambda: mailbox(root), 20, "the first message")
    with capsys.disabled():
        print(f"\n  from apt install to the first delivered message: {time.monotonic() - begin:.1f} s")
    [message] = mailbox(root)
    assert "Subject: first" in message
    check = root.run("postfix", "check")
    assert [line for line in check.output.splitlines() if "unused parameter" not in line] == []
    assert root.run("dpkg-query", "-W", "-f", "${Provides}", "posthouse").output == "mail-transport-agent"
    for path, target in (("/usr/lib/sendmail", "../sbin/sendmail"), ("/usr/bin/mailq", "../sbin/sendmail")):
        assert os.readlink(root.path(path)) == target
    group = int(root.run("getent", "group", "postdrop").output.split(":")[2])
    for name in ("postdrop", "postqueue", "postlog"):
        status = os.stat(root.path(f"/usr/sbin/{name}"))
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, group, 0o2555)
    root.run(*REMOVE)
    assert root.daemons() == {}
    assert not root.exists("/usr/sbin/postfix") and not root.exists("/usr/lib/sendmail")
    # The configuration stays until the purge.
    assert root.exists("/etc/postfix/main.cf")
    root.run(*PURGE)
    for path in ("/etc/postfix", "/var/spool/postfix", "/var/lib/posthouse", "/var/lib/postfix", "/etc/init.d/posthouse"):
        assert not root.exists(path), path
    assert root.exists("/etc/aliases") and mailbox(root)


def test_an_existing_configuration_and_waiting_mail_are_kept(package_root):  # noqa: F811
    root = package_root
    mine = "compatibility_level = 3.6\ninet_interfaces = 127.0.0.1\n"
    root.write("/etc/postfix/main.cf", mine)
    install(root)
    assert root.read("/etc/postfix/main.cf") == mine
    assert "smtpd" in root.read("/etc/postfix/master.cf")  # was missing
    root.run("postfix stop")
    root.run("sendmail", "alice", input="Subject: waits\n\nhello\n", user="alice")
    root.run(*REMOVE)
    purged = root.run(*PURGE)
    assert "/var/spool/postfix keeps 1 files with mail" in purged.output
    assert root.read("/etc/postfix/main.cf") == mine and not root.exists("/etc/postfix/master.cf")
    # Installed again, the message is delivered.
    install(root)
    wait_until(lambda: mailbox(root), 20, "the message that waited")


def test_an_upgrade_restarts_and_keeps_what_the_administrator_changed(package_root):  # noqa: F811
    root = package_root
    install(root)
    master = [pid for pid, program in root.daemons().items() if program == "master"]
    root.run("sed -i 's/^inet_interfaces.*/inet_interfaces = 127.0.0.1/' /etc/postfix/main.cf")
    root.run("apt-get", "install", "-y", "--reinstall", DEB)
    after = [pid for pid, program in root.daemons().items() if program == "master"]
    assert len(after) == 1 and after != master
    assert "inet_interfaces = 127.0.0.1" in root.read("/etc/postfix/main.cf")
    root.run("postfix", "set-permissions")
    assert root.run("postfix", "status").output.endswith("\n")


def test_what_was_started_by_hand_is_stopped_by_the_removal(package_root):  # noqa: F811
    root = package_root
    root.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    install(root)
    assert root.daemons() == {}  # where services must not start
    root.run("postfix start")
    assert root.daemons()
    root.run(*REMOVE)
    assert root.daemons() == {}


def test_lintian_finds_no_error(deb):  # noqa: F811
    import shutil
    import subprocess
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed (group deb)")
    done = subprocess.run(["lintian", deb], capture_output=True, text=True, timeout=600, check=False)
    assert not re.search(r"^E: ", done.stdout, re.M), done.stdout
