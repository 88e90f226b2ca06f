"""Every state of the disk after a crash, the real recovery on each, and a judgement."""
import collections
import os
import pickle
import shutil
import subprocess
import sys
import traceback

import cycle
import record
from disk import MODELS, Contents, History
from judge import QUEUES, READY, Judge, files_below

SERVE_IN, SERVE_OUT = 198, 199  # the same in serve.c
SERVE = os.path.join(os.path.dirname(cycle.SHIM), "libexplorer_serve.so")
RECOVER = os.path.join(cycle.instance.LIBEXEC, "recover")
FOLDERS = QUEUES + ("corrupt", "commit", "bounce", "defer", "trace", "flush", "pid", "saved", "public", "private")
ORDERED = ("data first", "size first")

# One state of each kind of recovery is enough to crash recovery itself.
Seen = collections.namedtuple("Seen", "kind state")
Found = collections.namedtuple("Found", "problems text")


def empty(folder):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                empty(entry.path)
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)


class Place:
    """A queue directory that takes one state after the other."""

    def __init__(self, contents, recover=RECOVER):
        self.directory, self.contents, self.recover = cycle.memory_directory(), contents, recover
        self.server = self.ask = self.answer = None
        self.queue, self.etc = f"{self.directory}/queue", f"{self.directory}/etc"
        os.mkdir(self.etc)
        with open(f"{self.etc}/main.cf", "w", encoding="utf-8") as file:
            user = cycle.instance.USER
            file.write(f"compatibility_level = 3.11\nposthouse_single_user = yes\nmail_owner = {user}\nsetgid_group = {user}\n"
                       f"queue_directory = {self.queue}\ndata_directory = {self.directory}\nmaillog_file = {self.directory}/log\n"
                       f"maillog_file_prefixes = {self.directory}\n")
        open(f"{self.etc}/master.cf", "w", encoding="utf-8").close()
        for folder in ("",) + FOLDERS:
            os.mkdir(f"{self.queue}/{folder}", 0o700)

    def put(self, files):
        os.umask(0)
        for folder in FOLDERS:
            empty(f"{self.queue}/{folder}")
        for path, _, content in files:
            if content is None and path not in FOLDERS:
                os.makedirs(f"{self.queue}/{path}", 0o700, exist_ok=True)
        for path, mode, content in files:
            if content is not None:
                self.put_file(path, mode, content)

    def put_file(self, path, mode, content):
        size, data = self.contents.values[content]
        fd = os.open(f"{self.queue}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        if size > 0:
            os.write(fd, data)
            os.ftruncate(fd, size)
        os.close(fd)

    def start_server(self):
        """recover, loaded once (serve.c)."""
        asks, self.ask = os.pipe()
        self.answer, answers = os.pipe()
        out = os.open(f"{self.directory}/out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        actions = [(os.POSIX_SPAWN_DUP2, a, b) for a, b in ((asks, SERVE_IN), (answers, SERVE_OUT), (out, 1), (out, 2))]
        actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in (self.ask, self.answer)]
        self.server = os.posix_spawn(self.recover, [self.recover, "-c", self.etc], {"LD_PRELOAD": SERVE}, file_actions=actions)
        for fd in (asks, answers, out):
            os.close(fd)

    def run_recovery(self):
        """Its exit status."""
        if self.server is None:
            self.start_server()
        os.write(self.ask, b"x")
        return os.waitstatus_to_exitcode(int.from_bytes(os.read(self.answer, 4), sys.byteorder, signed=True))

    def record_recovery(self, delay=0):
        """Once, written down: (exit status, operations)."""
        path = f"{self.directory}/record"
        if os.path.exists(path):
            os.unlink(path)
        _, inodes = self.snapshot()
        done = subprocess.run([self.recover, "-c", self.etc], env=cycle.shim_environment(path, self.queue, True, delay), check=False,
                              capture_output=True, timeout=60)
        return done.returncode, record.read(path, inodes)

    def said(self):
        with open(f"{self.directory}/out", encoding="utf-8", errors="replace") as file:
            return file.read()[-500:]

    def snapshot(self):
        """[(path, mode, content value)], {inode: place in the list}."""
        found, inodes = [], {}
        for path in sorted(files_below(self.queue)):
            status = os.lstat(path)
            with open(path, "rb") as file:
                data = file.read()
            inodes[status.st_ino] = len(found)
            found.append((path[len(self.queue) + 1:], status.st_mode & 0o7777, (len(data), data.rstrip(b"\0"))))
        return found, inodes

    def close(self):
        if self.server is not None:
            os.close(self.ask)
            os.close(self.answer)
            os.waitpid(self.server, 0)
        shutil.rmtree(self.directory)


def start_share(items, work):
    """A process that works on these; the descriptor on which its pickled answer comes."""
    answer, out = os.pipe()
    pid = os.fork()
    if pid > 0:
        os.close(out)
        return pid, answer
    with os.fdopen(out, "wb") as file:
        try:
            pickle.dump(work(items), file)
        except BaseException:  # pylint: disable=broad-except
            pickle.dump(traceback.format_exc(), file)
    os._exit(0)


def shared_out(items, work):
    """work(items of one share) in as many processes as there are cores; its lists, joined."""
    count, results = os.cpu_count() or 1, []
    shares = [start_share(items[first::count], work) for first in range(count)]
    for pid, answer in shares:
        with os.fdopen(answer, "rb") as file:
            results.append(pickle.load(file))
        os.waitpid(pid, 0)
    for result in results:
        if isinstance(result, str):
            raise AssertionError(result)
    return sum(results, [])


def path_of(entry):
    return entry[0]


def without(operations, drop):
    """A program that does not do this."""
    return [op._replace(kind="NOTHING") if drop(op) else op for op in operations]


def whole(outcome):
    return sorted(name for _, name, quality, _ in outcome if quality == "whole")


class Explorer:
    """The states of one record, with the operations that `drop` picks taken for not done (a program without that sync)."""

    def __init__(self, operations, models=ORDERED, drop=None, recover=RECOVER):
        self.operations, self.recover = operations, recover
        self.judge = Judge(operations)
        self.contents = Contents()
        self.extremes = {}
        self.asked = {}  # {state: [(model, latest, limit)]}
        self.models, self.drop, self.recoveries, self.interrupted = models, drop, 0, 0
        kept = operations if drop is None else without(operations, drop)
        for name in models:
            for state in History(kept, contents=self.contents, model=MODELS[name]).states():
                asked = self.asked.setdefault(frozenset(state.files), [])
                if (name, state.latest, state.limit) not in asked:
                    asked.append((name, state.latest, state.limit))
                self.note_extremes(state)
        self.states = list(self.asked)

    def note_extremes(self, state):
        """For each moment the state to which most has got through, and the one to which least has."""
        for which, sign in (("most", 1), ("least", -1)):
            rank = sign * state.latest
            if (which, state.limit) not in self.extremes or self.extremes[which, state.limit][0] < rank:
                self.extremes[which, state.limit] = rank, frozenset(state.files)

    def explore(self, stop_at=None):
        """Problems: [Found]. Recovery itself is crashed on one state for each thing that it does, and two for each moment."""
        results = shared_out(self.states, lambda states: self.work(states, stop_at))
        found = [item for item in results if isinstance(item, Found)]
        if not found:
            chosen = {item.kind: item.state for item in results}.values()
            chosen = list(set(chosen) | {state for _, state in self.extremes.values()})
            self.recoveries, again = len(chosen), shared_out(chosen, self.crash_recoveries)
            found = [item for item in again if isinstance(item, Found)]
            self.interrupted = sum(item for item in again if isinstance(item, int))
        return found

    def work(self, states, stop_at):
        """[Found], and one Seen for each kind of recovery."""
        found, kinds, place = [], {}, Place(self.contents, self.recover)
        try:
            for number, state in enumerate(states):
                # Recovery takes segments as the directory gives them: both ways round in turn.
                place.put(sorted(state, key=path_of)[::1 - number % 2 * 2])
                problems, outcome = self.examine(place, state)
                found += problems
                if stop_at is not None and len(found) >= stop_at:
                    break
                kinds.setdefault(self.kind_of(state, outcome), state)
        finally:
            place.close()
        return found + [Seen(kind, state) for kind, state in kinds.items()]

    def kind_of(self, state, outcome):
        """What recovery changed, whatever the names."""
        before = set()
        for path, mode, content in state:
            folder, name = path.split("/")[0], path.rpartition("/")[2]
            if content is not None and folder in QUEUES and mode & READY == READY:
                before.add((folder, name, *self.judge.quality(name, self.contents.bytes(content))))
        changes = {(what, folder, quality) for what, places in (("gone", before - set(outcome)), ("new", set(outcome) - before))
                   for folder, _, quality, _ in places}
        return frozenset(changes)

    def examine(self, place, state):
        status = place.run_recovery()
        if status != 0:
            return [self.found([f"recover ended with {status}: {place.said()}"], self.asked[state][0], state)], ()
        outcome = self.judge.outcome(place.queue)
        return self.problems(state, outcome), outcome

    def problems(self, state, outcome):
        for model, latest, limit in self.asked[state]:
            problems = self.judge.problems(outcome, model, latest, limit)
            if problems:
                return [self.found(problems, (model, latest, limit), state)]
        return []

    def crash_recoveries(self, states):
        """Recovery is crashed itself, and run again: it must come to the same end. [Found], and the number of states."""
        found, count, place = [], 0, Place(self.contents, self.recover)
        try:
            for state in states:
                for order in (1, -1):
                    more, problems = self.crash_recovery(place, state, order)
                    count, found = count + more, found + problems
        finally:
            place.close()
        return found + [count]

    def crash_recovery(self, place, state, order):
        place.put(sorted(state, key=path_of)[::order])
        initial = place.snapshot()[0] + [entry for entry in state if entry[2] is None]
        _, operations = place.record_recovery()
        if self.drop is not None:
            operations = without(operations, self.drop)
        wanted = whole(self.judge.outcome(place.queue))
        seen = set()
        for name in self.models:
            for interrupted in History(operations, initial, self.contents, MODELS[name]).states():
                files = frozenset(interrupted.files)
                if files in seen:
                    continue
                seen.add(files)
                place.put(files)
                status = place.run_recovery()
                outcome = self.judge.outcome(place.queue)
                problems = self.problems(state, outcome)
                if status != 0 or whole(outcome) != wanted:
                    said = f"recovery, crashed and run again, ended with {status}: {whole(outcome)} instead of {wanted}"
                    problems = [self.found([said], self.asked[state][0], files)]
                if problems:
                    return len(seen), problems
        return len(seen), []

    def found(self, problems, moment, files):
        model, latest, limit = moment
        lines = [f"{', '.join(problems)}: model {model}, crash between {latest} and {limit}; on the disk:"]
        for path, mode, content in sorted(files, key=path_of):
            if content is not None:
                size, data = self.contents.values[content]
                lines.append(f"  {mode:04o} {size:7} ({len(data)} to the last byte) {path}")
        return Found(tuple(problems), "\n".join(lines))

    def __str__(self):
        points = len(self.operations) + 1
        asked = sum(len(moments) for moments in self.asked.values())
        return (f"{len(self.operations)} operations, {points} crash points, {asked} states by moment, {len(self.states)} distinct; "
                f"{self.recoveries} recoveries crashed themselves, {self.interrupted} distinct states")
