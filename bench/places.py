"""Where the contestants' queues, logs and mailboxes lie: a folder of the file system of this tree, or a journaled ext4
image on a loop device that is made for the run. Also how long a sync takes there."""
import os
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(ROOT, "build/bench")
IMAGE_MB = 6000
IMAGE_INODES = 1000000  # room for two queues of 200,000 messages
sys.path.insert(0, os.path.join(ROOT, "tests/system"))
import power_cut  # noqa: E402


class Place:
    """`directory` exists from `prepare` to `destroy`."""

    def __init__(self):
        self.directory = f"{WORK}/{self.name}"

    @staticmethod
    def why_not():
        """Why it cannot be had on this machine, or None."""

    def prepare(self):
        """What an earlier run that was killed left goes first."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.part_contestants()

    def destroy(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def part_contestants(self):
        """ext4 passes over inodes that were deleted within the last minutes, one by one, whenever it makes a file in their block group: with
        this flag each contestant's folder is in a group of its own, and none pays for what another, or an earlier run, deleted."""
        subprocess.run(["chattr", "+T", self.directory], check=False, capture_output=True)

    def folder(self, name):
        path = f"{self.directory}/{name}"
        os.makedirs(path, exist_ok=True)
        return path

    def remove(self, name):
        shutil.rmtree(f"{self.directory}/{name}")

    def describe(self):
        """How the kernel has it mounted: device, type, options."""
        done = subprocess.run(["findmnt", "-no", "SOURCE,FSTYPE,OPTIONS", "-T", self.directory], capture_output=True, text=True)
        return " ".join(done.stdout.split("\n")[0].split())

    def sync(self):
        """What earlier samples left unwritten is no cost of the next."""
        subprocess.run(["sync", "-f", self.directory], check=True)

    def sync_latency(self, count=500):
        """(median, p99) in microseconds of appending 4 KB and fdatasync."""
        took = []
        fd = os.open(f"{self.directory}/probe", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        try:
            for _ in range(count):
                start = time.perf_counter()
                os.write(fd, b"x" * 4096)
                os.fdatasync(fd)
                took.append((time.perf_counter() - start) * 1e6)
        finally:
            os.close(fd)
            os.unlink(f"{self.directory}/probe")
        return statistics.median(took), sorted(took)[int(count * 0.99)]


class Plain(Place):
    name = "plain"
    title = "the file system of the source tree"


class Ext4(Place):
    """Its blocks are written once before, so that no sample pays for allocating them in the image's file."""

    name = "ext4"
    title = "an ext4 image on a loop device"

    def __init__(self):
        super().__init__()
        self.image, self.mounted = f"{WORK}/ext4.img", False

    @staticmethod
    def why_not():
        return power_cut.why_not()

    def prepare(self):
        super().prepare()
        power_cut.own_mounts()
        subprocess.run(["dd", "if=/dev/zero", f"of={self.image}", "bs=1M", f"count={IMAGE_MB}", "conv=fsync"], check=True,
                       capture_output=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-N", str(IMAGE_INODES), "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image],
                       check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.directory], check=True, capture_output=True)
        self.mounted = True
        self.part_contestants()

    def destroy(self):
        """What holds a file open on it dies with its private root a moment before: wait for that."""
        for _ in range(100 if self.mounted else 0):
            if subprocess.run(["umount", self.directory], capture_output=True).returncode == 0:
                self.mounted = False
                break
            time.sleep(0.1)
        if self.mounted:
            subprocess.run(["umount", "-l", self.directory], check=True)
        if os.path.exists(self.image):
            os.unlink(self.image)
        super().destroy()


PLACES = {place.name: place for place in (Plain, Ext4)}
