"""A root file system of a test's own: an overlay over the machine's in mount, pid, UTS and network namespaces.

    with PrivateRoot() as root:
        root.unpack_package("postfix", "bookworm-backports")
        root.run(["postfix", "start"])

All writes go to a tmpfs that dies with the root; the machine's files are never touched. In it: /tmp, /run and /dev are its own,
this source tree is mounted read-only at its usual path, and, with a network of its own (the default), loopback is up, so that
all of 127/8, ::1 and every port are free. One process keeps it alive; whatever runs inside ends with it."""
import ctypes
import fcntl
import glob
import os
import shlex
import signal
import socket
import subprocess
import threading

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, "build/packages")
MOUNT_POINT = os.path.join(ROOT, "build/private-root")  # every root mounts here, each in its own namespace
CLONE_NEWNET = 0x40000000
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}

PREPARE = """set -e
mount -t tmpfs tmpfs {at}
mkdir {at}/upper {at}/work {at}/root
mount -t overlay overlay -o lowerdir=/,upperdir={at}/upper,workdir={at}/work {at}/root
cd {at}/root
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do cp -a /dev/$name dev/; done
mkdir -m 1777 dev/shm
mkdir dev/pts
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p ./{tree}
mount --bind {tree} ./{tree}
mount -o remount,bind,ro ./{tree}
{binds}
{network}
# Orphans are reaped by themselves.
trap '' CHLD
exec chroot . /bin/sh -c 'echo ready; exec sleep 100000' </dev/null 2>/dev/null
"""


def why_not():
    """Why this machine cannot have private roots, or None."""
    if os.geteuid() != 0:
        return "a private root needs root"
    with open("/proc/filesystems", encoding="utf-8") as file:
        if "overlay" not in file.read():
            return "this kernel has no overlay file system"
    return None


