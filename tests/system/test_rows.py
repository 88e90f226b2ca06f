"""Rows of master.cf: types, columns, options, ports, what is missing, what cannot be had."""
import array
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from instance import BIN, free_port, wait_until
from master_helpers import Client, Master, connect_unix, settle

STREAM = "PORT inet n - n - - test-stream"


@pytest.fixture
def make(tmp_path_factory):
    made = []

    def start(rows, main=(), started=True, owner=None):
        directory = tmp_path_factory.mktemp("r")
        if owner:
            for path in (directory, directory.parent, directory.parent.parent):
                os.chmod(path, 0o755)
        master = Master(directory, rows, main, owner)
        made.append(master)
        return master.start() if started else master

    yield start
    for master in made:
        master.destroy()


def start_fails(master, **environment):
    """What `master -w` says when it does not start."""
    env = dict(os.environ, **environment)
    done = subprocess.run(master.command("-w"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, env=env, timeout=30, check=False)
    assert done.returncode != 0, master.log()
    return done.stderr


# --- types ---

def pass_descriptor(master, path, fd):
    """What postscreen does: a connection to the service that brings the client's own."""
    with connect_unix(path, master.queue) as s:
        s.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def test_a_silent_client_of_a_pass_service_keeps_nobody_waiting(make):
    """Whoever passes connections may have left them blocking."""
    master = make(["smtpd pass - - n - 100 test-stream"])
    pairs = [socket.socketpair() for _ in range(20)]  # more than there are processes
    for ours, theirs in pairs:
        pass_descriptor(master, "private/smtpd", theirs.fileno())
        theirs.close()
        time.sleep(0.02)
    ours = pairs[-1][0]
    ours.settimeout(10)
    ours.sendall(b"name\n")
    assert ours.recv(100) == b"smtpd\n"
    for ours, _ in pairs:
        ours.close()


def test_a_pass_service_serves_the_connection_that_comes_as_a_descriptor(make):
    master = make(["smtpd pass - - n - 3 test-stream"])
    listener = socket.create_server(("127.0.0.1", 0))
    clients = []
    for _ in range(2):
        ours = socket.create_connection(listener.getsockname(), 20)
        theirs, peer = listener.accept()
        pass_descriptor(master, "private/smtpd", theirs.fileno())
        theirs.close()
        file = ours.makefile("rb")
        ours.sendall(b"addresses\n")
        assert file.readline().decode().split()[:2] == [peer[0], str(peer[1])]
        clients.append((ours, file))
    # A connection without a descriptor is said, closed, and keeps nobody else waiting.
    with connect_unix("private/smtpd", master.queue) as s:
        s.sendall(b"x")
        assert s.recv(1) == b""
    master.wait_log("smtpd: no descriptor was passed")
    for ours, file in clients:
        ours.sendall(b"name\n")
        assert file.readline() == b"smtpd\n"
        file.close()
        ours.close()
    listener.close()


def test_a_fifo_row_is_served_as_a_socket(make):
    master = make(["pickup fifo n - n - - test-stream"])
    with master.client("public/pickup") as client:
        assert client.ask("name") == "pickup"


# --- options ---

def test_options_may_be_braced_and_glued(make):
    master = make([STREAM + " -o { syslog_name = one/two } -v -omax_idle=7s"])
    with master.client() as client:
        assert client.ask("log spoken") == ""
    master.wait_log("one/two/test-stream[")
    assert re.search(r"one/two/test-stream\[\d+\]: spoken", master.log())


def test_the_debugger_option_is_accepted(make):
    master = make([STREAM + " -D"])
    with master.client() as client:
        assert client.pid() > 0


# --- ports and addresses ---

def test_a_port_may_have_a_name_of_known_tcp_ports(make):
    port = free_port()
    master = make([f"127.0.0.1:posthouse inet n - n - - test-stream"], [f"known_tcp_ports = smtp=25, other=posthouse={port}"])
    with Client(port, master.queue) as client:
        assert client.ask("name") == "127.0.0.1:posthouse"


def test_an_unknown_port_is_said_and_the_rest_works(make):
    master = make(["127.0.0.1:nosuchport inet n - n - - test-stream", STREAM])
    assert "unknown port: 127.0.0.1:nosuchport" in master.log()
    with master.client() as client:
        assert client.pid() > 0


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_bracketed_ipv6_address_and_inet_protocols(make):
    if not has_ipv6():
        pytest.skip("no IPv6 on the loopback interface")
    port = free_port()
    rows = [f"[::1]:{port} inet n - n - - test-stream", STREAM]
    for protocols, there in (("all", True), ("ipv4", False)):
        master = make(rows, [f"inet_protocols = {protocols}"])
        try:
            socket.create_connection(("::1", port), 5).close()
            assert there
        except ConnectionRefusedError:
            assert not there
        master.stop()


def test_a_busy_port_ends_the_start_and_names_it(make):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        master = make([f"127.0.0.1:{port} inet n - n - - test-stream"], started=False)
        assert f"fatal: bind 127.0.0.1 port {port}: Address already in use" in start_fails(master)
        assert f"fatal: bind 127.0.0.1 port {port}: Address already in use" in master.log()
        assert master.processes() == []
    master.start()


def test_a_port_that_is_busy_at_a_reload_is_opened_at_the_next(make):
    master = make([STREAM])
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        master.write_rows([STREAM, f"127.0.0.1:{port} inet n - n - - test-stream"])
        master.signal(signal.SIGHUP)
        master.wait_log(f"error: bind 127.0.0.1 port {port}: Address already in use")
        with master.client() as client:
            assert client.pid() > 0
    master.signal(signal.SIGHUP)
    master.wait_log("reload -- version", count=2)
    settle(0.3)
    with Client(port, master.queue) as client:
        assert client.pid() > 0


# --- what is missing ---

def test_missing_programs_are_named_in_one_line_at_start_and_not_again(make):
    rows = [STREAM] + [f"gone{i} unix - - n 1 - no-such-{i % 2}" for i in range(6)] + ["dgram unix-dgram n - n - 1 no-such-2"]
    master = make(rows)
    listed = ", ".join([f"gone{i} (no-such-{i % 2})" for i in range(6)] + ["dgram (no-such-2)"])
    assert listed in master.log()
    for _ in range(3):
        with master.client("private/gone1") as client:
            assert client.receive() == ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(f"{master.queue}/public/dgram")
        s.send(b"x")
    master.signal(signal.SIGHUP)
    master.wait_log("reload -- version")
    settle(1.5)
    assert master.log().count("no-such-1") == 3 and master.log().count("\n") <= 4
    # Refusing costs no busy loop.
    ticks = sum(int(n) for n in open(f"/proc/{master.pid()}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[11:13])
    assert ticks < 50


# --- processes ---

def test_a_failed_fork_is_tried_again(make):
    """fork_attempts, fork_delay: the first fork of master fails."""
    for attempts, delay, served in ((2, 1, True), (2, 60, False), (1, 1, False)):
        master = make([STREAM], [f"fork_attempts = {attempts}", f"fork_delay = {delay}s"], started=False)
        env = dict(os.environ, POSTHOUSE_FAULT="fork:1=EAGAIN", POSTHOUSE_FAULT_PROGRAM="master")
        done = subprocess.run(master.command("-w"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, env=env, timeout=30, check=False)
        assert done.returncode == 0
        with master.client() as client:
            assert client.is_served(3) == served, (attempts, delay)
        assert master.log().count("warning: fork: Resource temporarily unavailable") == 1
        assert ("bad command startup -- throttling" in master.log()) == (attempts == 1)


def test_import_environment_is_all_that_daemons_get(make):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    master = make([STREAM], ["import_environment = TEST_ONE, TEST_TWO=two, MAIL_CONFIG"], started=False, owner="nobody")
    env = dict(os.environ, TEST_ONE="one", TEST_THREE="three")
    assert subprocess.run(master.command("-w"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=env, timeout=30, check=False).returncode == 0
    with master.client() as client, open(f"/proc/{client.pid()}/environ", encoding="utf-8") as file:
        names = sorted(filter(None, file.read().split("\0")))
    assert names == [f"MAIL_CONFIG={master.etc}", "TEST_ONE=one", "TEST_TWO=two"]


def test_the_default_of_the_chroot_column_follows_compatibility_level(make):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    rows = ["open unix - - n - - test-stream", "default unix - - - - - test-stream"]
    for level, jailed in (("0", True), ("1", False), ("3.6", False)):
        master = make(rows, [f"compatibility_level = {level}"], owner="nobody")
        for name, root in (("open", "/"), ("default", master.queue if jailed else "/")):
            with master.client(f"private/{name}") as client:
                assert os.readlink(f"/proc/{client.pid()}/root") == root, (level, name)
        assert ("using backwards-compatible default setting chroot=y" in master.log()) == jailed


# --- the postfix command ---

def test_check_names_what_is_wrong(make_instance):
    server = make_instance(["nosuch_parameter = 1"], ["gone unix - - n - - no-such-program"], start=False)
    first = server.command("postfix", "check", check=False)
    assert first.returncode == 0
    assert "service gone: no program" in first.stderr and "no-such-program" in first.stderr
    assert "unused parameter: nosuch_parameter=1" in first.stderr
    os.chmod(f"{server.queue}/deferred", 0o722)
    os.rmdir(f"{server.queue}/hold")
    second = server.command("postfix", "check")
    assert f"group or other writable: {server.queue}/deferred" in second.stderr
    assert os.stat(f"{server.queue}/hold").st_mode & 0o7777 == 0o700
    server.command("postfix", "set-permissions")
    assert os.stat(f"{server.queue}/deferred").st_mode & 0o7777 == 0o700
    assert "writable" not in server.command("postfix", "check").stderr
    os.rmdir(f"{server.queue}/hold")
    with open(f"{server.queue}/hold", "w", encoding="ascii"):
        pass
    broken = server.command("postfix", "check", check=False)
    assert broken.returncode == 1 and f"{server.queue}/hold: not a directory" in broken.stderr


def test_words_of_the_postfix_command(make_instance):
    server = make_instance()
    running = server.command("postfix", "status")
    assert running.stderr == f"postfix/postlog: the Postfix mail system is running: PID: {server.master_pid()}\n"
    usage = ("Usage: postfix start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, "
             "logrotate)\n")
    for words, said in ((["bogus"], "unknown command: 'bogus'. "), ([], "unknown command: ''. ")):
        done = server.command("postfix", *words, check=False)
        assert (done.returncode, done.stderr) == (1, f"postfix/postlog: fatal: {said}{usage}")
    again = server.command("postfix", "start", check=False)
    assert (again.returncode, again.stderr) == (1, "postfix/postlog: fatal: the Postfix mail system is already running\n")
    server.command("postfix", "-v", "-D", "flush")
    server.command("postfix", "abort")
    wait_until(lambda: not server.is_up(), 10, "the end")
    for word in ("stop", "reload", "abort", "flush"):
        done = server.command("postfix", word, check=False)
        assert (done.returncode, done.stderr) == (1, "postfix/postlog: fatal: the Postfix mail system is not running\n"), word
    done = server.command("postfix", "status", check=False)
    assert (done.returncode, done.stderr) == (1, "postfix/postlog: the Postfix mail system is not running\n")
    by_environment = subprocess.run([f"{BIN}/postfix", "status"], env=dict(os.environ, MAIL_CONFIG=server.etc),
                                    capture_output=True, text=True, timeout=30, check=False)
    assert by_environment.stderr == done.stderr


def test_upgrade_configuration_adds_the_rows_that_are_missing(make_instance):
    server = make_instance(start=False)
    with open(f"{server.etc}/master.cf", encoding="utf-8") as file:
        whole = file.read()
    lost = [line for line in whole.splitlines() if line.startswith(("retry ", "postlog "))]
    assert len(lost) == 2
    with open(f"{server.etc}/master.cf", "w", encoding="utf-8") as file:
        file.write("\n".join(line for line in whole.splitlines() if line not in lost) + "\n")
    server.command("postfix", "upgrade-configuration")
    with open(f"{server.etc}/master.cf", encoding="utf-8") as file:
        upgraded = file.read()
    assert sorted(upgraded.splitlines()) == sorted(whole.splitlines() + ["# Added by `postfix upgrade-configuration`."])
    server.command("postfix", "upgrade-configuration")
    with open(f"{server.etc}/master.cf", encoding="utf-8") as file:
        assert file.read() == upgraded
