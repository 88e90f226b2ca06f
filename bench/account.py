"""What a message costs: CPU time, context switches and system calls by process, memory at the end.

CPU and switches come from /proc before and after a run; system calls from `perf stat` in a run of its own, counted in the kernel by
program name for all processes of the contestant and those that they fork. max_use is raised meanwhile on both sides, so that the
processes that did the work live until they are read; what ended all the same is master's children time, in a row of its own."""
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
from collections import Counter, defaultdict

from measure import sample, warm_up
from process import TICKS, process_stat, read

LASTING = "max_use = 1000000"
ENDED, OTHER = "(ended)", "(other)"
SYNCS = ("fsync", "fdatasync", "sync_file_range", "syncfs")
ANSWER_SECONDS = 30
LEAST = 3000  # messages: a tick of CPU time is 10 ms


def switches(pid):
    return sum(int(n) for task in os.listdir(f"/proc/{pid}/task")
               for n in re.findall(r"ctxt_switches:\s+(\d+)", read(f"/proc/{pid}/task/{task}/status")))


def snapshot(server):
    """{pid: (name, CPU seconds, of ended children, context switches)}"""
    found = {}
    for pid in server.processes():
        try:
            found[pid] = (read(f"/proc/{pid}/comm").strip(), *process_stat(pid), switches(pid))
        except OSError:
            continue  # it ended
    return found


def spent(before, after):
    """({name: CPU seconds}, {name: context switches}) between two snapshots."""
    cpu, switched = Counter(), Counter()
    for pid, (name, own, of_children, count) in after.items():
        _, own_before, children_before, count_before = before.get(pid, (name, 0, 0, 0))
        cpu[name] += own - own_before
        switched[name] += count - count_before
        cpu[ENDED] += of_children - children_before if name == "master" else 0
    # What an ended process had used before the run is in its master's children time too.
    cpu[ENDED] -= sum(own for pid, (_, own, _, _) in before.items() if pid not in after)
    if cpu[ENDED] < 2 / TICKS:
        del cpu[ENDED]
    return cpu, switched


def memory(server):
    """{name: (processes, proportional set size in MB)}"""
    found = defaultdict(lambda: [0, 0])
    for pid in server.processes():
        try:
            size = int(re.search(r"^Pss:\s+(\d+)", read(f"/proc/{pid}/smaps_rollup"), re.M)[1]) / 1024
            name = read(f"/proc/{pid}/comm").strip()
        except OSError:
            continue
        found[name][0] += 1
        found[name][1] += size
    return dict(found)


def why_not():
    """Why system calls cannot be counted on this machine, or None."""
    if not shutil.which("perf"):
        return "perf (package linux-perf) is not installed"
    done = subprocess.run(["perf", "stat", "-x", ";", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True, text=True)
    counted = done.returncode == 0 and done.stderr.split(";")[0].strip().isdigit()
    return None if counted else "perf counts no system calls here: " + done.stderr.strip()[-200:]


class CallCounter:
    """perf stat on all processes of a contestant, from `with` to its end; then `calls` and `syncs` are set."""

    def __init__(self, server):
        pids = server.processes()
        self.names = sorted({read(f"/proc/{pid}/comm").strip() for pid in pids})
        self.file = tempfile.NamedTemporaryFile(mode="r")
        events = ["-e", "raw_syscalls:sys_enter"]
        for name in self.names:
            events += ["-e", "raw_syscalls:sys_enter", "--filter", f'comm == "{name}"']
        for name in SYNCS:
            events += ["-e", f"syscalls:sys_enter_{name}"]
        # It starts idle and tells when it counts.
        self.pipes = [*os.pipe(), *os.pipe()]
        self.argv = ["perf", "stat", "-D", "-1", "--control", f"fd:{self.pipes[0]},{self.pipes[3]}", "-x", ";", "-o", self.file.name, *events,
                     "-p", ",".join(map(str, pids))]

    def tell(self, word):
        os.write(self.pipes[1], word + b"\n")
        if not select.select([self.pipes[2]], [], [], ANSWER_SECONDS)[0]:
            self.perf.kill()
            raise AssertionError(f"perf does not {word.decode()}: {self.perf.communicate()[1].decode(errors='replace')[-300:]}")
        os.read(self.pipes[2], 100)

    def __enter__(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.perf = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=(self.pipes[0], self.pipes[3]),
                                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard)))
        self.tell(b"enable")
        return self

    def __exit__(self, *unused):
        self.tell(b"disable")
        self.perf.send_signal(signal.SIGINT)
        said = self.perf.communicate(timeout=30)[1]
        for pipe in self.pipes:
            os.close(pipe)
        counts = [line.split(";")[0] for line in self.file.read().splitlines() if ";" in line]
        self.file.close()
        if len(counts) != 1 + len(self.names) + len(SYNCS) or not all(map(str.isdigit, counts)):
            raise AssertionError(f"perf counts no system calls here: {said.decode(errors='replace')[-300:]} {counts}")
        counts = list(map(int, counts))
        self.calls = dict(zip(self.names, counts[1:]))
        self.calls[OTHER] = counts[0] - sum(self.calls.values())
        self.syncs = dict(zip(SYNCS, counts[1 + len(self.names):]))


def account(server, generator, load, seconds, say):
    """{"messages", "processes": {name: {...}}, "syncs" and "generator_cpu_us" a message} of one contestant."""
    reason = why_not()
    if reason:
        raise AssertionError(reason)
    server.configure([LASTING])
    server.reload()
    try:
        count = max(LEAST, warm_up(server, generator, load, seconds))
        before = snapshot(server)
        timed = sample(server, generator, load, count)
        cpu, switched = spent(before, snapshot(server))
        held = memory(server)
        with CallCounter(server) as counter:
            sample(server, generator, load, count)
    finally:
        server.configure(["max_use = 100"])
        server.reload()
    result = {"messages": count, "rate": timed["rate"], "generator_cpu_us": timed["generator_cpu_us"],
              "syncs": {name: calls / count for name, calls in counter.syncs.items()}, "processes": {}}
    for name in sorted(set(cpu) | set(counter.calls) | set(held)):
        result["processes"][name] = {"count": held.get(name, (0, 0))[0], "cpu_us": cpu[name] * 1e6 / count, "switches": switched[name] / count,
                                     "calls": counter.calls.get(name, 0) / count, "pss_mb": held.get(name, (0, 0))[1]}
    total = result["total"] = {key: sum(row[key] for row in result["processes"].values()) for key in ("count", "cpu_us", "switches", "calls", "pss_mb")}
    say(f"account {load.name} {server.title}: {total['cpu_us']:.0f} us CPU, {total['calls']:.1f} system calls a message, {total['pss_mb']:.0f} MB")
    return result


def show_durable(server, generator, load, count=50):
    """Syncs a message of one session, where none can be shared: at least one each, or the contestant does not keep what it accepts.
    As words for the report."""
    if why_not():
        return f"syncs not counted ({why_not()})"
    warm = sample(server, generator, load, 10)["messages"]
    with CallCounter(server) as counter:
        sample(server, generator, load, count)
    syncs = sum(counter.syncs.values()) / count
    if syncs < 1:
        raise AssertionError(f"{server.title} does not sync each message: {counter.syncs} for {count} messages after {warm}")
    return f"{syncs:.2f} syncs a message where none can be shared (counted)"
