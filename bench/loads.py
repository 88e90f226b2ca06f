"""The loads, one a row, and the neutral ends that make them: smtp-source and smtp-sink of Debian's Postfix, from a private root
that is neither contestant's."""
import os
import subprocess
import time
from dataclasses import dataclass

from contestants import BOX, DISCARD, PROCESS_LIMIT, SINK
from instance import free_port, wait_until
from process import process_stat
from reference import Reference

KB = 1024


@dataclass(frozen=True)
class Load:
    """`messages`: None means as many as fill the sample's seconds at the rate of the warm-up, at least `least`."""
    name: str
    title: str
    domain: str
    sessions: int = 20
    size: int = 4 * KB
    keep: bool = True
    recipients: int = 1
    numbered: bool = False
    messages: int = None
    least: int = 500
    command: str = "smtp-source"
    boxes: bool = False
    account: bool = False  # costs by process are told too
    goal: float = None  # the least ratio that we want to show

    @property
    def unit(self):
        return "recipients/s" if self.recipients > 1 else "messages/s"


LOADS = {load.name: load for load in (
    Load("discard-20", "to discard, 20 kept sessions, 4 KB", DISCARD, account=True, goal=7),
    Load("discard-100", "to discard, 100 kept sessions, 4 KB", DISCARD, sessions=100, account=True, goal=11),
    Load("connect-20", "to discard, 20 at a time, a connection a message, 4 KB", DISCARD, keep=False, goal=5),
    Load("connect-100", "to discard, 100 at a time, a connection a message, 4 KB", DISCARD, sessions=100, keep=False, goal=5),
    Load("discard-100k", "to discard, 20 kept sessions, 100 KB", DISCARD, size=100 * KB, least=100),
    Load("discard-2m", "to discard, 20 kept sessions, 2 MB", DISCARD, size=2 * KB * KB, least=40),
    Load("relay-20", "relay by smtp, 20 kept sessions, 4 KB", SINK, account=True, goal=5),
    Load("relay-100", "relay by smtp, 100 kept sessions, 4 KB", SINK, sessions=100),
    Load("maildir-20", "to 100 maildirs, 20 kept sessions, 4 KB", BOX, numbered=True, boxes=True, account=True, goal=4),
    Load("fanout-900", "10 messages with 900 recipients each, by smtp", SINK, sessions=10, recipients=900, messages=10, least=10, goal=5),
    Load("sendmail-8", "sendmail(1), 8 loops side by side, 4 KB", DISCARD, sessions=8, command="sendmail", least=80),
)}

# One line that starts what stands ready: entering a private root is no cost of the load. A server that hangs ends it.
WAIT_FOR_GO = 'read go; exec timeout 300 "$@"'
SENDMAIL_LOOPS = """n=0; while [ $n -lt $1 ]; do n=$((n+1))
(i=0; while [ $i -lt $2 ]; do i=$((i+1)); sendmail -i -f $3 $4 </tmp/message || exit 1; done) & jobs="$jobs $!"; done
for job in $jobs; do wait $job || exit 1; done"""
LINE = b"x" * 70 + b"\n"


class Generator:
    """Keeps smtp-sink running; `destroy` ends it."""

    def __init__(self):
        root = Reference(network=False)
        self.reference, self.root, self.version = root, root.root, root.version
        self.sink_port = free_port()
        self.sink = self.root.popen(["smtp-sink", "-u", "postfix", f"127.0.0.1:{self.sink_port}", "1000"], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self.sink_listens, 20, "smtp-sink")
        except AssertionError:
            self.destroy()
            raise

    def sink_listens(self):
        try:
            self.root.connect(self.sink_port).close()
            return True
        except OSError:
            return False

    def sink_seconds(self):
        """CPU time of smtp-sink so far; between samples nothing else runs in its root."""
        return sum(sum(process_stat(pid)) for pid in self.root.processes())

    def destroy(self):
        self.reference.destroy()
        self.sink.wait(30)

    def prepare(self, load, server, count):
        """A Run of `count` messages that waits for its go."""
        if load.command == "sendmail":
            return self.prepare_sendmail(load, server, count)
        argv = ["smtp-source", "-s", str(min(load.sessions, count)), "-m", str(count), "-l", str(load.size), "-f", "a@bench.example",
                "-t", f"u@{load.domain}"]
        argv += ["-d"] * load.keep + ["-N"] * load.numbered
        argv += ["-r", str(load.recipients)] if load.recipients > 1 else []
        return Run(self.root, argv + [f"127.0.0.1:{server.port}"], count)

    @staticmethod
    def prepare_sendmail(load, server, count):
        each = max(1, count // load.sessions)
        server.root.write("/tmp/message", b"Subject: bench\n\n" + LINE * (load.size // len(LINE)))
        argv = ["sh", "-c", SENDMAIL_LOOPS, "loops", str(load.sessions), str(each), "a@bench.example", f"u@{load.domain}"]
        return Run(server.root, argv, each * load.sessions)


class Run:
    """A load under way. `cpu` is the seconds that it and all its children used."""

    def __init__(self, root, argv, count):
        self.count, self.cpu, self.argv = count, 0, argv
        self.process = root.popen(["sh", "-c", WAIT_FOR_GO, "go", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        time.sleep(0.2)

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def wait(self):
        """Raises when a message was refused."""
        said = self.process.stdout.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.process.stdin.close()
        self.process.stdout.close()
        self.cpu = usage.ru_utime + usage.ru_stime
        if status != 0:
            raise AssertionError(f"{' '.join(self.argv[:8])}: {said.decode(errors='replace')[-500:]}")


assert all(load.sessions < PROCESS_LIMIT for load in LOADS.values())
