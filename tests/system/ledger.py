"""A sender with a ledger: many sessions, each message with a body of its own, sent again until it is acknowledged.

The ledger holds what was sent, what got a 250 and when, and what must never appear. A message whose answer was lost is sent again under
the same name, so it may arrive twice."""
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


def digest(body):
    return hashlib.sha256(body).hexdigest()


class Ledger:
    """Sub-classes say what is special about a number: its sender, recipients, size, and whether it must be refused or is abandoned."""

    def __init__(self, port, prefix, sessions, recipient, deadline=240, most=100000):
        self.port, self.prefix, self.sessions, self.recipient = port, prefix, sessions, recipient
        self.deadline = time.monotonic() + deadline
        self.todo = list(range(most))
        self.sent = {}  # {name: digest}
        self.acknowledged, self.forbidden, self.when = {}, set(), {}
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            return self.todo.pop(0) if self.todo else None

    def name(self, number):
        return f"m{self.prefix}x{number:06d}"

    def sender(self, _number):
        return "sender@test.example"

    def recipients(self, _number):
        return [self.recipient]

    def size(self, _number):
        return 3000

    def is_abandoned(self, _number):
        return False

    def message(self, name, size):
        """Noted as sent."""
        body = text_of(name, size).encode()
        with self.lock:
            self.sent[name] = digest(body)
        return f"From: sender@test.example\nTo: {self.recipient}\nSubject: {name}\nMessage-ID: <{name}@test.example>\n\n".encode() + body

    def acknowledge(self, name):
        with self.lock:
            self.acknowledged[name] = self.sent[name]
            self.when[name] = time.monotonic()

    def forbid(self, name):
        with self.lock:
            self.forbidden.add(name)

    def transaction(self, session, number):
        """Whether the session can go on. Raises when it broke, or the answer asks to come again."""
        name = self.name(number)
        text = self.message(name, self.size(number)).replace(b"\n", b"\r\n")
        for code, reply in [session.mail(self.sender(number), ["BODY=8BITMIME"]), *(session.rcpt(r) for r in self.recipients(number))]:
            if code != 250:
                raise smtplib.SMTPResponseException(code, reply)
        if self.is_abandoned(number):
            self.forbid(name)
            session.docmd("DATA")
            session.send(text[:len(text) // 2])
            return False
        code, reply = session.data(text)
        if code == 250:
            self.acknowledge(name)
        elif code >= 500:
            self.forbid(name)
        else:
            raise smtplib.SMTPResponseException(code, reply)
        return True

    def send_one(self, session, number):
        """The session to go on with, or None when it is over."""
        try:
            if session is None:
                session = smtplib.SMTP("127.0.0.1", self.port, timeout=30)
                session.ehlo("c.test")
            if self.transaction(session, number):
                return session
        except (OSError, smtplib.SMTPException):
            with self.lock:
                self.todo.insert(0, number)
            time.sleep(0.05)
        if session is not None:
            session.close()
        return None

    def work(self):
        session = None
        while time.monotonic() < self.deadline:
            number = self.take()
            if number is None:
                break
            session = self.send_one(session, number)
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


def name_of(message):
    return next((line[9:].decode() for line in message.split(b"\n\n", 1)[0].split(b"\n") if line.startswith(b"Subject: m")), None)


def arrived(messages):
    """{name: [digest of each copy]} of maildir contents; what has no name is found under None."""
    found = {}
    for message in messages:
        found.setdefault(name_of(message), []).append(digest(message.partition(b"\n\n")[2]))
    return found