class PrivateRoot:
    def __init__(self, network=True, binds=()):
        """`binds`: (host directory, path inside) pairs, mounted writable. network=False: the machine's own network."""
        reason = why_not()
        if reason:
            pytest.skip(reason)
        os.makedirs(MOUNT_POINT, exist_ok=True)
        self.network = network
        lines = [f"mkdir -p ./{inside}; mount --bind {shlex.quote(host)} ./{inside}" for host, inside in binds]
        script = PREPARE.format(at=shlex.quote(MOUNT_POINT), tree=shlex.quote(ROOT), binds="\n".join(lines),
                                network="ip link set lo up" if network else "")
        spaces = ["-m", "-p", "-u"] + (["-n"] if network else [])
        # Ends with this process even when that is killed.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, "--fork", "--kill-child", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            errors = self.process.stderr.read()
            self.process.wait()
            pytest.skip(f"no private root here: {errors.strip()[-300:]}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as file:
            self.pid = int(file.read().split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.destroy()

    def destroy(self):
        """Ends all processes inside; with the last of them namespaces and mounts are gone. May be called twice."""
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)  # pid 1: the kernel ends all others before it is reaped
            self.process.wait(30)
        self.process.stdout.close()
        self.process.stderr.close()

    # --- files ---

    def path(self, inside):
        """The host's path of a file inside (which must not lie under a symbolic link that begins with a slash)."""
        return f"/proc/{self.pid}/root{inside}"

    def read(self, inside):
        with open(self.path(inside), encoding="utf-8", errors="replace") as file:
            return file.read()

    def write(self, inside, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        with open(self.path(inside), "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        os.chmod(self.path(inside), mode)

    def exists(self, inside):
        return os.path.lexists(self.path(inside))

    # --- processes ---

    def argv(self, argv, user=None, directory="/"):
        """What the host runs so that `argv` runs inside; `user` is a name or number, with its own group and no others."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-r"] + (["-n"] if self.network else [])
        if user is None:
            return enter + ["--", "env", "-C", directory, *argv]
        return enter + ["--", "setpriv", f"--reuid={user}", f"--regid={self.group(user)}", "--clear-groups", "env", "-C", directory,
                        *argv]

    def group(self, user):
        for line in self.read("/etc/passwd").splitlines():
            fields = line.split(":")
            if str(user) in (fields[0], fields[2]):
                return fields[3]
        return str(user)

    def popen(self, argv, user=None, directory="/", env=None, **options):
        return subprocess.Popen(self.argv(argv, user, directory), env=dict(ENVIRONMENT, **(env or {})), **options)

    def run(self, argv, user=None, directory="/", env=None, check=True, **options):
        """subprocess.run inside, output captured as text unless said otherwise. `argv` may be text for sh."""
        if isinstance(argv, str):
            argv = ["sh", "-c", argv]
        if "stdout" not in options and "stderr" not in options:
            options.setdefault("capture_output", True)
        options.setdefault("timeout", 600)
        options.setdefault("text", True)
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(self.argv(argv, user, directory), env=dict(ENVIRONMENT, **(env or {})), check=False, **options)
        if check:
            assert done.returncode == 0, (argv, done.returncode, done.stdout, done.stderr)
        return done

    def processes(self):
        """Numbers (the machine's) of what runs inside, but the keeper."""
        space = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if int(pid) != self.pid and os.readlink(f"/proc/{pid}/ns/pid") == space:
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def add_user(self, name, *options):
        self.run(["useradd", *options, name])

    # --- network ---

    def connect(self, port, address="127.0.0.1", source=None, timeout=30):
        """A connected socket of the root's network, for use by this process."""
        if not self.network:
            return socket.create_connection((address, port), timeout, (source, 0) if source else None)
        result = []

        def enter():
            # A thread has a network namespace of its own; a socket stays in that where it was made.
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                with open(f"/proc/{self.pid}/ns/net", "rb") as space:
                    if libc.setns(space.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                result.append(socket.create_connection((address, port), timeout, (source, 0) if source else None))
            except OSError as error:
                result.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]

    # --- packages ---

    def install_deb(self, path, *options):
        """dpkg -i inside; the package's scripts start no service."""
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        if not path.startswith(ROOT):
            with open(path, "rb") as file:
                self.write("/tmp/package.deb", file.read())
            path = "/tmp/package.deb"
        return self.run(["dpkg", "-i", *options, path])

    def unpack_package(self, name, suite=""):
        """The files of a Debian package, without its scripts; skips when it cannot be had."""
        file = package_file(name, suite)
        if file is None:
            pytest.skip(f"package {name} cannot be had here")
        # dpkg -x would put a directory in the place of the link /lib.
        self.run(f"dpkg --fsys-tarfile {shlex.quote(file)} | tar -x -C / --keep-directory-symlink")
        self.run(["ldconfig"])


def repository():
    """The machine's Debian repository, as apt knows it, and its suite; None without one."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"],
                          capture_output=True, text=True)
    for line in done.stdout.splitlines():
        uri, suite, component = line.split()
        if component == "main" and "-" not in suite and os.path.exists(KEYRING):
            return uri, suite
    return None


def package_file(name, suite=""):
    """Path of the package's file under build/packages, downloaded once; None when it cannot be had. `suite` is "" or one beside
    the machine's own ("bookworm-backports"). Lists and downloads are ours: the machine's apt is asked only where its mirror is."""
    directory = os.path.join(CACHE, suite or "main")
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/lock", "w", encoding="utf-8") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        return package_in(directory, name) or download(directory, name, suite)


def package_in(directory, name):
    return next(iter(glob.glob(f"{directory}/{name}_*.deb")), None)


def download(directory, name, suite):
    place = repository()
    if place is None:
        return None
    os.makedirs(f"{directory}/lists/partial", exist_ok=True)
    os.makedirs(f"{directory}/cache/archives/partial", exist_ok=True)
    with open(f"{directory}/sources.list", "w", encoding="utf-8") as file:
        file.write(f"deb [signed-by={KEYRING}] {place[0]} {suite or place[1]} main\n")
    apt = ["apt-get", "-o", f"Dir::State::lists={directory}/lists", "-o", f"Dir::Cache={directory}/cache", "-o",
           f"Dir::Etc::sourcelist={directory}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Sandbox::User=root"]
    for argv in (["update"], ["download", name]):
        done = subprocess.run(apt + argv, cwd=directory, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            return None
    return package_in(directory, name)
