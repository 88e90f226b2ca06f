"""Recording: a mail system lives through one cycle while record.c writes down what it does to its queue."""
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
import instance  # noqa: E402
from instance import Instance, free_port, wait_until  # noqa: E402
from judge import REFUSED  # noqa: E402

SHIM = os.path.join(instance.ROOT, "build/meson/tests/explorer/libexplorer_record.so")
SYNC_MS = 15  # a sync takes that long, so that others come meanwhile and share the next one
DISCARD, LATER, HELD = "a@discard.test", "b@later.test", "c@held.test"


def memory_directory():
    """Syncs of a busy disk take seconds; here they cost nothing, and what they would keep is the model's business."""
    return tempfile.mkdtemp(prefix="ph-ex-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def shim_environment(record, queue, ordered=True, delay=SYNC_MS):
    return {"LD_PRELOAD": SHIM, "EXPLORER_RECORD": record, "EXPLORER_QUEUE": queue, "EXPLORER_DELAY": str(delay),
            "EXPLORER_NAMES": "ordered" if ordered else "not"}


class RecordedInstance(Instance):
    def __init__(self, directory, ordered=True, engine="log"):
        super().__init__(directory)
        self.record, self.engine = f"{directory}/record", engine
        self.environment = shim_environment(self.record, self.queue, ordered)
        closed = free_port()
        self.configure([
            f"commit_engine = {engine}", "commit_segment_size = 262144", "message_size_limit = 300000", "smtpd_peername_lookup = no",
            f"transport_maps = inline:{{discard.test=discard:, held.test=discard:, later.test=smtp:[127.0.0.1]:{closed}}}",
            "relay_domains = discard.test, later.test, held.test", "relay_recipient_maps =", "minimal_backoff_time = 1000s",
            f"smtpd_recipient_restrictions = check_recipient_access inline:{{{HELD}=HOLD}}, permit_mynetworks, reject",
            "import_environment = MAIL_CONFIG " + " ".join(f"{name}={value}" for name, value in self.environment.items())])

    def is_removed(self, text):
        """Is the message with that text out of the queue?"""
        log = self.log()
        ids = [line.split(": ")[1] for line in log.split("\n") if f"message-id=<{text}@" in line]
        return bool(ids) and all(f" {queue_id}: removed" in log for queue_id in ids)


def long_line(name, number):
    """Zeros inside such a line leave the structure of the file as it is: only the bytes tell."""
    return (f"{name} {number} " + "abcdefghij" * 90)[:900]


def text_of(name, size, refused=False):
    lines = [f"Subject: {name}", f"Message-ID: <{name}@test.example>", "", REFUSED.decode() if refused else "kept"]
    lines += [long_line(name, number) for number in range(size // 900)]
    return "\r\n".join(lines) + "\r\n"


def lies_over_another(server, number):
    """Is the file of the session's message one that a finished message left? Its log line names the inode."""
    wait_until(lambda: server.log().count(": client=") == number, what="the id of a message")
    inode = int(re.findall(r": (\w+): client=", server.log())[-1][5:], 16)
    return any(status.st_ino == inode and status.st_size > 0 for status in map(os.stat, glob.glob(f"{server.queue}/commit/slots/*/*")))


def session(server, stack, recipients, over):
    """One that may send its text; `over`: over an earlier message. The others before it wait."""
    for _ in range(30):
        begun = server.log().count(": client=")
        client = stack.enter_context(server.smtp())
        client.ehlo()
        client.mail("s@discard.test")
        for recipient in recipients:
            client.rcpt(recipient)
        if not over or lies_over_another(server, begun + 1):
            return client
    raise AssertionError("no session got the file of an earlier message")


def send(server, name, *recipients, size=3600, refused=False, pause=0, over=False):
    with contextlib.ExitStack() as stack:
        client = session(server, stack, recipients, over)
        time.sleep(pause)
        code, words = client.data(text_of(name, size, refused))
        assert (code == 250) != refused, (name, code, words)


def send_together(server, *messages):
    """Each from a session of its own, at the same time: they share a sync. Messages are (name, recipients..)."""
    threads = [threading.Thread(target=send, args=(server, *message)) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def removed(server, *names):
    wait_until(lambda: all(server.is_removed(name) for name in names), 20, f"the end of {names}\n{server.log()[-2000:]}")


def segments(server):
    return len(glob.glob(f"{server.queue}/commit/*.log"))


def short(server):
    """One message before there is a segment, two after, one of them kept."""
    send(server, "first", DISCARD)
    removed(server, "first")
    wait_until(lambda: segments(server) >= 2 or server.engine == "file", what="segments")
    send_together(server, ("one", DISCARD), ("held", HELD))
    removed(server, "one")


def logged(server):
    """No message is synced by itself: the first recipient has cleanup start, and its segment is ready before the text comes."""
    send(server, "one", HELD, pause=0.5)
    send(server, "two", HELD)


def slowly(server, name, over=False):
    """It is on its way for so long that it gets a name."""
    agents = server.processes("discard")
    for pid in agents:
        os.kill(pid, signal.SIGSTOP)
    send(server, name, DISCARD, over=over)
    time.sleep(0.6)
    for pid in agents:
        os.kill(pid, signal.SIGCONT)


def reduced(server, load=5):
    """Messages of every fate: delivered, held, half deferred, refused; some written over earlier ones; `load` of 60 KB, so that a
    segment is full and there is a checkpoint; a new generation; a clean stop."""
    send(server, "first", DISCARD)
    removed(server, "first")
    wait_until(lambda: segments(server) >= 2 or server.engine == "file", what="segments")
    send(server, "refused", DISCARD, size=320000, refused=True)
    send(server, "half", DISCARD, LATER)
    wait_until(lambda: glob.glob(f"{server.queue}/deferred/*/*"), what="a deferred message")
    send_together(server, ("one", DISCARD), ("two", DISCARD), ("three", DISCARD), ("held", HELD))
    removed(server, "one", "two", "three")
    time.sleep(2.2)  # now what is over was noted
    slowly(server, "again", over=True)
    send(server, "over", HELD, over=True)
    removed(server, "again")
    time.sleep(1.2)  # and this was noted before the disk is told anything else
    names = [f"large{number}" for number in range(load)]
    for name in names:
        send(server, name, DISCARD, size=60000)
    removed(server, "again", *names)
    send(server, "before", HELD)
    server.reload()
    send_together(server, ("last", DISCARD), ("kept", HELD))
    removed(server, "last")
    time.sleep(2.2)


def crowd(server):
    """Several sessions at once, through several checkpoints."""
    send(server, "first", DISCARD)
    removed(server, "first")
    wait_until(lambda: segments(server) >= 2, what="segments")
    names = [f"m{number}" for number in range(24)]

    def work(share):
        for name in share:
            send(server, name, DISCARD, size=40000)
            send(server, name + "kept", HELD, size=3000)
    threads = [threading.Thread(target=work, args=(names[first::3],)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    removed(server, *names)


class Recording:
    """A cycle, recorded. `programs`: a folder with bin and libexec instead of build."""

    def __init__(self, cycle=reduced, ordered=True, engine="log", programs=None):
        self.directory = memory_directory()
        where = f"{programs}/bin" if programs else instance.BIN
        with mock.patch.object(instance, "BIN", where):
            server = RecordedInstance(f"{self.directory}/i", ordered, engine)
            self.path, self.etc = server.record, server.etc
            try:
                server.start()
                cycle(server)
                server.stop()
            finally:
                server.destroy()
                self.log = server.log()

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)
