"""An instance of root's with users, aliases and .forward files of a test's own: what the tests of local share."""
import os

from instance import wait_until
from root_instance import USERS, RootInstance

ENVIRONMENT = "#!/bin/sh\nexec >{out}.new.$USER 2>&1\nid -u; id -G; pwd\nfor a; do echo \"arg[$a]\"; done\nenv | grep -v ^_= | sort\necho ---\ncat\nmv {out}.new.$USER {out}.$USER\n"


class LocalLab:
    def __init__(self):
        self.server = RootInstance()
        self.out = f"{self.server.directory}/out"
        os.mkdir(self.out)
        os.chmod(self.out, 0o777)
        self.write(f"{self.out}/show", ENVIRONMENT.format(out=f"{self.out}/seen"), mode=0o755)
        self.write(f"{self.out}/end", "#!/bin/sh\ncat >/dev/null\nstatus=$1\nshift\ntest -n \"$*\" && echo \"$*\"\nexit $status\n", mode=0o755)

    def write(self, path, text, mode=0o644, user=None):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("{out}", self.out))
        if user is not None:
            os.chown(path, USERS[user], USERS[user])
        os.chmod(path, mode)
        return path

    def forward(self, user, text, name=".forward", mode=0o644, owner=None):
        return self.write(f"{self.server.home(user)}/{name}", text, mode, owner or user)

    def start(self, *main, aliases=""):
        etc = self.server.etc
        self.write(f"{etc}/aliases", aliases)
        lines = [f"alias_maps = texthash:{etc}/aliases", "home_mailbox = Maildir/", "recipient_delimiter = +", "default_privs = nobody",
                 "transport_maps = inline:{ {other.test = discard:} {a.test = discard:} }", "relay_domains = other.test a.test", *main]
        names = {line.split("=")[0].strip() for line in main}
        usual = lines[:len(lines) - len(main)]
        self.server.write_main([line for line in usual if line.split("=")[0].strip() not in names] + list(main))
        self.server.start()

    def send(self, *users, sender="s@a.test", text="Subject: x\r\n\r\nbody\r\n"):
        with self.server.smtp() as client:
            client.sendmail(sender, [f"{user}@localhost" for user in users], text)

    def logs(self, words):
        return self.server.wait_log(words)

    def mails(self, user, count=1):
        folder = f"{self.server.home(user)}/Maildir/new"
        wait_until(lambda: os.path.isdir(folder) and len(os.listdir(folder)) >= count, 20, f"mail for {user}\n" + self.server.log()[-3000:])
        texts = []
        for name in sorted(os.listdir(folder)):
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                texts.append(file.read())
        assert len(texts) == count
        return texts

    def no_mail(self, user):
        folder = f"{self.server.home(user)}/Maildir/new"
        assert not os.path.isdir(folder) or not os.listdir(folder)

    def seen(self, name):
        """What the command `show` saw for this USER: lines, and the bytes of the message."""
        path = f"{self.out}/seen.{name}"
        wait_until(lambda: os.path.exists(path), 20, "the command\n" + self.server.log()[-3000:])
        with open(path, "rb") as file:
            head, _, body = file.read().partition(b"---\n")
        os.unlink(path)
        return head.decode().splitlines(), body
