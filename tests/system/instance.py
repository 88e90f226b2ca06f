"""An instance of Posthouse for tests: made by `posthouse init`, driven by its own commands."""
import contextlib
import fcntl
import glob
import json
import os
import pathlib
import pwd
import random
import re
import signal
import smtplib
import socket
import struct
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build/bin")
LIBEXEC = os.path.join(ROOT, "build/libexec")
USER = pwd.getpwuid(os.geteuid()).pw_name


PORTS = range(10000, 32000)  # below those that the kernel gives to clients
PORTS_GIVEN = set()


def free_port():
    """A port that nobody listens on, and never one that was given before: two services of one instance would share it."""
    while True:
        port = random.SystemRandom().choice(PORTS)  # whatever seed a test sets
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("0.0.0.0", port))
            if port not in PORTS_GIVEN:
                PORTS_GIVEN.add(port)
                return port


def mail_in_slots(queue):
    """{path: its first bytes} of mail without a name (src/queue/commit_slots.h): id and arrival are among them."""
    found = {}
    for path in pathlib.Path(queue, "commit/slots").glob("*/*"):
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            if (front := file.read(200)) and front[0] != 0:
                found[path] = front
    return found


def wait_until(condition, seconds=60, what="condition"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class Stopped:
    """Processes that stand still meanwhile."""

    def __init__(self, server, name):
        self.pids = wait_until(lambda: server.processes(name), what=f"a process of {name}")

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *unused):
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class MailSystem:
    """What tests see of a mail system, whoever made it: sub-classes have `port`, `log_path`, `queue`, command(), folder()."""

    host = "127.0.0.1"

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, seconds=60, count=1):
        def found():
            matches = list(re.finditer(pattern, self.log(), re.M))
            return matches[count - 1] if len(matches) >= count else None
        try:
            return wait_until(found, seconds, f"log line {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-6000:]}") from None

    def mailbox(self, user=USER):
        """The messages in a maildir, as bytes, oldest first."""
        folder = self.folder(user)
        if not os.path.isdir(folder):
            return []
        paths = sorted((os.path.join(folder, name) for name in os.listdir(folder)), key=os.path.getmtime)
        messages = []
        for path in paths:
            with open(path, "rb") as file:
                messages.append(file.read())
        return messages

    def wait_mail(self, count=1, user=USER, seconds=60):
        try:
            wait_until(lambda: len(self.mailbox(user)) >= count, seconds, f"{count} messages for {user}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-6000:]}") from None
        return self.mailbox(user)

    def queued(self):
        """The queue as `postqueue -j` tells it."""
        return [json.loads(line) for line in self.command("postqueue", "-j").stdout.splitlines()]

    def is_logged(self, queue_id):
        """Whether the commit log has the message, in a record that counts. (The first ones of a cleanup process are synced by themselves,
        until it has a segment; records before the checkpoint stand for files that are synced.)"""
        stamp = max(struct.unpack("<QQ", half[8:24]) for half in self.checkpoint())[1]
        for path in glob.glob(f"{self.queue}/commit/*.log"):
            with open(path, "rb") as file:
                text = file.read()
            place = text.find(queue_id.encode())
            if place >= 0:
                return struct.unpack("<Q", text[place - 32:place - 24])[0] >= stamp
        return False

    def checkpoint(self):
        """Its two halves (doc/commit.md)."""
        try:
            with open(f"{self.queue}/commit/checkpoint", "rb") as file:
                text = file.read()
        except FileNotFoundError:
            text = b""
        return [text[place:place + 24].ljust(24, b"\0") for place in (0, 4096)]

    def wait_empty(self, seconds=30):
        wait_until(lambda: not self.queued(), seconds, "an empty queue\n" + self.log()[-3000:])

    # --- clients ---

    def open_socket(self, source=None):
        return socket.create_connection((self.host, self.port), 20, (source, 0) if source else None)

    def smtp(self, **options):
        class Client(smtplib.SMTP):
            def _get_socket(self, *_unused):
                return system.open_socket()
        system = self
        return Client(self.host, self.port, timeout=30, **options)

    def connect(self, source="127.0.0.1"):
        return Wire(self.open_socket(source))


