"""A small world for fault sweeps: an instance, a sink that it relays to, and a ledger of who was promised what.

One cycle sends one message to four recipients (local, virtual, relayed, discarded), one that is deferred, one that bounces, and
one by sendmail(1) that is delivered and bounces. What arrives is taken out of the mailboxes at once, so that looking stays cheap."""
import collections
import hashlib
import os
import re
import smtplib
import socket
import subprocess
import threading
import time

from fake_smtp import FakeSMTP
from instance import BIN, USER, mail_in_slots, wait_until
from ledger import text_of

LOCAL, VIRTUAL, RELAYED, LATER = f"{USER}@localhost", "v1@vmail.test", "x@sink.test", "x@later.test"
GONE, REFUSED, NOBODY = "x@discard.test", "x@refused.test", "x@nobody.test"
NOTICE = "notice"  # that the sender gets for these:
BOUNCING = {REFUSED, NOBODY}
SETTINGS = ["service_throttle_time = 1s", "smtpd_peername_lookup = no", "minimal_backoff_time = 100s", "maximal_backoff_time = 200s",
            "transport_retry_time = 1s", "queue_run_delay = 1s", "ipc_timeout = 10s", "fork_delay = 1s", "virtual_mailbox_domains = vmail.test",
            "virtual_mailbox_maps = inline:{v1@vmail.test=v1/}", "smtp_destination_concurrency_failed_cohort_limit = 1000000",
            "local_destination_concurrency_failed_cohort_limit = 1000000", "virtual_destination_concurrency_failed_cohort_limit = 1000000"]
# Acknowledged; refused before the text was sent; refused after it, which is the best that can be said when the process that has it
# died; no answer came.
KEPT, REFUSAL, LATE, UNKNOWN = "kept", "refused", "refused after the text", "unknown"

Verdict = collections.namedtuple("Verdict", "lost damaged early late twice unanswered")


def digest(text):
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()


def wait_quietly(condition, seconds):
    try:
        return wait_until(condition, seconds)
    except AssertionError:
        return None


class Sink:
    """Takes what is relayed; LATER only when it is told so."""

    def __init__(self, found):
        self.found, self.accept_later = found, False
        self.server = FakeSMTP(greeting=self.greeting, rcpt=self.recipient, data_end=self.text)

    def greeting(self, _argument, connection):
        """Replies to pipelined commands must not wait for the client's delayed acknowledgement."""
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return "220 fake.test ESMTP"

    def recipient(self, argument, _connection):
        if REFUSED in argument:
            return "550 5.1.1 nobody"
        later = LATER in argument and not self.accept_later
        return "450 4.2.0 later" if later else "250 2.1.5 Ok"

    def text(self, text, connection):
        start = max(i for i, line in enumerate(connection.commands) if line.startswith("MAIL "))
        text = re.sub(rb"(?m)^\.", b"", text)
        for line in connection.commands[start:]:
            if line.startswith("RCPT "):
                self.found.add(LATER if LATER in line else RELAYED, text.replace(b"\r\n", b"\n"))
        return "250 2.0.0 Ok"


class Found:
    """{(name, recipient): [digest of each copy]}"""

    def __init__(self):
        self.copies, self.lock = {}, threading.Lock()

    def add(self, recipient, message):
        header, _, body = message.partition(b"\n\n")
        name = re.search(rb"(?m)^Subject: (m\d+)$", header)
        if name is None and recipient == LOCAL:  # a notice, which holds the message
            name = re.search(rb"\nSubject: (m\d+)\n", body)
            start = body.find(b"\n\n", name.end() - 1) + 2 if name else 0
            body = re.split(rb"\n--[^\n]*--\n", body[start:])[0]
            recipient = NOTICE
        if name is not None:
            with self.lock:
                self.copies.setdefault((name.group(1).decode(), recipient), []).append(digest(body))


class NoFaults:
    """In place of a FaultControl, for trouble of other kinds."""
    environment = {}

    def disarm(self):
        pass


