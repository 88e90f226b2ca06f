"""A client of the inner wire format (doc/wire.md), for tests that say to a service what no program of ours would."""
import socket
import struct

HELLO, MESSAGE = 1, 2
END = 1


def text(value):
    value = value.encode()
    return struct.pack("<I", len(value)) + value


def frame(kind, payload, exchange=0, flags=0, number=0):
    return struct.pack("<IIBBH", 8 + len(payload), exchange, kind, flags, number) + payload


class Wire:
    """A connection to public/NAME or private/NAME of a queue directory."""

    def __init__(self, queue, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(f"{queue}/{path}")
        self.exchange = 0
        name = path.rpartition("/")[2].encode()
        self.socket.sendall(frame(HELLO, b"POST" + struct.pack("<HB", 1, len(name)) + name + struct.pack("<II", 0, 0)))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, number, payload):
        """A whole request in one message."""
        self.exchange += 1
        self.socket.sendall(frame(MESSAGE, payload, self.exchange, END, number))

    def receive(self):
        """The next message: (type, payload)."""
        while True:
            length, _, kind, _, number = struct.unpack("<IIBBH", self.exactly(12))
            payload = self.exactly(length - 8)
            if kind == MESSAGE:
                return number, payload

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            assert piece, "the service closed the connection"
            data += piece
        return data
