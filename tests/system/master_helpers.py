"""A master with rows of the test service alone: no mail, so that processes can be counted and provoked."""
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

from instance import ROOT, USER, free_port, wait_until

LIBEXEC = os.environ.get("POSTHOUSE_LIBEXEC", os.path.join(ROOT, "build/libexec"))


def find_test_service():
    """Built beside the other programs, but not linked into build/libexec."""
    named = os.environ.get("POSTHOUSE_TEST_SERVICE")
    if named:
        return named
    return os.path.join(ROOT, "build/meson/src/service/test-service")


class Master:
    """Programs are copied, because they find each other beside the running file."""

    def __init__(self, directory, rows, main=(), owner=None):
        self.directory = str(directory)
        self.owner = owner
        self.etc, self.queue = f"{self.directory}/etc", f"{self.directory}/queue"
        self.log_path = f"{self.directory}/mail.log"
        self.port = free_port()
        for name in ("etc", "data", "queue", "libexec", "queue/pid", "queue/public", "queue/private"):
            os.mkdir(f"{self.directory}/{name}")
        for name in ("master", "recover"):
            shutil.copy(f"{LIBEXEC}/{name}", f"{self.directory}/libexec/{name}")
        for name in ("test-stream", "test-inner"):
            shutil.copy(find_test_service(), f"{self.directory}/libexec/{name}")
        if owner:
            os.chmod(self.directory, 0o755)
            user = pwd.getpwnam(owner)
            for name in ("data", "queue/public", "queue/private"):
                os.chown(f"{self.directory}/{name}", user.pw_uid, user.pw_gid)
        self.write_main(main)
        self.write_rows(rows)

    def write_main(self, lines=()):
        with open(f"{self.etc}/main.cf", "w", encoding="utf-8") as file:
            if self.owner:
                file.write(f"mail_owner = {self.owner}\nsetgid_group = mail\n")
            else:
                file.write(f"posthouse_single_user = yes\nmail_owner = {USER}\n")
            file.write(f"queue_directory = {self.queue}\n"
                       f"data_directory = {self.directory}/data\nmaillog_file = {self.log_path}\n"
                       f"maillog_file_prefixes = {self.directory}, /dev/stdout\n"
                       "inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n")
            file.write("".join(line + "\n" for line in lines))

    def write_rows(self, rows):
        with open(f"{self.etc}/master.cf", "w", encoding="utf-8") as file:
            file.write("".join(row.replace("PORT", str(self.port)) + "\n" for row in rows))

    def command(self, *arguments):
        return [f"{self.directory}/libexec/master", "-c", self.etc, *arguments]

    def start(self):
        done = subprocess.run(self.command("-w"), timeout=30, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, self.log()
        return self

    def pid(self):
        with open(f"{self.queue}/pid/master.pid", encoding="utf-8") as file:
            return int(file.read())

    def signal(self, number):
        os.kill(self.pid(), number)

    def stop(self):
        pid = self.pid()
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), 15, "the end of master")

    def destroy(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def processes(self, name=None):
        """Pids of what runs from our libexec, by program or all."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                program = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if program.startswith(f"{self.directory}/libexec/") and name in (None, os.path.basename(program)):
                found.append(int(pid))
        return found

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, text, seconds=15, count=1):
        try:
            wait_until(lambda: self.log().count(text) >= count, seconds, f"log line {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def client(self, path=None):
        return Client(path or self.port, self.queue)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie is dead.
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def connect_unix(path, queue):
    # Addressed through /proc, because the name of a socket is limited.
    directory = os.open(queue, os.O_RDONLY)
    try:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(f"/proc/self/fd/{directory}/{path}")
        return s
    finally:
        os.close(directory)


class Client:
    """A client of test-stream, by port or by a socket below the queue directory."""

    def __init__(self, where, queue):
        if isinstance(where, int):
            self.socket = socket.create_connection(("127.0.0.1", where), 20)
        else:
            self.socket = connect_unix(where, queue)
        self.file = self.socket.makefile("rb")

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def receive(self):
        return self.file.readline().decode().rstrip("\n")

    def ask(self, line):
        self.send(line)
        return self.receive()

    def pid(self):
        return int(self.ask("pid"))

    def is_served(self, seconds=0.5):
        """True when an answer comes within that time. Ask only once."""
        self.send("pid")
        self.socket.settimeout(seconds)
        try:
            return bool(self.file.readline())
        except (socket.timeout, OSError):
            return False
        finally:
            self.socket.settimeout(20)
            self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


HELLO, MESSAGE, CREDIT, CANCEL, GOAWAY = 1, 2, 3, 4, 5
END = 1


class Inner:
    """The inner protocol as doc/wire.md says, spoken by hand."""

    def __init__(self, master, path, service=None):
        self.socket = connect_unix(path, master.queue)
        self.data = b""
        name = (service or os.path.basename(path)).encode()
        self.frame(0, HELLO, 0, 0, b"POST" + struct.pack("<HB", 1, len(name)) + name + struct.pack("<II", 0, 0))

    def frame(self, exchange, kind, flags=0, message_type=0, payload=b""):
        self.socket.sendall(struct.pack("<IIBBH", 8 + len(payload), exchange, kind, flags, message_type) + payload)

    def receive(self):
        """(exchange, kind, flags, type, payload), or None at the end."""
        while len(self.data) < 4 or len(self.data) < 4 + struct.unpack("<I", self.data[:4])[0]:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            self.data += piece
        length, exchange, kind, flags, message_type = struct.unpack("<IIBBH", self.data[:12])
        payload, self.data = self.data[12:4 + length], self.data[4 + length:]
        return exchange, kind, flags, message_type, payload

    def close(self):
        self.socket.close()


def send_datagram(path, payload):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect(path)
        s.send(payload)


def settle(seconds):
    """For things that must NOT happen: time for them to happen."""
    time.sleep(seconds)


@pytest.fixture
def make(tmp_path_factory):
    """make(rows, main.cf lines) gives a started Master, which ends with the test."""
    made = []

    def start(rows, main=(), started=True):
        master = Master(tmp_path_factory.mktemp("m"), rows, main)
        made.append(master)
        return master.start() if started else master

    yield start
    for master in made:
        master.destroy()
