"""Makes the n-th call of a kind fail in daemons that run: tests/tools/fault_preload.c and the pages that it shares with us.

    control = FaultControl(folder, ["cleanup", "qmgr"])
    server.environment = control.environment
    server.start()
    control.arm("cleanup", "fsync", 3, "EIO")"""
import errno
import mmap
import os
import shutil
import struct
import subprocess

SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools/fault_preload.c")

# The order of `enum kind`, and how each kind fails in reality.
KINDS = {
    "open": "EMFILE", "read": "EIO", "write": "ENOSPC", "fsync": "EIO", "rename": "ENOSPC", "link": "EMLINK", "unlink": "EIO",
    "chmod": "EIO", "truncate": "ENOSPC", "mkdir": "ENOSPC", "stat": "EIO", "time": "EIO", "malloc": "ENOMEM", "map": "ENOMEM",
    "fork": "EAGAIN", "thread": "EAGAIN", "socket": "EMFILE", "connect": "ECONNREFUSED", "accept": "EMFILE", "send": "EPIPE",
    "receive": "ECONNRESET",
}
# The order of `enum action`.
FAIL_ONCE, FAIL_ON, KILL, SHORT = range(4)
PLAN = struct.Struct("=5I")


def why_not():
    """Why calls cannot be made to fail here, or None."""
    return None if shutil.which("cc") else "no compiler for the library that makes calls fail"


class FaultControl:
    def __init__(self, folder, programs):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        library = f"{self.folder}/fault_preload.so"
        subprocess.run(["cc", "-std=gnu17", "-O1", "-Wall", "-Werror", "-fPIC", "-shared", "-o", library, SOURCE], check=True)
        self.environment = {"LD_PRELOAD": library, "FAULT_FOLDER": self.folder}
        self.pages = {program: self.page(program) for program in programs}

    def page(self, program):
        with open(f"{self.folder}/{program}", "w+b") as file:
            file.truncate(PLAN.size * len(KINDS))
            return mmap.mmap(file.fileno(), PLAN.size * len(KINDS))

    def put(self, program, kind, *plan):
        PLAN.pack_into(self.pages[program], PLAN.size * list(KINDS).index(kind), *plan)

    def get(self, program, kind):
        return PLAN.unpack_from(self.pages[program], PLAN.size * list(KINDS).index(kind))

    def arm(self, program, kind, n, error=None, action=FAIL_ONCE):
        self.put(program, kind, 0, n, getattr(errno, error or KINDS[kind]), action, 0)

    def disarm(self):
        for page in self.pages.values():
            page[:] = bytes(len(page))

    def count(self, program, kind):
        """Calls since it was armed or disarmed."""
        return self.get(program, kind)[0]

    def done(self, program, kind):
        """Faults that came."""
        return self.get(program, kind)[4]
