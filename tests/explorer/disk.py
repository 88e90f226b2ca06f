"""The disk after a crash: every state that the operations so far allow (the models: README.md beside this file).

A history is what was on the disk at first, and the operations since. A state is {path: (mode, content)}, a content is (size, bytes
without the zeros at its end), all contents kept once."""
import collections
import itertools

from record import METADATA, NAMES

TORN = (512, 4096)
PRODUCT_MAX = 64  # more combinations than this: each file for itself

# The rules of one kind of file system.
#   ordered: names and modes reach the disk in the order of the calls, with the sync of a later change; else a name is safe only
#            after a sync of its directory
#   size_first: the size of a file is metadata, and bytes that are missing below it are zeros, or what was there before; else a file
#            grows as its bytes arrive, from the front
Model = collections.namedtuple("Model", "name ordered size_first")
MODELS = {
    "data first": Model("data first", True, False),
    "size first": Model("size first", True, True),
    "unordered": Model("unordered", False, False),
}

Write = collections.namedtuple("Write", "index offset data")
State = collections.namedtuple("State", "files latest limit")


class Contents:
    """Every content once; its number stands for it."""

    def __init__(self):
        self.numbers, self.values, self.padded = {}, [], {}

    def number(self, size, data):
        value = (size, bytes(data).rstrip(b"\0"))
        if value not in self.numbers:
            self.numbers[value] = len(self.values)
            self.values.append(value)
        return self.numbers[value]

    def bytes(self, number):
        size, data = self.values[number]
        if number not in self.padded:
            self.padded[number] = data.ljust(size, b"\0")
        return self.padded[number]