class Instance(MailSystem):
    def __init__(self, directory, port=None):
        self.directory = directory
        self.port = port or free_port()
        self.etc = f"{directory}/etc"
        self.queue = f"{directory}/queue"
        self.log_path = f"{directory}/log/mail.log"
        self.environment = {}
        subprocess.run([f"{BIN}/posthouse", "init", directory, "--port", str(self.port)], check=True,
                       stdout=subprocess.DEVNULL)

    def configure(self, main=(), master=(), replace=()):
        """Adds lines to main.cf and master.cf; `replace` is (old, new) pairs in master.cf."""
        with open(f"{self.etc}/main.cf", "a", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in main))
        with open(f"{self.etc}/master.cf", encoding="utf-8") as file:
            text = file.read()
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        with open(f"{self.etc}/master.cf", "w", encoding="utf-8") as file:
            file.write(text + "".join(line + "\n" for line in master))

    def command(self, name, *arguments, check=True, **options):
        options.setdefault("capture_output", True)
        options.setdefault("timeout", 60)
        env = dict(os.environ, **self.environment)
        done = subprocess.run([f"{BIN}/{name}", "-c", self.etc, *arguments], text=True, env=env, **options)
        if check:
            assert done.returncode == 0, (name, arguments, done.returncode, done.stdout, done.stderr)
        return done

    def sendmail(self, message, *arguments, check=True):
        env = dict(os.environ, MAIL_CONFIG=self.etc)
        done = subprocess.run([f"{BIN}/sendmail", *arguments], input=message, text=True, env=env, capture_output=True,
                              timeout=60)
        if check:
            assert done.returncode == 0, (arguments, done.returncode, done.stderr)
        return done

    def start(self):
        # Not captured: daemons would hold the pipe open.
        with open(f"{self.directory}/start.out", "w+", encoding="utf-8") as out:
            done = self.command("posthouse", "start", check=False, capture_output=False, stdout=out, stderr=out,
                                stdin=subprocess.DEVNULL)
            out.seek(0)
            assert done.returncode == 0, out.read() + self.log()

    def stop(self):
        return self.command("posthouse", "stop")

    def reload(self):
        """The command only signals: what comes after it must meet the new generation."""
        said = "reload -- version"
        before = self.log().count(said)
        done = self.command("posthouse", "reload")
        wait_until(lambda: self.log().count(said) > before or not self.log(), 10, "the reload")
        return done

    def is_up(self):
        return self.command("posthouse", "status", check=False).returncode == 0

    def master_pid(self):
        with open(f"{self.queue}/pid/master.pid", encoding="utf-8") as file:
            return int(file.read())

    def processes(self, name=None):
        """Pids of this instance's daemons, by program name or all."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                cwd = os.readlink(f"/proc/{pid}/cwd")
                program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if cwd == self.queue and (name is None or program == name):
                found.append(int(pid))
        return found

    def crash(self):
        """Everything dies at once: nobody sees that master is gone, and ends in good order. (A dying process has no name any more while it
        still holds its locks.)"""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(pid, number)
        wait_until(lambda: not self.processes(), what="the end of all processes")
        with open(f"{self.queue}/commit/lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def destroy(self):
        try:
            self.command("posthouse", "stop", check=False, timeout=40)
        except subprocess.TimeoutExpired:
            pass
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def folder(self, user):
        return f"{self.directory}/mail/{user}/new"


class Wire:
    """A client that says exactly what a test wants, and reads replies."""

    def __init__(self, connected):
        self.socket = connected
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def raw(self, data):
        self.socket.sendall(data)

    def reply(self):
        """All lines of one reply joined by newlines; "" when the server closed."""
        lines = []
        while True:
            line = self.file.readline().decode("utf-8", "replace")
            if not line:
                return "\n".join(lines)
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line):
        self.raw(line.encode() + b"\r\n" if isinstance(line, str) else line + b"\r\n")
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
