"""A file system of its own on a loop device whose power can be cut: the shutdown ioctl of ext4 and XFS.

NOLOGFLUSH throws away what was not synced, renames included; LOGFLUSH keeps the journal, which leaves the famous
zero-length files. After `cut` every call on it fails, as for a machine that is off; `restore` is the next boot."""
import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import time

SHUTDOWN = 0x8004587D
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
LOGFLUSH, NOLOGFLUSH = 1, 2


def own_mounts():
    """From now on what this process mounts is its own: a copy in somebody else's namespace would keep a dead file system alive."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "mount namespace")


class CuttableDisk:
    def __init__(self, directory, kind="ext4", megabytes=1000, options=()):
        """`options` are more of mkfs."""
        own_mounts()
        self.image, self.mount_point, self.kind = f"{directory}/disk.img", f"{directory}/d", kind
        os.makedirs(self.mount_point)
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        make = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q"]}[kind]
        subprocess.run([*make, *options, self.image], check=True, capture_output=True)
        self.mounted = False
        self.restore()

    def restore(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.mount_point], check=True, capture_output=True)
        self.mounted = True

    def cut(self, flavour):
        fd = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", flavour))
        finally:
            os.close(fd)

    def users(self):
        """Processes that work on it."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd").startswith(self.mount_point):
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def remove_power(self):
        """What runs on it dies, and the disk is off."""
        for _ in range(100):
            users = self.users()
            for pid in users:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            done = subprocess.run(["umount", self.mount_point], capture_output=True)
            if done.returncode == 0:
                self.mounted = False
                return
            time.sleep(0.05)
        raise AssertionError(f"cannot unmount: {done.stderr}, used by {users}")

    def destroy(self):
        if self.mounted:
            self.remove_power()
        os.unlink(self.image)


def why_not():
    """Why power cannot be cut on this machine, or None."""
    if os.geteuid() != 0:
        return "needs root for a loop device"
    probe = subprocess.run(["unshare", "-m", "sh", "-c", "t=$(mktemp -d) && truncate -s 16M $t/i && mkfs.ext4 -q -F $t/i && mkdir $t/d && "
                            "mount -o loop $t/i $t/d; s=$?; umount $t/d 2>/dev/null; rm -rf $t; exit $s"], capture_output=True, text=True)
    return None if probe.returncode == 0 else "no loop devices: " + probe.stderr.strip()
