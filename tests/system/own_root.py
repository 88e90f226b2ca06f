"""A root of its own for tests that install packages: mount, network and process namespaces, an overlay on tmpfs over the machine's
root. What is done inside is gone afterwards, and so is every process."""
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from instance import wait_until

# Reaps what is orphaned inside, as process 1.
INIT = """
import os, signal, sys
print("ready", flush=True)
while True:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        signal.sigtimedwait([signal.SIGCHLD], 0.2)
"""

SETUP = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o size=2g tmpfs "$T"
mkdir "$T/up" "$T/work" "$T/root"
mount -t overlay -o "lowerdir=/,upperdir=$T/up,workdir=$T/work" overlay "$T/root"
mount -t tmpfs -o mode=755 tmpfs "$T/root/dev"
for name in null zero full random urandom tty; do
    touch "$T/root/dev/$name"
    mount --bind "/dev/$name" "$T/root/dev/$name"
done
ln -s /proc/self/fd "$T/root/dev/fd"
mount -t tmpfs tmpfs "$T/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$T/root/tmp"
mount -t proc proc "$T/root/proc"
ip link set lo up
rm -f "$T/root/usr/sbin/policy-rc.d"
# Says what it says on a machine whose init system is running: packages then start their services.
rm -f "$T/root/sbin/runlevel"
printf '#!/bin/sh\necho N 2\n' >"$T/root/sbin/runlevel"
chmod 755 "$T/root/sbin/runlevel"
exec chroot "$T/root" /usr/bin/python3 -c "$INIT"
"""


class PrivateRoot:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="posthouse-root-")
        self.process = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", SETUP],
                                        env=dict(os.environ, T=self.directory, INIT=INIT), stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            self.destroy()
            pytest.skip("no namespaces or no overlay here")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            self.init = int(file.read().split()[0])
        self.root = f"/proc/{self.init}/root"

    def run(self, *argv, check=True, user=None, **options):
        """In the private root: argv, or one string for sh."""
        command = ["sh", "-c", argv[0]] if len(argv) == 1 else list(argv)
        enter = ["nsenter", f"--target={self.init}", "--mount", "--net", "--pid", f"--root={self.root}", f"--wd={self.root}"]
        if user:
            command = ["runuser", "-u", user, "--"] + command
        options.setdefault("timeout", 120)
        options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
        if options["stdin"] is None:
            del options["stdin"]
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        with tempfile.TemporaryFile("w+") as out:  # not a pipe: daemons would hold it open
            done = subprocess.run(enter + command, stdout=out, stderr=subprocess.STDOUT, text=True, env=env, check=False, **options)
            out.seek(0)
            done.output = out.read()
        assert not check or done.returncode == 0, (argv, done.returncode, done.output)
        return done

    def path(self, name):
        return self.root + name

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def copy(self, source, name):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        shutil.copy(source, self.path(name))

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def processes(self, place="/lib/postfix/sbin"):
        """{pid outside: program} of our daemons inside."""
        found = {}
        namespace = os.readlink(f"/proc/{self.init}/ns/pid")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") == namespace:
                    program = os.readlink(f"/proc/{pid}/exe")
                    if f"{place}/" in program:
                        found[int(pid)] = os.path.basename(program).replace(" (deleted)", "")
            except OSError:
                pass
        return found

    def destroy(self):
        self.process.send_signal(signal.SIGKILL)  # --kill-child: process 1 ends, and with it all others
        self.process.wait()
        self.process.stdout.close()
        wait_until(lambda: not getattr(self, "init", 0) or not self.processes_left(), 20, "the end of all processes")
        os.rmdir(self.directory)

    def processes_left(self):
        return os.path.exists(f"/proc/{self.init}")


@pytest.fixture
def private_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made = PrivateRoot()
    yield made
    made.destroy()
