"""An instance that root runs for a mail owner, with users of its own.

The accounts exist only in a mount namespace that the daemons live in (files bound over /etc/passwd and /etc/group), so
nothing of this machine changes, and the namespace ends with the last process."""
import os
import shutil
import subprocess
import tempfile

import pytest

from instance import BIN, Instance

OWNER, DROP = 64101, 64102
USERS = {"victim": 64111, "mallory": 64112}
MAIL_GROUP = 64120

PASSWD = """root:x:0:0:root:{directory}/home/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
phowner:x:{owner}:{owner}::/:/usr/sbin/nologin
"""
GROUP = "root:x:0:\nnogroup:x:65534:\nphowner:x:{owner}:\nphdrop:x:{drop}:\nphmail:x:{mail}:\n"


class RootInstance(Instance):
    def __init__(self, main=(), spool_mode=0o2775):
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            pytest.skip("needs root and unshare")
        top = tempfile.mkdtemp(prefix="posthouse-root-")
        os.chmod(top, 0o755)
        super().__init__(f"{top}/i")
        self.top = top
        os.chmod(self.directory, 0o755)
        os.chmod(self.etc, 0o755)
        shutil.rmtree(self.queue)
        os.mkdir(self.queue, 0o755)
        os.chown(f"{self.directory}/data", OWNER, OWNER)
        self.spool = f"{self.directory}/spool"
        os.mkdir(self.spool)
        os.chown(self.spool, 0, MAIL_GROUP)
        os.chmod(self.spool, spool_mode)
        os.mkdir(f"{self.directory}/home", 0o755)
        self.write_accounts()
        self.write_main(main)

    def write_accounts(self):
        values = {"directory": self.directory, "owner": OWNER, "drop": DROP, "mail": MAIL_GROUP}
        passwd, group = PASSWD.format(**values), GROUP.format(**values)
        for name, uid in USERS.items():
            passwd += f"{name}:x:{uid}:{uid}::{self.home(name)}:/bin/sh\n"
            group += f"{name}:x:{uid}:\n"
            os.mkdir(self.home(name), 0o700)
            os.chown(self.home(name), uid, uid)
        for name, text in (("passwd", passwd), ("group", group)):
            with open(f"{self.directory}/{name}", "w", encoding="utf-8") as file:
                file.write(text)

    def write_main(self, lines):
        with open(f"{self.etc}/main.cf", "w", encoding="utf-8") as file:
            file.write("compatibility_level = 3.11\nmail_owner = phowner\nsetgid_group = phdrop\n"
                       f"queue_directory = {self.queue}\ndata_directory = {self.directory}/data\n"
                       f"maillog_file = {self.log_path}\nmaillog_file_prefixes = {self.directory}/log\n"
                       "inet_interfaces = 127.0.0.1\nmynetworks = 127.0.0.0/8\nmyhostname = mx.lab.test\n"
                       "mydestination = $myhostname localhost\nalias_maps =\nlocal_recipient_maps =\n"
                       f"mail_spool_directory = {self.spool}\nsmtpd_peername_lookup = no\nservice_throttle_time = 1s\n"
                       "minimal_backoff_time = 300s\n")
            file.write("".join(line + "\n" for line in lines))

    def home(self, user):
        return f"{self.directory}/home/{user}"

    def command(self, name, *arguments, check=True, **options):
        """Everything runs where the accounts exist."""
        options.setdefault("capture_output", True)
        options.setdefault("timeout", 60)
        script = (f"mount --make-rprivate / && mount --bind {self.directory}/passwd /etc/passwd && "
                  f"mount --bind {self.directory}/group /etc/group && exec \"$@\"")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", f"{BIN}/{name}", "-c", self.etc, *arguments],
                              text=True, env=dict(os.environ, **self.environment), **options)
        if check:
            assert done.returncode == 0, (name, arguments, done.returncode, done.stdout, done.stderr)
        return done

    def destroy(self):
        super().destroy()
        shutil.rmtree(self.top, ignore_errors=True)

    def deliver(self, *users, text="Subject: x\r\n\r\nbody\r\n", sender="s@a.test"):
        with self.smtp() as client:
            client.sendmail(sender, [f"{user}@localhost" for user in users], text)
