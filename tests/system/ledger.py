"""A sender with a ledger: many sessions, each message with a body of its own, sent again until it is acknowledged.
Each session pauses between messages, so that a run lasts long enough for what is done to the server meanwhile.

The ledger holds what got a 250. A message whose answer was lost is sent again under the same name, so it may arrive twice."""
import hashlib
import random
import smtplib
import threading
import time


def text_of(name, size, longest=1009):
    """The same bytes each time: lines of many lengths, leading dots, 8-bit. What is relayed must have no line beyond 998 bytes."""
    rng = random.Random(name)
    lines, total = [], 0
    while total < size:
        line = rng.choice([".", "..", "a line", "\u00e9\u00e8", "x" * rng.randrange(1, longest - 19), ""]) + str(rng.random())
        lines.append(line)
        total += len(line)
    return "\n".join(lines) + "\n"


class Ledger:
    def __init__(self, port, count, sessions, recipient, size=4000, deadline=240, pause=0):
        self.port, self.count, self.sessions, self.recipient, self.size = port, count, sessions, recipient, size
        self.deadline, self.pause = time.monotonic() + deadline, pause
        self.todo = list(range(count))
        self.acknowledged, self.repeats, self.refused = {}, 0, []
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            return self.todo.pop() if self.todo else None

    def name(self, number):
        return f"m{number:06d}"

    def recipients(self, _number):
        return [self.recipient]

    def message(self, number):
        name = self.name(number)
        return f"From: sender@test.example\nTo: {self.recipient}\nSubject: {name}\nMessage-ID: <{name}@test.example>\n\n".encode() + text_of(name, self.size).encode()

    def body(self, number):
        return text_of(self.name(number), self.size).encode()

    def send_one(self, session, number):
        """The session to go on with, or None when it broke."""
        try:
            if session is None:
                session = smtplib.SMTP("127.0.0.1", self.port, timeout=30)
            session.sendmail("sender@test.example", self.recipients(number), self.message(number).replace(b"\n", b"\r\n"),
                             mail_options=["BODY=8BITMIME"])
            with self.lock:
                self.acknowledged[self.name(number)] = hashlib.sha256(self.body(number)).hexdigest()
            return session
        except (OSError, smtplib.SMTPException) as error:
            with self.lock:
                self.repeats += 1
                self.refused.append(repr(error)[:200])
                self.todo.append(number)
            if session is not None:
                session.close()
            time.sleep(0.05)
            return None

    def work(self):
        session = None
        while time.monotonic() < self.deadline:
            number = self.take()
            if number is None:
                break
            session = self.send_one(session, number)
            time.sleep(self.pause)
        if session is not None:
            try:
                session.quit()
            except (OSError, smtplib.SMTPException):
                pass

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(self.sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self


def arrived(messages):
    """{name: [digest of each copy]} of maildir contents."""
    found = {}
    for message in messages:
        header, _, body = message.partition(b"\n\n")
        names = [line[9:].decode() for line in header.split(b"\n") if line.startswith(b"Subject: m")]
        if names:
            found.setdefault(names[0], []).append(hashlib.sha256(body).hexdigest())
    return found


def compare(ledger, messages):
    """(lost, damaged, extra copies) of what was acknowledged."""
    found = arrived(messages)
    lost = [name for name in ledger.acknowledged if name not in found]
    damaged = [name for name, digest in ledger.acknowledged.items() if any(copy != digest for copy in found.get(name, []))]
    extra = sum(len(copies) - 1 for copies in found.values())
    return lost, damaged, extra