def torn(write):
    """Pieces of a write that did not get through whole: its first sectors, its last ones, all but one in the middle."""
    found = set()
    start, end = write.offset, write.offset + len(write.data)
    for unit in TORN:
        first = min(end, (start // unit + 1) * unit)
        last = max(start, (end - 1) // unit * unit)
        middle = min(end, max(start, ((start + end) // 2) // unit * unit))
        after = min(end, middle + unit)
        for pieces in (((start, first),), ((start, middle),), ((start, last),), ((first, end),), ((last, end),), ((start, middle), (after, end))):
            pieces = tuple(piece for piece in pieces if piece[0] < piece[1])
            if pieces and pieces != ((start, end),):
                found.add(pieces)
    return [[Write(write.index, a, write.data[a - start:b - start]) for a, b in pieces] for pieces in sorted(found)]


def choices(write):
    """What of an unsynced write may have arrived: all, nothing, a part."""
    return [[write], []] + torn(write)


def grown(chosen, unsynced, end):
    """What a file that grows as its bytes arrive, from the front, has of these: nothing that would lie behind a gap in its growth."""
    kept, gap = [], False
    for write in unsynced:
        pieces = [piece for piece in chosen if piece.index == write.index]
        if write.offset + len(write.data) > end:
            reached = write.offset
            for piece in pieces:
                if not gap and piece.offset == reached:
                    kept.append(piece)
                    reached += len(piece.data)
            gap = gap or reached < write.offset + len(write.data)
            end = write.offset + len(write.data)
        else:
            kept += pieces
    return kept


def combinations(unsynced):
    """Which writes arrived: all, none, then every combination while they are few, else each one alone missing, torn, or present."""
    options = [choices(write) for write in unsynced]
    yield list(unsynced)
    yield []
    if product_size(options) <= PRODUCT_MAX:
        yield from (sum(chosen, []) for chosen in itertools.product(*options))
        return
    for at, option in enumerate(options):
        others = unsynced[:at] + unsynced[at + 1:]
        for chosen in option[1:]:
            yield others + chosen
        yield list(option[0])


def product_size(options):
    count = 1
    for option in options:
        count *= len(option)
    return count


def clipped(writes, size):
    return [Write(w.index, w.offset, w.data[:size - w.offset]) for w in writes if w.offset < size]


class File:
    """What happened to one file: its writes, and the changes of its metadata, by their place in the history."""

    def __init__(self, mode=0, content=(0, b"")):
        self.modes, self.cuts, self.writes = [(-1, mode)], [(-1, content[0])], []
        if content[1]:
            self.writes.append(Write(-1, 0, content[1]))

    def mode(self, upto):
        return [mode for index, mode in self.modes if index <= upto][-1]

    def era(self, upto):
        """(writes that can be seen, least size) when metadata up to there has arrived: what follows a cut that has not arrived lies in
        other blocks."""
        writes, least, known = [], self.cuts[0][1], 1
        for write in self.writes:
            while known < len(self.cuts) and self.cuts[known][0] < write.index:
                if self.cuts[known][0] > upto:
                    return writes, least
                writes, least = clipped(writes, self.cuts[known][1]), self.cuts[known][1]
                known += 1
            writes.append(write)
        for index, size in self.cuts[known:]:
            if index <= upto:
                writes, least = clipped(writes, size), size
        return writes, least

    def last_size_change(self, before):
        """The last change below `before` of what a reader needs to find the bytes: a cut, or a write beyond the end."""
        last, end = -1, 0
        events = [(index, "cut", size) for index, size in self.cuts] + [(w.index, "write", w.offset + len(w.data)) for w in self.writes]
        for index, kind, size in sorted(events):
            if index >= before:
                break
            if kind == "cut" or size > end:
                last, end = index, size
        return last


def assemble(writes, least, size):
    """Bytes of a file from its writes, in order."""
    end = max([least] + [w.offset + len(w.data) for w in writes]) if size is None else size
    data = bytearray(max([0] + [w.offset + len(w.data) for w in writes]))
    for write in sorted(writes):
        data[write.offset:write.offset + len(write.data)] = write.data
    return end, data[:end]


class History:
    def __init__(self, operations, initial=(), contents=None, model=MODELS["data first"]):
        """`initial`: [(path, mode, content value)], whose file numbers are their places; a folder has neither mode nor content."""
        self.operations, self.model = operations, model
        self.contents = contents if contents is not None else Contents()
        self.files = {number: File(mode, content) for number, (_, mode, content) in enumerate(initial) if content is not None}
        self.first_names = {initial[number][0]: number for number in self.files}
        self.first_folders = {path for path, _, content in initial if content is None}
        self.cache = {}
        self.metadata = [i for i, op in enumerate(operations) if op.kind in METADATA]
        for index, op in enumerate(operations):
            self.note(index, op)

    def note(self, index, op):
        if op.kind == "CREATE":
            self.files[op.file] = File(op.mode)
        elif op.kind == "WRITE":
            self.files.setdefault(op.file, File()).writes.append(Write(index, op.offset, op.data))
        elif op.kind == "TRUNCATE":
            self.files[op.file].cuts.append((index, op.offset))
        elif op.kind == "CHMOD":
            self.files[op.file].modes.append((index, op.mode & 0o7777))

    # --- what is safe ---

    def syncs(self, limit):
        return [(op, op.sync) for op in self.operations[:limit] if op.kind == "SYNC_END"]

    def last_touch(self, file, before, kinds=METADATA):
        return max([i for i in self.metadata if i < before and self.operations[i].file == file and self.operations[i].kind in kinds],
                   default=-1)

    def last_in_directory(self, directory, before):
        def inside(path):
            return path.rpartition("/")[0] == directory
        return max([i for i in self.metadata if i < before and self.operations[i].kind in NAMES and
                    (inside(self.operations[i].path) or inside(self.operations[i].other))], default=-1)

    def safe(self, limit):
        """(names, metadata by file, data by file) that no crash before operation `limit` can take back: places in the history."""
        names, own, data = -1, collections.defaultdict(lambda: -1), collections.defaultdict(lambda: -1)
        for op, begin in self.syncs(limit):
            if op.mode == "system":
                names = max([names] + [i for i in self.metadata if i < begin])
                for number in self.files:
                    own[number], data[number] = max(own[number], begin - 1), max(data[number], begin - 1)
                continue
            if op.file not in self.files:  # a directory
                names = max(names, self.last_in_directory(op.path, begin))
                continue
            data[op.file] = max(data[op.file], begin - 1)
            touched = self.files[op.file].last_size_change(begin)
            if op.mode == "file":
                touched = max(touched, self.last_touch(op.file, begin))
            own[op.file] = max(own[op.file], touched)
            if self.model.ordered:
                names = max(names, touched)
        return names, own, data

    # --- states ---

    def names_at(self, upto):
        names, folders = dict(self.first_names), set(self.first_folders)
        for i in self.metadata:
            if i > upto:
                break
            op = self.operations[i]
            if op.kind == "CREATE":
                names[op.path] = op.file
            elif op.kind == "MKDIR":
                folders.add(op.path)
            elif op.kind in ("RENAME", "LINK"):
                names[op.other] = op.file
            if op.kind in ("RENAME", "UNLINK"):
                names.pop(op.path, None)
        return names, folders

    def variants(self, number, upto, limit, data_safe):
        """[(content, latest operation in it)]: all of it first, then what is safe alone, then the rest."""
        file = self.files[number]
        key = (number, max((i for i, _ in file.cuts if i <= upto), default=-1), data_safe,
               sum(w.index < limit for w in file.writes), upto if self.model.size_first else None)
        if key not in self.cache:
            writes, least = file.era(upto)
            writes = [w for w in writes if w.index < limit]
            size = None
            if self.model.size_first:
                size = max([least] + [w.offset + len(w.data) for w in writes if w.index <= max(upto, data_safe)])
            sure = [w for w in writes if w.index <= data_safe]
            unsynced = [w for w in writes if w.index > data_safe]
            end = max([least] + [w.offset + len(w.data) for w in sure])
            found = {}
            for chosen in combinations(unsynced):
                there = sure + (chosen if self.model.size_first else grown(chosen, unsynced, end))
                content = self.contents.number(*assemble(there, least, size))
                latest = max([-1] + [w.index for w in there if w.index > data_safe])
                found[content] = min(latest, found.get(content, latest))
            self.cache[key] = list(found.items())
        return self.cache[key]

    def states_at(self, upto, limit, safe):
        """All states with metadata up to there: {(path, mode, content)}, latest operation."""
        names, folders = self.names_at(upto)
        _, own, data = safe
        options, fixed = [], [(path, None, None) for path in folders]
        for path, number in names.items():
            for reach in ({upto} if self.model.ordered else {max(own[number], -1), limit - 1}):
                mode = self.files[number].mode(reach)
                here = [((path, mode, content), latest) for content, latest in self.variants(number, reach, limit, data[number])]
                options.append(here) if not options or options[-1][0][0][0] != path else options[-1].extend(here)
        fixed += [option[0][0] for option in options if len(option) == 1]
        open_ones = [option for option in options if len(option) > 1]
        for chosen in self.chosen(open_ones):
            yield fixed + [entry for entry, _ in chosen], max([upto] + [latest for _, latest in chosen])

    @staticmethod
    def chosen(options):
        if product_size(options) <= PRODUCT_MAX:
            yield from itertools.product(*options)
            return
        for base in (0, 1):
            around = [option[base] for option in options]
            yield around
            for at, option in enumerate(options):
                for other in option:
                    if other is not around[at]:
                        yield around[:at] + [other] + around[at + 1:]

    def limits(self):
        """A crash just before a sync returns leaves all that one before could have left, and more: only these moments are looked at."""
        return [i for i, op in enumerate(self.operations) if op.kind == "SYNC_END"] + [len(self.operations)]

    def states(self):
        """Every state, once for each moment (limit) at which it is the most that may be asked of it."""
        start = 0
        for limit in self.limits():
            safe = self.safe(limit)
            prefixes = [safe[0]] + [i for i in self.metadata if safe[0] < i < limit]
            for upto in prefixes:
                for files, latest in self.states_at(upto, limit, safe):
                    yield State(files, max(latest, start - 1), limit)
            start = limit + 1
