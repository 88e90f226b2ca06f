"""A private root with ours installed and a hostile user in it: what the tests of hostile submission share."""
import json
import os
import re
import stat
import time

import pytest

from instance import wait_until
from reference import Ours
from test_submit import parse

CANARY = "/etc/canary"
SECRET = "root:$6$secret:19000:0:99999:7:::\n"


class Machine:
    def __init__(self):
        self.system = Ours()
        self.root = self.system.root
        self.root.add_user("mallory", "-m")
        self.root.write(CANARY, SECRET, 0o600)
        self.root.run("chgrp postdrop /usr/sbin/postlog; chmod 2755 /usr/sbin/postlog; rm -f /etc/cron.d/*")
        self.system.configure(["myhostname = mx.lab.test", "home_mailbox = Maildir/", "transport_maps = inline:{later.test=retry:, gone.test=discard:}"])
        self.maildrop = f"{self.system.queue}/maildrop"
        self.system.start()
        self.uid = int(self.root.run(["id", "-u", "mallory"]).stdout)

    def as_mallory(self, script, *arguments, **options):
        """A Python script of his; what it prints as JSON."""
        options.setdefault("timeout", 100)
        done = self.root.run(["/usr/bin/python3", "-c", PRELUDE + script, *arguments], user="mallory", directory="/tmp", **options)
        return json.loads(done.stdout) if done.stdout else None

    def files(self):
        return {name: self.rows(name) for name in os.listdir(self.maildrop)}

    def rows(self, name):
        with open(f"{self.maildrop}/{name}", "rb") as file:
            return parse(file.read())

    def put(self, name, data, mode=0o744, uid=None, gid=None):
        path = f"{self.maildrop}/{name}"
        with open(path, "wb") as file:
            file.write(data)
        group = os.stat(self.root.path("/usr/sbin/postdrop")).st_gid
        os.chown(path, self.uid if uid is None else uid, group if gid is None else gid)
        os.chmod(path, mode)
        return path

    def unharmed(self):
        assert self.root.read(CANARY) == SECRET
        status = os.stat(self.root.path(CANARY))
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o600)
        assert not self.root.exists("/tmp/gained") and not self.root.exists("/gained")
        log = self.system.log()
        assert not re.search(r"panic|killed by signal|Assertion|core dumped", log), log[-3000:]


# Run inside, as mallory: run() gives (status, output, errors) of a command.
PRELUDE = r"""
import ctypes, json, os, random, resource, signal, subprocess, sys, time
def run(*argv, data=b"", timeout=30, **options):
    done = subprocess.run(argv, input=data, capture_output=True, timeout=timeout, **options)
    return done.returncode, done.stdout, done.stderr
def record(kind, data=b""):
    length, n = b"", len(data)
    while True:
        length += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return bytes([kind]) + length + data
def records(*rows):
    return b"".join(record(row[0], row[1:]) for row in rows)
HEAD = [b"Arewrite_context=local", b"Fme", b"Smallory", b"Rx@gone.test"]
GOOD = records(*HEAD, b"M", b"NSubject: x", b"N", b"Nx", b"X", b"E")
"""


@pytest.fixture(scope="module")
def machine():
    made = Machine()
    try:
        yield made
    finally:
        made.system.destroy()


@pytest.fixture
def up(machine):
    """The mail system runs; at the end it still takes mail."""
    if not machine.system.is_up():
        machine.system.start()
    yield machine
    machine.unharmed()
    subject = f"Subject: probe {time.monotonic()}"
    machine.system.sendmail(subject + "\n\nx\n", "alice", user="bob")
    folder = machine.root.path("/home/alice/Maildir/new")
    wait_until(lambda: os.path.isdir(folder) and any(subject in open(f"{folder}/{n}", encoding="utf-8").read() for n in os.listdir(folder)), 20,
               "mail after the attack\n" + machine.system.log()[-3000:])


@pytest.fixture
def down(machine):
    """The mail system is down, so that maildrop can be looked at."""
    if machine.system.is_up():
        wait_until(lambda: not machine.files(), 20, "an empty maildrop")
        machine.system.stop()
    for name in os.listdir(machine.maildrop):
        os.unlink(f"{machine.maildrop}/{name}")
    yield machine
    machine.unharmed()
    for name in os.listdir(machine.maildrop):
        os.unlink(f"{machine.maildrop}/{name}")
