"""Reads what record.c wrote: the operations of a mail system on its queue, in one order, each file with an identity of its own."""
import collections
import os
import struct

KINDS = ("PROGRAM", "CREATE", "WRITE", "TRUNCATE", "CHMOD", "RENAME", "LINK", "UNLINK", "MKDIR", "SYNC_BEGIN", "SYNC_END",
         "REPLY", "LOG_LINE", "UNKNOWN")
SYNCS = ("file", "data", "system")
ENTRY = struct.Struct("<IIIIQQqIIII")
# What the journal of a file system orders; writes are data.
METADATA = frozenset(("CREATE", "TRUNCATE", "CHMOD", "RENAME", "LINK", "UNLINK", "MKDIR"))
NAMES = frozenset(("CREATE", "RENAME", "LINK", "UNLINK", "MKDIR"))

# `file`: which one, whatever its name and whoever has its inode number later; None for names and words. `sync`: of SYNC_END, the place
# in the list of its SYNC_BEGIN.
Operation = collections.namedtuple("Operation", "kind program process time file path other offset mode data sync")


def entries(path):
    with open(path, "rb") as record:
        raw = record.read()
    at = 0
    while at < len(raw):
        head = ENTRY.unpack_from(raw, at)
        at += ENTRY.size
        parts = []
        for size in head[7:10]:
            parts.append(raw[at:at + size])
            at += size
        yield head, parts[0].decode(), parts[1].decode(), parts[2]


class Files:
    """Numbers of files: an inode number may serve another file after its first has gone."""

    def __init__(self, initial):
        self.by_inode = dict(initial)
        self.count = len(self.by_inode)

    def of(self, kind, inode):
        if inode == 0:
            return None
        if kind == "CREATE" or inode not in self.by_inode:
            self.by_inode[inode] = self.count
            self.count += 1
        return self.by_inode[inode]


def read(path, initial=()):
    """`initial`: {inode: number} of files that were there before, numbers from 0 on."""
    files, programs, begun, operations = Files(initial), {}, {}, []
    for head, name, other, data in entries(path):
        kind, process, thread, mode, time, inode, offset = head[:7]
        kind = KINDS[kind]
        if kind == "PROGRAM":
            programs[process] = os.path.basename(name)
            continue
        if kind == "UNKNOWN":
            raise AssertionError(f"{programs.get(process)} did something to {name!r} that the explorer cannot replay")
        caller, sync = (process, thread, inode, mode), None
        if kind == "SYNC_BEGIN":
            begun[caller] = len(operations)
        elif kind == "SYNC_END":
            sync = begun.pop(caller)
        # A file that was unlinked while it was open.
        name = name.removesuffix(" (deleted)")
        operations.append(Operation(kind, programs.get(process, "?"), process, time, files.of(kind, inode), name, other, offset,
                                    SYNCS[mode] if kind.startswith("SYNC") else mode, data, sync))
    return operations
