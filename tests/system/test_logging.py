"""The log: rotation, postlogd and postlog, standard output, what is said where."""
import glob
import gzip
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from instance import BIN, wait_until
from master_helpers import Master, send_datagram, settle

LINE = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+\[\d+\]: .*")
ROWS = ["PORT inet n - n - - test-stream", "jailed unix - - y - - test-stream", "rooted unix - n n - - test-stream"]


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


@pytest.fixture
def make(tmp_path_factory):
    made = []

    def start(rows, main=(), owner=None):
        directory = tmp_path_factory.mktemp("log")
        if owner:
            for path in (directory, directory.parent, directory.parent.parent):
                os.chmod(path, 0o755)
        master = Master(directory, rows, main, owner)
        made.append(master)
        return master.start()

    yield start
    for master in made:
        master.destroy()


def say(clients, text):
    for name, client in clients.items():
        # An unknown word ends the session, "log" is not answered with words.
        assert client.ask(f"log {text} {name}") == ""


def lines(path, text):
    return {line.rsplit(" ", 1)[1] for line in read(path).splitlines() if f" {text} " in line}


def test_a_rotation_reaches_jailed_and_unprivileged_processes(make):
    """At SIGUSR2; lines never go to the old file again, and nobody holds it open."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    master = make(ROWS, owner="nobody")
    clients = {"inet": master.client(), "jailed": master.client("private/jailed"), "rooted": master.client("private/rooted")}
    say(clients, "before")
    os.rename(master.log_path, master.log_path + ".1")
    master.signal(signal.SIGUSR2)
    wait_until(lambda: os.path.exists(master.log_path), 5, "a new file")
    wait_until(lambda: not holders(master.log_path + ".1"), 5, "the end of writing to the old file")
    say(clients, "after")
    wait_until(lambda: lines(master.log_path, "after") == set(clients), 5, "lines of all processes")
    assert lines(master.log_path + ".1", "before") == set(clients)
    assert lines(master.log_path + ".1", "after") == set()


def holders(path):
    """Pids that have the file open."""
    inode = os.stat(path).st_ino
    found = []
    for fd in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.stat(fd).st_ino == inode and os.path.samefile(fd, path):
                found.append(int(fd.split("/")[2]))
        except OSError:
            pass
    return found


def test_a_renamed_log_is_noticed_within_a_second_or_so(make):
    master = make(ROWS[:1])
    client = master.client()
    say({"x": client}, "before")
    os.rename(master.log_path, master.log_path + ".1")
    start = time.monotonic()
    wait_until(lambda: os.path.exists(master.log_path), 10, "a new file")
    assert time.monotonic() - start < 3
    settle(0.3)
    say({"x": client}, "after")
    wait_until(lambda: lines(master.log_path, "after") == {"x"}, 5, "the line in the new file")


def test_a_reload_moves_the_sessions_of_the_old_generation_to_another_file(make):
    master = make(ROWS[:1])
    client = master.client()
    client.ask("pid")  # its process has read the configuration that changes now
    old = master.log_path
    master.log_path = f"{master.directory}/other.log"
    master.write_main()
    with open(f"{master.etc}/main.cf", "a", encoding="utf-8") as file:
        file.write("maillog_file_permissions = 0644\n")
    master.signal(signal.SIGHUP)
    wait_until(lambda: os.path.exists(master.log_path), 5, "the other file")
    settle(0.3)
    say({"x": client}, "after")
    wait_until(lambda: lines(master.log_path, "after") == {"x"}, 5, "the line in the other file")
    assert "reload -- version" in read(old)
    assert os.stat(master.log_path).st_mode & 0o777 == 0o644


def test_faults_that_a_daemon_alone_finds_are_in_the_log_file(make):
    master = make(["one unix - - n - - test-stream -x", "two unix - - n - - test-stream -o nothing",
                   "three unix - - n - - test-stream -o max_use=many"])
    for name in ("one", "two", "three"):
        master.client(f"private/{name}").close()
    master.wait_log("fatal: invalid option: -x")
    master.wait_log("fatal: -o nothing: missing '='")


# --- postfix logrotate ---

def test_logrotate_packs_the_old_file_when_all_have_left_it(make_instance):
    """maillog_file_rotate_suffix, maillog_file_compressor: under load, no line is lost or written twice."""
    server = make_instance(["maillog_file_rotate_suffix = old%Y", "maillog_file_compressor = gzip -1"])
    stop = threading.Event()
    sent = []

    def load():
        while not stop.is_set():
            with server.connect() as wire:
                wire.say("HELO here")
                wire.say("QUIT")
            sent.append(1)

    thread = threading.Thread(target=load)
    thread.start()
    wait_until(lambda: len(sent) > 20, 20, "some sessions")
    server.command("postfix", "logrotate")
    before = len(sent)
    wait_until(lambda: len(sent) > before + 20, 20, "more sessions")
    stop.set()
    thread.join()
    [packed] = glob.glob(f"{server.log_path}.old*.gz")
    assert packed == f"{server.log_path}.old{time.strftime('%Y')}.gz"
    wait_until(lambda: len(re.findall(" disconnect from", all_text(server, packed))) == len(sent), 10,
               "a line of each session")
    assert " disconnect from" in server.log()
    # An older file of the same name is never overwritten: gzip refuses, then the rename is.
    for said in ("maillog_file_compressor failed: gzip -1", "exists already"):
        again = server.command("postfix", "logrotate", check=False)
        assert again.returncode == 1 and said in again.stderr
    assert " disconnect from" in read(f"{server.log_path}.old{time.strftime('%Y')}")


def all_text(server, packed):
    with gzip.open(packed, "rt") as file:
        return file.read() + server.log()


def test_logrotate_says_why_it_cannot(make_instance):
    server = make_instance(["maillog_file_compressor = false"], start=False)
    assert server.command("posthouse", "status", check=False).returncode == 1
    failed = server.command("postfix", "logrotate", check=False)
    assert failed.returncode == 1 and "maillog_file_compressor failed: false" in failed.stderr
    server.configure(["maillog_file ="])
    failed = server.command("postfix", "logrotate", check=False)
    assert failed.returncode == 1 and "nothing to rotate" in failed.stderr


# --- standard output, postlogd, postlog ---

@pytest.fixture
def container(make_instance):
    """start-fg with its standard output in a pipe, as in a container."""
    server = make_instance(["maillog_file = /dev/stdout", "maillog_file_prefixes = /dev/stdout", "postlog_service_name = lines"],
                           start=False, replace=[("postlog ", "lines   ")])
    process = subprocess.Popen([f"{BIN}/postfix", "-c", server.etc, "start-fg"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    text = []
    thread = threading.Thread(target=lambda: text.extend(iter(process.stdout.readline, b"")))
    thread.start()
    wait_until(lambda: any(b"daemon started" in line for line in text), 20, "the start")
    yield server, text
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    thread.join(20)
    process.stdout.close()


def test_start_fg_shows_all_lines_whole_on_standard_output(container):
    """Daemons, commands by way of postlogd (postlog_service_name), and lines longer than a pipe takes at once."""
    server, text = container
    postlogs = [subprocess.Popen([f"{BIN}/postlog", "-c", server.etc, "-t", f"script{i}"], stdin=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL) for i in range(4)]
    words = [f"{'x' * random.randint(1, 700)}." for _ in range(300)] + ["y" * 7000] * 3
    feeders = [threading.Thread(target=p.communicate, args=("".join(w + "\n" for w in words).encode(),)) for p in postlogs]
    for feeder in feeders:
        feeder.start()
    for _ in range(30):
        with server.connect() as wire:
            wire.say("HELO here")
            wire.say("QUIT")
    for feeder in feeders:
        feeder.join()
    server.sendmail("Subject: x\n\nhello\n", "nosuch@localhost")
    wait_until(lambda: sum(b"status=bounced" in line for line in text) == 1, 20, "a bounce")
    wait_until(lambda: sum(b" script" in line for line in text) == 4 * len(words), 20, "all lines of postlog")
    for line in text:
        assert LINE.fullmatch(line.decode().rstrip("\n")) and len(line) <= 4096, line
    assert sum(b"]: x" in line and line.endswith(b"x.\n") for line in text) == 4 * 300
    for program in (b"postfix/postfix-script", b"postfix/master", b"postfix/smtpd", b"postfix/qmgr", b"postfix/cleanup"):
        assert any(program + b"[" in line for line in text), program
    # Its own standard output is not the log. (The message and its notice leave the queue a little after their lines.)
    wait_until(lambda: server.command("postqueue", "-p").stdout == "Mail queue is empty\n", 20, "an empty queue")


def test_process_1_of_a_container_leaves_no_zombies(make_instance):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    server = make_instance(start=False)
    process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", f"{BIN}/postfix", "-c", server.etc, "start-fg"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        server.wait_log("daemon started")
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        init = int(read(children))
        assert server.master_pid() == 1
        for _ in range(3):
            subprocess.run(["nsenter", f"--target={init}", "--pid", "sh", "-c", "sleep 0.2 &"], check=True)
        with server.connect() as wire:
            wire.say("QUIT")
        orphans = read(f"/proc/{init}/task/{init}/children").split()
        assert len(orphans) > 3  # the daemons and they
        wait_until(lambda: not any(is_zombie(pid) for pid in read(f"/proc/{init}/task/{init}/children").split()) and time.sleep(0.5) is None
                   and not any(is_zombie(pid) for pid in orphans), 10, "the end of the orphans")
        assert not any(is_sleep(pid) for pid in orphans)
        assert "warning: process" not in server.log()
    finally:
        process.kill()
        process.wait()


def is_zombie(pid):
    try:
        return read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_sleep(pid):
    try:
        return "(sleep)" in read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_start_in_the_background_refuses_standard_output(make_instance):
    server = make_instance(["maillog_file = /dev/stdout", "maillog_file_prefixes = /dev/stdout"], start=False)
    refused = server.command("postfix", "start", check=False)
    assert refused.returncode == 1 and "start-fg" in refused.stderr


def test_postlog_takes_words_or_lines_and_lets_no_control_byte_through(make_instance):
    server = make_instance()
    done = server.command("postlog", "hello", "world")
    assert done.stderr == "postfix/postlog: hello world\n"
    server.command("postlog", "-i", "-t", "tag x", "-p", "warn", "one\nNov 22 03:29:06 forged[1]: two\x1b[0m")
    server.command("postlog", "-p", "fatal", input="first\n\nlast\r\n")
    log = server.log()
    assert re.search(r"postfix/postlog\[\d+\]: hello world$", log, re.M)
    assert re.search(r" tag x\[\d+\]: warning: one\?Nov 22 03:29:06 forged\[1\]: two\?\[0m$", log, re.M)
    assert re.search(r"fatal: first$", log, re.M) and re.search(r"fatal: last\?$", log, re.M)
    assert server.command("postlog", "-p", "loud", "x", check=False).stderr == "postlog: fatal: bad priority: loud\n"
    server.command("postlog", "-t", "forged\nNov 22 03:29:06", "tagged")
    assert re.search(r" forged\?Nov 22 03:29:06\[\d+\]: tagged$", server.log(), re.M)
    subprocess.run(["sh", "-c", f"exec {BIN}/postlog -c {server.etc} closed >&- 2>&- <&-"], check=True)
    assert server.log().count("closed") == 1
    long = server.command("postlog", "z" * 20000)
    assert long.returncode == 0 and max(map(len, server.log().splitlines())) < 8200


def test_a_master_cf_without_postlog_gets_it_while_there_is_a_log_file(make_instance):
    row = "postlog   unix-dgram n  -       n       -       1       postlogd"
    server = make_instance(replace=[(row, "")])
    assert os.path.exists(f"{server.queue}/public/postlog")
    server.configure(["maillog_file ="])
    server.reload()
    wait_until(lambda: not os.path.exists(f"{server.queue}/public/postlog"), 5, "the end of the service")


def test_names_in_log_lines(make_instance):
    """multi_instance_name, mail_version."""
    server = make_instance(["multi_instance_name = postfix-two", "mail_version = 9.8.7"])
    assert re.search(r" postfix-two/master\[\d+\]: daemon started -- version 9\.8\.7, ", server.log())


def line(level, pid, tag, text):
    return struct.pack("<BII", level, pid, len(tag)) + tag + struct.pack("<I", len(text)) + text


def test_postlogd_survives_nonsense_and_a_flood_in_bounded_memory(container):
    server, text = container
    path = f"{server.queue}/public/lines"
    good = line(1, 7, b"tag", b"good one")
    for bad in (b"", b"\0", good[:-1], good + b"x", line(9, 7, b"tag", b"x"), line(1, 0, b"tag", b"x"),
                line(1, 7, b"", b"x"), line(1, 7, b"t\n", b"x"), line(1, 7, b"tag", b"a\nb"), b"\xff" * 60000):
        send_datagram(path, bad)
    send_datagram(path, good)
    wait_until(lambda: any(l.endswith(b" tag[7]: good one\n") for l in text), 10, "the good line")
    assert sum(b"malformed datagram" in l for l in text) == 10
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(path)
        for _ in range(20000):
            s.send(line(1, 8, b"flood", b"f" * 1000))
    wait_until(lambda: sum(b" flood[8]: " in l for l in text) == 20000, 30, "the whole flood")
    pids = server.processes("postlogd")
    assert pids
    for pid in pids:
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", read(f"/proc/{pid}/status")).group(1))
        assert peak < 30000, peak
