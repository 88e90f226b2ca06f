"""What the tests of the package and of a stock configuration share."""
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from instance import ROOT
from private_root import ENVIRONMENT, PrivateRoot

DEB = "/tmp/package/posthouse.deb"

# Inside the private root: SESSIONS clients that send messages one after the other while `postfix reload` is run RELOADS times.
LOAD = r"""
import json, smtplib, subprocess, sys, threading, time
sessions, reloads, recipient = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
stop, accepted, trouble, lock = threading.Event(), [], [], threading.Lock()

def client(number):
    count = 0
    while not stop.is_set():
        try:
            with smtplib.SMTP("127.0.0.1", 25, timeout=30) as server:
                server.ehlo("load.test")
                for _ in range(5):
                    name = f"{number}-{count}"
                    count += 1
                    server.sendmail("sender@load.test", [recipient], f"Subject: {name}\n\nbody of {name}\n")
                    with lock:
                        accepted.append(name)
        except Exception as error:
            with lock:
                trouble.append(repr(error))

threads = [threading.Thread(target=client, args=(i,)) for i in range(sessions)]
for t in threads: t.start()
time.sleep(1)
codes = []
for _ in range(reloads):
    codes.append(subprocess.run(["postfix", "reload"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode)
    time.sleep(0.05)
time.sleep(0.5)
stop.set()
for t in threads: t.join()
print(json.dumps({"accepted": accepted, "trouble": trouble, "codes": codes}))
"""


@functools.cache
def built():
    """Path of the package, as `make deb` builds it; once a process, while a fixture that several modules import is made for each."""
    done = subprocess.run([f"{ROOT}/tools/deb.sh", f"{ROOT}/build/deb"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.split()[-1]


@pytest.fixture(scope="session")
def deb():
    """The package. POSTHOUSE_DEB names one that is there already."""
    if os.environ.get("POSTHOUSE_DEB"):
        return os.environ["POSTHOUSE_DEB"]
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if subprocess.run(["sh", "-c", "command -v dh && command -v dpkg-buildpackage"], stdout=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("debhelper is not installed (group deb)")
    return built()


class PackageRoot(PrivateRoot):
    """One in which packages start their services, and whose output is no pipe, as daemons would hold that open."""

    def __init__(self):
        super().__init__()
        # What is said on a machine whose init system is running; without any, and without a policy, nothing is started.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n", 0o755)
        self.run("rm -f /sbin/runlevel")
        self.write("/sbin/runlevel", "#!/bin/sh\necho N 2\n", 0o755)

    def run(self, *argv, check=True, user=None, **options):
        """argv, or one string for sh. `output` of the result is all that was said."""
        command = ["sh", "-c", argv[0]] if len(argv) == 1 else list(argv)
        options.setdefault("timeout", 600)
        if "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run(self.argv(command, user), stdout=out, stderr=subprocess.STDOUT, text=True, check=False,
                                  env=ENVIRONMENT, **options)
            out.seek(0)
            done.output = out.read()
        assert not check or done.returncode == 0, (argv, done.returncode, done.output)
        return done

    def copy(self, source, inside):
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        shutil.copy(source, self.path(inside))

    def daemons(self, place="/lib/postfix/sbin"):
        """{number: program} of what runs from there."""
        found = {}
        for pid in self.processes():
            try:
                program = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if f"{place}/" in program:
                found[pid] = os.path.basename(program).replace(" (deleted)", "")
        return found


@pytest.fixture
def private_root():
    with PackageRoot() as root:
        yield root


@pytest.fixture
def package_root(private_root, deb):
    """A private root with the package to install at DEB, and a user alice."""
    private_root.copy(deb, DEB)
    private_root.run("rm -rf /etc/postfix /var/spool/postfix; useradd -m alice; rm -f /var/mail/alice")
    return private_root


def install(root):
    return root.run("apt-get", "install", "-y", "--no-install-recommends", DEB)


def mailbox(root, user="alice"):
    """The messages in /var/mail/USER."""
    if not root.exists(f"/var/mail/{user}"):
        return []
    text = root.read(f"/var/mail/{user}")
    return ["From " + part for part in re.split(r"(?m)^From ", text)[1:]]


def load(root, sessions, reloads, recipient):
    root.write("/tmp/load.py", LOAD)
    done = root.run("/usr/bin/python3", "/tmp/load.py", str(sessions), str(reloads), recipient)
    return json.loads(done.output.splitlines()[-1])


def status_of(pid):
    """uid, gid, groups, capabilities and root directory of a process, from /proc."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {
        "uid": [int(n) for n in status["Uid"].split()],
        "gid": [int(n) for n in status["Gid"].split()],
        "groups": [int(n) for n in status["Groups"].split()],
        "effective": int(status["CapEff"], 16),
        "permitted": int(status["CapPrm"], 16),
        "jailed": os.readlink(f"/proc/{pid}/root"),
    }