class World:
    def __init__(self, make_server, control, settings=()):
        """`make_server` makes a server from lines of main.cf and does not start it."""
        self.found = Found()
        self.sink = Sink(self.found)
        where = f"smtp:[127.0.0.1]:{self.sink.server.port}"
        self.server = make_server([*SETTINGS, *settings, f"transport_maps = inline:{{ {{sink.test={where}}} {{later.test={where}}} "
                                     f"{{discard.test=discard:}} {{refused.test={where}}} {{nobody.test=error:5.1.1 nobody}} }}"])
        self.server.configure([f"virtual_mailbox_base = {self.server.directory}/vmail"])
        os.mkdir(f"{self.server.directory}/vmail")
        self.control = control
        self.server.environment = control.environment
        self.number, self.lock = 0, threading.Lock()
        self.promises = {}  # name: (fate, recipients, digest, what was tried)
        self.what = "nothing"
        self.left = set()
        self.refusals = []  # replies

    # --- sending ---

    def message(self, size=1200):
        with self.lock:
            self.number += 1
            name = f"m{self.number:06d}"
        body = text_of(name, size, 900)
        return name, f"Subject: {name}\nMessage-ID: <{name}@test.example>\n\n{body}", digest(body.encode())

    def note(self, name, fate, recipients, body):
        self.promises[name] = (fate, recipients, body, self.what)
        return fate

    def send(self, client, sender, recipients, size=1200):
        name, text, body = self.message(size)
        accepted, fate = [], REFUSAL

        def says(reply):
            """Whether it is a good one. Others must ask to try again."""
            if reply[0] >= 400:
                self.refusals.append(f"{reply[0]} {reply[1].decode()}")
            return 200 <= reply[0] < 400
        try:
            if says(client.mail(sender, ["BODY=8BITMIME"])):
                accepted = [r for r in recipients if says(client.rcpt(r))]
            if accepted and says(client.docmd("DATA")):
                fate = UNKNOWN
                client.send(text.encode().replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..") + b".\r\n")
                reply = client.getreply()
                fate = KEPT if says(reply) else LATE if reply[0] > 0 else UNKNOWN
            else:
                client.rset()
        finally:
            self.note(name, fate, accepted, body)
        return fate

    def session(self, size=1200):
        """What one client sends in a cycle; how much of it was kept."""
        fates = []
        try:
            with self.server.smtp() as client:
                client.ehlo("c.test")
                fates.append(self.send(client, "s@refused.test", [LOCAL, VIRTUAL, RELAYED, GONE], size))
                fates.append(self.send(client, "s@refused.test", [LATER], size))
                fates.append(self.send(client, LOCAL, [REFUSED]))
        except (OSError, smtplib.SMTPException):
            pass
        return fates.count(KEPT)

    def submit(self, faulty=False):
        """By sendmail(1), which is under the fault itself if so wanted."""
        name, text, body = self.message()
        env = dict(os.environ, MAIL_CONFIG=self.server.etc, **(self.control.environment if faulty else {}))
        done = subprocess.run([f"{BIN}/sendmail", "-f", LOCAL, LOCAL, NOBODY], input=text.encode(), env=env, capture_output=True, timeout=30)
        fate = {0: KEPT}.get(done.returncode, UNKNOWN if done.returncode < 0 else LATE)
        return self.note(name, fate, [LOCAL, NOBODY], body)

    # --- what arrives ---

    def collect(self):
        for recipient, folder in ((LOCAL, self.server.folder(USER)), (VIRTUAL, f"{self.server.directory}/vmail/v1/new")):
            try:
                paths = [entry.path for entry in os.scandir(folder)]
            except FileNotFoundError:
                continue
            for path in paths:
                with open(path, "rb") as file:
                    self.found.add(recipient, file.read())
                os.unlink(path)

    def under_way(self):
        """Queue ids in the hands of somebody, and mail that has no name yet; reserved ones and what is being written (in maildrop under
        a name with a dot, which a killed postdrop leaves there) do not count."""
        ids = set()
        for folder in ("active", "incoming", "maildrop"):
            for directory, _, files in os.walk(f"{self.server.queue}/{folder}"):
                for name in files:
                    try:
                        status = os.stat(os.path.join(directory, name))
                    except FileNotFoundError:
                        continue
                    if folder == "active" or (status.st_mode & 0o100 and "." not in name):
                        ids.add(name)
        return ids | set(mail_in_slots(self.server.queue).items())

    def waiting(self):
        """Queue ids that are listed. What moves from one folder to the next between two looks is seen by the second look. (A slot may also
        have what a killed cleanup wrote there and never committed: that is no mail, and the next recovery removes it.)"""
        def look():
            return {mail["queue_id"] for mail in self.server.queued()}
        ids = look()
        if not ids:
            time.sleep(0.1)
            ids = look()
        return ids

    def wait_quiet(self, seconds):
        """Until nothing is under way. What a fault left lying for the next scan is not waited for twice."""
        deadline = time.monotonic() + seconds
        while (ids := self.under_way() - self.left) and time.monotonic() < deadline:
            time.sleep(0.005)
        self.left |= ids
        self.collect()
        return not ids

    def missing(self):
        self.collect()
        return [(name, recipient, what) for name, (fate, recipients, _, what) in self.promises.items() if fate == KEPT
                for recipient in recipients if recipient != GONE and
                (name, NOTICE if recipient in BOUNCING else recipient) not in self.found.copies]

    def works_again(self, seconds=30):
        """Without faults: a message is taken and delivered, with no help but patience."""
        self.control.disarm()

        def taken():
            try:
                with self.server.smtp() as client:
                    client.ehlo("c.test")
                    return self.send(client, "s@refused.test", [LOCAL]) == KEPT and f"m{self.number:06d}"
            except (OSError, smtplib.SMTPException):
                return None
        name = self.wait(taken, seconds, "service")

        def delivered():
            self.collect()
            return (name, LOCAL) in self.found.copies
        for _ in range(seconds):
            if wait_quietly(delivered, 1):
                return
            # The retry time of these tests is long.
            self.server.command("postqueue", "-f", check=False)
        self.wait(delivered, 1, f"delivery of {name}")

    def wait(self, condition, seconds, what):
        result = wait_quietly(condition, seconds)
        assert result, f"{what} after {self.what}: not in {seconds} s\n{self.server.log()[-4000:]}"
        return result

    def settle(self, seconds=60):
        """Everything that was deferred is tried again until all that was promised is there."""
        self.control.disarm()
        self.sink.accept_later = True
        self.left = set()
        deadline = time.monotonic() + seconds
        while (self.missing() or self.waiting()) and time.monotonic() < deadline:
            self.server.command("postqueue", "-f", check=False)
            time.sleep(0.5)
        self.sink.accept_later = False

    def judge(self):
        """What was lost, damaged, delivered though refused before or after its text, delivered twice, delivered without an answer: lists
        of (name, recipient, what was tried)."""
        copies = self.found.copies

        def those(condition):
            return [(name, recipient, self.promises[name][3]) for (name, recipient), digests in copies.items()
                    if condition(self.promises[name], digests)]
        return Verdict(self.missing(), those(lambda promise, digests: any(d != promise[2] for d in digests)),
                       those(lambda promise, _: promise[0] == REFUSAL), those(lambda promise, _: promise[0] == LATE),
                       those(lambda _, digests: len(digests) > 1), those(lambda promise, _: promise[0] == UNKNOWN))

    def summary(self):
        verdict = self.judge()
        fates = collections.Counter(fate for fate, *_ in self.promises.values())
        return (f"{fates[KEPT]} acknowledged, {fates[REFUSAL] + fates[LATE]} refused, {fates[UNKNOWN]} unanswered; "
                f"(message, recipient) lost {len(verdict.lost)}, damaged {len(verdict.damaged)}, delivered though refused before the text "
                f"{len(verdict.early)}, after it {len(verdict.late)}, unanswered but delivered {len(verdict.unanswered)}, twice {len(verdict.twice)}")

    def check(self):
        """What must hold whatever happened."""
        verdict = self.judge()
        assert not verdict.lost, (verdict.lost[:5], self.server.log()[-3000:])
        assert not verdict.damaged, verdict.damaged[:5]
        assert not verdict.early, verdict.early[:5]
        waiting = self.waiting()
        assert not waiting, (waiting, self.server.log()[-3000:])
        return verdict
