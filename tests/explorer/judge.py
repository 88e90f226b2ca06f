"""What must be in the queue after a crash and recovery, and what must not."""
import collections
import os
import re
import stat
import struct

from disk import File, Write, assemble

QUEUES = ("incoming", "active", "deferred", "hold", "maildrop")
READY = 0o700
WINDOW = 2.0  # seconds after which a removal that was noted counts for good
KNOWN = frozenset(bytes([byte]) for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz<>")
REFUSED = b"this message is refused"

# A record of a segment (queue/commit_segment.c), up to its id.
RECORD, RECORD_MAGIC, RECORD_SIZE, BLOCK = struct.Struct("<IIQqqIIQ"), 0x43524850, 48 + 64, 4096
# A message without a name, as its record tells.
Unnamed = collections.namedtuple("Unnamed", "id place content")

# `acknowledged`, `gone`: places in the history of its 250 and of the removal of its file. `done`: how many recipients were marked when
# it was put into deferred, at `waits`. `logged`: the commit log has it.
Message = collections.namedtuple("Message", "id content acknowledged gone logged waits done")


def records(data):
    """[(type, start of data, data)]; stops at what is no record."""
    found, at = [], 0
    while at < len(data):
        kind, length, shift = data[at:at + 1], 0, 0
        if kind not in KNOWN:
            return found, False
        at += 1
        while at < len(data) and shift < 35:
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        else:
            return found, False
        if at + length > len(data):
            return found, False
        found.append((kind, at, data[at:at + length]))
        at += length
    return found, True


def masked(data):
    """Without what is changed in place: marks, sizes, time of the next warning."""
    out = bytearray(data)
    for kind, start, value in records(data)[0]:
        if kind == b"D":
            out[start - 1 - varint_size(len(value))] = ord("R")
        if kind in b"Cw" or kind == b"W":
            out[start:start + len(value)] = b" " * len(value)
    return bytes(out)


def varint_size(value):
    size = 1
    while value > 127:
        value, size = value >> 7, size + 1
    return size


def is_whole(data):
    """A reader would take it for a finished message: the size record fits, an end record, nothing behind it."""
    found, complete = records(data)
    kinds = [kind for kind, _, _ in found]
    if not complete or len(found) < 4 or kinds[:2] != [b"C", b"T"] or kinds[-1] != b"E" or b"M" not in kinds or b"X" not in kinds:
        return False
    try:
        size, offset = [int(word) for word in found[0][2].split()[:2]]
    except ValueError:
        return False
    return any(kind == b"X" and start - 2 == offset + size for kind, start, _ in found)


def has_holes(data, wanted):
    """The same but for zeros."""
    return len(data) == len(wanted) and all(byte == 0 for byte, other in zip(data, wanted) if byte != other)


def marks(data):
    return sum(kind == b"D" for kind, _, _ in records(data)[0])


def unnamed_messages(batch):
    """Of what is written to a segment at once."""
    at = 0
    while at + RECORD_SIZE <= len(batch):
        magic, _, _, _, _, _, size, word = RECORD.unpack_from(batch, at)
        if magic != RECORD_MAGIC:
            at = (at // BLOCK + 1) * BLOCK
            continue
        place = word >> 8
        if place != 0:
            queue_id = batch[at + 48:at + RECORD_SIZE].split(b"\0")[0].decode()
            path = f"commit/slots/{place - 1 >> 32}/{place - 1 & 0xffffffff}"
            yield Unnamed(queue_id, path, batch[at + RECORD_SIZE:at + RECORD_SIZE + size])
        at += RECORD_SIZE + (size + 7) // 8 * 8


class Live:
    """The queue as the programs saw it, to learn what each message looked like."""

    def __init__(self):
        self.names, self.files, self.logged = {}, collections.defaultdict(File), []

    def step(self, index, op):
        if op.kind == "CREATE":
            self.names[op.path], self.files[op.file] = op.file, File()
        elif op.kind == "WRITE":
            self.files[op.file].writes.append(Write(index, op.offset, op.data))
            if op.path.startswith("commit/") and op.path.endswith(".log"):
                self.logged.append(op.data)
        elif op.kind == "TRUNCATE":
            self.files[op.file].cuts.append((index, op.offset))
        elif op.kind in ("RENAME", "LINK"):
            self.names[op.other] = op.file
        if op.kind in ("RENAME", "UNLINK"):
            self.names.pop(op.path, None)

    def content(self, path, index):
        """Of the file of that name."""
        writes, least = self.files[self.names[path]].era(index)
        return bytes(assemble(writes, least, None)[1])


def is_end(op):
    """Is the message over? Its file is removed, or goes to the pool of files that are used again; where it has no name, its first byte
    says so, or it is cut off."""
    if op.kind == "WRITE":
        return op.data == b"\0" and op.offset == 0
    return op.kind in ("UNLINK", "TRUNCATE") or op.kind == "RENAME" and op.other.split("/")[0] not in QUEUES


def messages_of(operations):
    """What a history promises. A message may be over before its 250 is on its way: it is looked at when its file gets its name."""
    live, found, born, gone, waits, lies = Live(), {}, {}, {}, {}, {}
    for index, op in enumerate(operations):
        name = lies.get(op.path, op.path.rpartition("/")[2])
        if op.kind == "WRITE" and re.fullmatch(r"commit/\d+\.log", op.path):
            for message in unnamed_messages(op.data):
                lies[message.place], born[message.id] = message.id, masked(message.content)
        if op.kind == "REPLY":
            queue_id = re.search(rb": queued as (\w+)", op.data)[1].decode()
            logged = any(queue_id.encode() in data for data in live.logged)
            found[queue_id] = Message(queue_id, born[queue_id], index, None, logged, None, 0)
        if (op.path.split("/")[0] in QUEUES or op.path in lies) and is_end(op):
            gone.setdefault(name, index)
        if op.kind == "RENAME" and op.other.startswith("deferred/"):
            waits[name] = (index, marks(live.content(op.path, index)))
        live.step(index, op)
        if op.path in lies and (op.kind == "RENAME" or is_end(op)):
            del lies[op.path]
        if op.kind == "RENAME" and op.path.startswith("commit/") and op.other.split("/")[0] in QUEUES:
            born.setdefault(op.other.rpartition("/")[2], masked(live.content(op.other, index + 1)))
    return {name: m._replace(gone=gone.get(name), waits=waits.get(name, (None, 0))[0], done=waits.get(name, (None, 0))[1])
            for name, m in found.items()}


def files_below(top):
    for entry in os.scandir(top):
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path)
        else:
            yield entry.path


class Judge:
    def __init__(self, operations):
        self.operations, self.messages, self.seen = operations, messages_of(operations), {}

    def quality(self, name, data):
        """What a file of that id is: (whole, torn, holed, foreign or refused; marks). A reader takes all but `torn`."""
        key = (name, data)
        if key not in self.seen:
            message = self.messages.get(name)
            if message is not None and masked(data) == message.content:
                kind = "whole"
            elif not is_whole(data):
                kind = "torn"
            elif message is not None and has_holes(masked(data), message.content):
                kind = "holed"
            else:
                kind = "refused" if REFUSED in data else "foreign"
            self.seen[key] = kind, marks(data)
        return self.seen[key]

    def outcome(self, queue):
        """[(queue, id, quality, marks)] of what qmgr would take: a ready file whose name is a queue id."""
        found = []
        for name in QUEUES:
            for path in files_below(f"{queue}/{name}"):
                queue_id = os.path.basename(path)
                if stat.S_IMODE(os.lstat(path).st_mode) & READY == READY and queue_id.isalnum():
                    with open(path, "rb") as file:
                        found.append((name, queue_id, *self.quality(queue_id, file.read())))
        return tuple(sorted(found))

    def is_required(self, message, latest, limit):
        """Is there a moment of the crash, with these operations on the disk, at which the message is acknowledged and not over?"""
        moment = max(latest, message.acknowledged) + 1
        return moment <= limit and (message.gone is None or message.gone >= moment)

    def is_long_before(self, index, limit):
        return index is not None and self.operations[index].time + WINDOW * 1e9 < self.operations[limit - 1].time

    def is_wrong(self, name, kind, model, limit):
        """A file system that sets the size first may leave holes in what nobody has promised yet; no reader could tell (README.md)."""
        if kind == "holed":
            return model != "size first" or self.messages[name].acknowledged < limit
        return kind in ("foreign", "refused")

    def problems(self, outcome, model, latest, limit):
        found = [f"{name} in {queue} is {kind}" for queue, name, kind, _ in outcome if self.is_wrong(name, kind, model, limit)]
        places = collections.defaultdict(list)
        for _, name, kind, done in outcome:
            if kind == "whole":
                places[name].append(done)
        for name, message in self.messages.items():
            if self.is_required(message, latest, limit) and not places[name]:
                found.append(f"{name} is lost")
            if message.logged and self.is_long_before(message.gone, limit) and places[name]:
                found.append(f"{name} came back")
            if len(places[name]) > 1:
                found.append(f"{name} is there twice")
            if self.is_long_before(message.waits, limit) and any(done < message.done for done in places[name]):
                found.append(f"{name} forgot who has it")
        return found
