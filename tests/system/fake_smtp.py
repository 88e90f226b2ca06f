"""An SMTP server on loopback that does what a test wants, and remembers what it was told.

    server = FakeSMTP("127.0.0.5", port, rcpt=["250 ok", "550 5.1.1 no such user"], data_end=CLOSE)

What it says at each step (greeting, ehlo, lhlo, helo, mail, rcpt, data, data_end, rset, quit) is one of:
    text            a reply; lines are parted by newlines
    bytes           sent as they are
    CLOSE, HANG     the connection is closed; nothing is said until the client gives up
    ENDLESS         reply lines without end
    Then(x, CLOSE)  both, one after the other
    list            one of these for each use of the step in a connection; the last one stays
    function        of the argument (the text, for data_end) and the Connection, which gives one of these"""
import socket
import threading
import time


class Act:
    pass


CLOSE, HANG, ENDLESS = Act(), Act(), Act()


class Then(Act):
    def __init__(self, *steps):
        self.steps = steps


DEFAULTS = {
    "greeting": "220 fake.test ESMTP",
    "ehlo": "250-fake.test\n250-PIPELINING\n250-SIZE 10240000\n250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 DSN",
    "lhlo": "250-fake.test\n250-PIPELINING\n250-ENHANCEDSTATUSCODES\n250 8BITMIME",
    "helo": "250 fake.test",
    "mail": "250 2.1.0 Ok",
    "rcpt": "250 2.1.5 Ok",
    "data": "354 End data with <CR><LF>.<CR><LF>",
    "data_end": "250 2.0.0 Ok: queued as FAKE1",
    "rset": "250 2.0.0 Ok",
    "quit": "221 2.0.0 Bye",
}


def ehlo(*keywords):
    return "\n".join(["250-fake.test"] + ["250-" + word for word in keywords[:-1]] + ["250 " + keywords[-1]])


class Closed(Exception):
    pass


class Connection:
    """One client: `commands` are lines without CRLF, `texts` the messages as they came, final dot left out."""

    def __init__(self, server, sock):
        self.server, self.socket = server, sock
        self.received = b""  # and not looked at yet
        self.commands, self.texts, self.uses = [], [], {}
        self.started, self.ended = time.monotonic(), None
        try:
            self.peer = sock.getpeername()[0]  # "" for a UNIX socket
        except (OSError, IndexError):
            self.peer = ""

    def run(self):
        try:
            self.perform("greeting", "")
            while True:
                self.command(self.line())
        except (Closed, OSError, ValueError):
            pass
        finally:
            self.ended = time.monotonic()
            self.socket.close()

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed
        self.received += data

    def line(self):
        while b"\n" not in self.received:
            self.receive()
        line, _, self.received = self.received.partition(b"\n")
        if not line.endswith(b"\r"):
            raise Closed
        return line[:-1]

    def early(self, seconds=0.2):
        """What the client has said so far without waiting for a reply."""
        time.sleep(seconds)
        try:
            while True:
                data = self.socket.recv(65536, socket.MSG_DONTWAIT)
                if not data:
                    break
                self.received += data
        except BlockingIOError:
            pass
        return self.received

    def command(self, line):
        line = line.decode("utf-8", "replace")
        self.commands.append(line)
        verb, _, argument = line.partition(" ")
        step = verb.lower()
        if step not in DEFAULTS and step not in self.server.script:
            self.say("500 5.5.2 unknown")
            return
        said = self.perform(step, argument)
        if step == "data" and said.startswith("3"):
            self.perform("data_end", self.text())
        elif step == "quit":
            raise Closed

    def text(self):
        lines = []
        while (line := self.line()) != b".":
            lines.append(line + b"\r\n")
        self.texts.append(b"".join(lines))
        return self.texts[-1]

    def perform(self, step, argument):
        what = self.server.script.get(step, DEFAULTS.get(step))
        use = self.uses[step] = self.uses.get(step, 0) + 1
        if isinstance(what, list):
            what = what[min(use, len(what)) - 1]
        if callable(what):
            what = what(argument, self)
        for act in what.steps if isinstance(what, Then) else [what]:
            self.act(act)
        return what if isinstance(what, str) else ""

    def act(self, what):
        if what is CLOSE:
            raise Closed
        if what is HANG:
            while True:
                self.receive()
        if what is ENDLESS:
            while True:
                self.socket.sendall(b"250-and so on\r\n" * 100)
        if isinstance(what, bytes):
            self.socket.sendall(what)
        else:
            self.say(what)

    def say(self, text):
        self.socket.sendall(text.encode().replace(b"\n", b"\r\n") + b"\r\n")


class FakeSMTP:
    def __init__(self, host="127.0.0.1", port=0, **script):
        self.script = script
        self.connections = []
        if host.startswith("/"):  # a UNIX socket
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(host)
            self.host, self.port = host, 0
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.host, self.port = host, self.listener.getsockname()[1]
        self.listener.listen(100)
        self.peer = f"{host}[{host}]"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            connection = Connection(self, sock)
            self.connections.append(connection)
            threading.Thread(target=connection.run, daemon=True).start()

    def close(self):
        """Stops listening; connections stay as they are."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def drop_connections(self):
        for connection in self.connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def commands(self):
        return [line for connection in self.connections for line in connection.commands]

    @property
    def texts(self):
        return [text for connection in self.connections for text in connection.texts]
