"""master and the frame of its services: processes on demand, limits, retirement, throttling, reload, stop."""
import os
import pwd
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import pytest

from instance import wait_until
from master_helpers import END, GOAWAY, HELLO, MESSAGE, Inner, Master, alive, make, send_datagram, settle  # noqa: F401

STREAM = "PORT inet n - n - {maxproc} test-stream"
INNER = "inner unix - - n {wakeup} {maxproc} test-inner"


def stream(maxproc="-", options=""):
    return STREAM.format(maxproc=maxproc) + options


def inner(maxproc="-", wakeup="-", options=""):
    return INNER.format(maxproc=maxproc, wakeup=wakeup) + options


# --- start ---

def test_processes_start_on_demand(make):
    master = make([stream()])
    assert "daemon started -- version 3.11.6, configuration " + master.etc in master.log()
    assert master.processes("test-stream") == []
    with master.client() as client:
        pid = client.pid()
        assert master.processes("test-stream") == [pid]
        assert client.ask("name") == str(master.port)


def test_the_pid_file_is_locked_and_has_its_format(make):
    master = make([stream()])
    with open(f"{master.queue}/pid/master.pid", "rb") as file:
        text = file.read()
    assert len(text) == 33 and text == b"%32d\n" % master.pid()
    with open(f"{master.directory}/data/master.lock", "rb") as file:
        assert file.read() == text
    second = subprocess.run(master.command("-d"), capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode != 0 and "already running" in second.stderr + master.log()
    assert subprocess.run(master.command("-t"), timeout=20, check=False).returncode == 1
    assert alive(master.pid())
    master.stop()
    assert subprocess.run(master.command("-t"), timeout=20, check=False).returncode == 0


def test_addresses_of_both_ends_reach_the_service(make):
    master = make([stream()])
    with master.client() as client:
        peer, peer_port, local, local_port = client.ask("addresses").split()
        assert (peer, local) == ("127.0.0.1", "127.0.0.1")
        assert int(local_port) == master.port and int(peer_port) == client.socket.getsockname()[1]


def test_a_missing_program_is_named_and_its_clients_are_refused(make):
    master = make([stream(), "gone unix - - n - - no-such-program"])
    assert "no-such-program" in master.log()
    with master.client("private/gone") as client:
        assert client.receive() == ""
    with master.client() as client:
        assert client.pid() > 0


def test_a_type_that_the_program_cannot_serve_is_reported_and_the_rest_works(make):
    master = make([stream(), "log unix-dgram n - n - 1 test-stream"])
    send_datagram(f"{master.queue}/public/log", b"x")
    master.wait_log("service type unix-dgram is not one that test-stream can serve")
    master.wait_log("bad command startup -- throttling")
    with master.client() as client:
        assert client.pid() > 0


def test_a_row_may_be_switched_off(make):
    master = make([stream(), inner()], ["master_service_disable = inner/unix"])
    assert not os.path.exists(f"{master.queue}/private/inner")
    with master.client() as client:
        assert client.pid() > 0


def test_unix_sockets_are_private_or_public(make):
    master = make(["a unix - - n - - test-stream", "b unix n - n - - test-stream"])
    for path in ("private/a", "public/b"):
        assert os.stat(f"{master.queue}/{path}").st_mode & 0o777 == 0o666
        with master.client(path) as client:
            assert client.ask("name") == path[-1]


def test_a_port_alone_listens_on_all_inet_interfaces(make):
    master = make([stream()], ["inet_interfaces = 127.0.0.1, 127.0.0.2"])
    with master.client() as one, socket.create_connection(("127.0.0.2", master.port), 10) as two:
        two.sendall(b"pid\n")
        assert two.recv(100) == b"%d\n" % one.pid()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.3", master.port), 10)


def test_a_row_may_name_its_address(make):
    master = make(["127.0.0.2:PORT inet n - n - - test-stream"])
    with socket.create_connection(("127.0.0.2", master.port), 10) as client:
        client.sendall(b"name\n")
        assert client.recv(100) == b"127.0.0.2:%d\n" % master.port
    with pytest.raises(OSError):
        master.client()


# --- limits ---

def test_maxproc_bounds_the_clients_of_all_processes(make):
    master = make([stream(3)], ["service_client_limit = 2"])
    clients = [master.client() for _ in range(3)]
    pids = [client.pid() for client in clients]
    assert len(set(pids)) == (2 if os.cpu_count() > 1 else 1) or os.cpu_count() == 1
    assert max(pids.count(pid) for pid in pids) <= 2
    with master.client() as fourth:
        assert not fourth.is_served()
        clients.pop().close()
        assert fourth.receive().isdigit()
    for client in clients:
        client.close()


def test_limit_1_gives_each_client_a_process_of_its_own(make):
    master = make([stream(4)], ["service_client_limit = 1"])
    clients = [master.client() for _ in range(4)]
    assert len({client.pid() for client in clients}) == 4
    with master.client() as fifth:
        assert not fifth.is_served()
    for client in clients:
        client.close()


def test_many_clients_share_a_process_and_idle_ones_are_reused(make):
    master = make([stream()])
    clients = [master.client() for _ in range(20)]
    assert len({client.pid() for client in clients}) == 1
    for client in clients:
        client.close()
    with master.client() as client:
        pid = client.pid()
        assert master.processes("test-stream") == [pid]


def test_maxproc_left_open_is_default_process_limit(make):
    master = make([stream()], ["default_process_limit = 2"])
    clients = [master.client() for _ in range(2)]
    assert all(client.pid() > 0 for client in clients)
    with master.client() as third:
        assert not third.is_served()
    for client in clients:
        client.close()


def test_maxproc_0_does_not_bound_clients(make):
    master = make([stream(0)], ["service_client_limit = 2"])
    clients = [master.client() for _ in range(9)]
    for client in clients:
        assert client.pid() > 0
    for client in clients:
        client.close()


def test_stress_begins_when_clients_reach_maxproc(make):
    master = make([stream(3)])
    clients = [master.client() for _ in range(2)]
    assert [client.ask("stress") for client in clients] == ["no", "no"]
    clients.append(master.client())
    wait_until(lambda: clients[0].ask("stress") == "yes", 10, "stress")
    assert (f'warning: service "{master.port}" ({master.port}) has reached its process limit "3": '
            "new clients may experience noticeable delays") in master.log()
    clients.pop().close()
    master.signal(signal.SIGHUP)
    wait_until(lambda: clients[0].ask("draining") == "yes", 10, "the new generation")
    with master.client() as fresh:
        assert fresh.ask("stress") == "yes"  # for a while; new processes learn it at their start
    for client in clients:
        client.close()


def test_a_limit_that_does_not_fit_into_the_open_files_is_lowered(make):
    master = make([stream()], ["service_client_limit = 900000"])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard > 900064:
        pytest.skip("this machine allows a million open files")
    assert f"the limit is now {hard - 64}" in master.log()
    with master.client() as client:
        assert client.pid() > 0


# --- retirement ---

def test_a_process_retires_after_max_use_times_its_clients(make):
    master = make([stream("-", " -m 2")], ["service_client_limit = 2"])
    pids = []
    for _ in range(9):
        with master.client() as client:
            pids.append(client.pid())
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [4, 4, 1]
    wait_until(lambda: len(master.processes("test-stream")) == 1, 10, "the end of the retired")
    assert "warning: process" not in master.log()


def test_the_next_process_is_there_before_one_retires(make):
    """Only one more, and no client waits for it. Which of the two takes a client is chance: the new one may be near its end, too, and have one
    more beside it."""
    master = make([stream("-", " -m 100")], ["service_client_limit = 2"])
    pids = []

    def one():
        with master.client() as client:
            pids.append(client.pid())
    for _ in range(174):
        one()
    settle(0.5)
    assert len(master.processes("test-stream")) == 1 and len(set(pids)) == 1
    one()
    wait_until(lambda: len(master.processes("test-stream")) == 2, 10, "the next process")
    while pids.count(pids[0]) < 200:
        one()
    one()
    settle(0.5)
    assert pids[-1] != pids[0] and len(set(pids)) in (2, 3) and len(master.processes("test-stream")) == len(set(pids)) - 1
    assert "warning: process" not in master.log()


def test_an_idle_process_ends(make):
    master = make([stream("-", " -i 1")])
    with master.client() as client:
        first = client.pid()
    wait_until(lambda: not alive(first), 10, "the idle process's end")
    master.wait_log("finished")
    with master.client() as client:
        assert client.pid() != first


def test_a_busy_process_does_not_count_as_idle(make):
    master = make([stream("-", " -i 1")])
    with master.client() as client:
        first = client.pid()
        settle(2)
        assert client.pid() == first


def test_a_changed_table_makes_the_next_client_meet_a_new_process(make, tmp_path):
    changed = tmp_path / "changed"
    master = make([stream("-", f" -o test_file={changed}")])
    with master.client() as client:
        first = client.pid()
        settle(1.1)  # looked at once a second at most
        changed.write_text("")
        with master.client() as other:
            assert other.pid() != first
        assert client.pid() == first
    assert "has changed -- restarting" in master.log()


# --- trouble ---

def test_a_process_that_dies_at_its_start_is_throttled(make):
    master = make([stream("-", " -o test_fail=yes")], ["service_throttle_time = 2"])
    with master.client():
        master.wait_log("bad command startup -- throttling")
        log = master.log()
        assert "fatal: told to fail" in log and "exit status 1" in log
        settle(1)
        assert master.log().count("told to fail") == 1
        master.wait_log("told to fail", count=2)


def test_a_crash_later_on_does_not_throttle(make):
    master = make([stream()])
    with master.client() as client:
        first = client.pid()
        client.send("crash")
        assert client.receive() == ""
    master.wait_log(f"pid {first} killed by signal 9")
    with master.client() as client:
        second = client.pid()
        assert second != first
        client.send("exit 7")
        assert client.receive() == ""
    master.wait_log(f"pid {second} exit status 7")
    with master.client() as client:
        assert client.pid() not in (first, second)
    assert "throttling" not in master.log()


def test_a_loop_that_does_not_turn_is_ended_by_the_watchdog(make):
    master = make([stream()], ["daemon_timeout = 1"])
    with master.client() as client:
        pid = client.pid()
        settle(2)
        assert client.pid() == pid  # turning loops live on
        client.send("spin")
        master.wait_log(f"pid {pid} killed by signal 14")


def test_daemons_end_when_master_is_killed(make):
    master = make([stream(), inner()])
    with master.client() as client:
        pid = client.pid()
        os.kill(master.pid(), signal.SIGKILL)
        wait_until(lambda: client.ask("draining") == "yes", 10, "retirement")
        assert alive(pid)  # the session goes on
    wait_until(lambda: not alive(pid), 10, "the orphan's end")


# --- reload and stop ---

def test_a_reload_drops_no_session_and_no_new_client(make):
    master = make([stream()])
    with master.client() as old:
        first = old.pid()
        master.signal(signal.SIGHUP)
        wait_until(lambda: old.ask("draining") == "yes", 10, "the new generation")
        assert "reload -- version 3.11.6, configuration " + master.etc in master.log()
        with master.client() as fresh:
            assert fresh.pid() != first
        assert old.pid() == first
    wait_until(lambda: not alive(first), 10, "the old process's end")
    assert "warning: process" not in master.log()


def test_draining_clients_count_towards_maxproc(make):
    master = make([stream(2)], ["service_client_limit = 2"])
    old = [master.client(), master.client()]
    assert len({client.pid() for client in old}) == 1
    master.signal(signal.SIGHUP)
    wait_until(lambda: old[0].ask("draining") == "yes", 10, "the new generation")
    with master.client() as fresh:
        assert not fresh.is_served()
        old.pop().close()
        assert fresh.receive().isdigit()
    old.pop().close()


def test_a_reload_opens_new_sockets_and_closes_old_ones(make):
    master = make([stream(), "a unix - - n - - test-stream"])
    with master.client("private/a") as client:
        assert client.ask("name") == "a"
    master.write_rows([stream(), "b unix - - n - - test-stream"])
    master.signal(signal.SIGHUP)
    wait_until(lambda: os.path.exists(f"{master.queue}/private/b"), 10, "the new socket")
    assert not os.path.exists(f"{master.queue}/private/a")
    with master.client("private/b") as client:
        assert client.ask("name") == "b"
    with master.client() as client:
        assert client.pid() > 0


def test_a_reload_with_a_broken_file_changes_nothing(make):
    master = make([stream()])
    master.write_rows(["nonsense"])
    master.signal(signal.SIGHUP)
    master.wait_log("master.cf")
    with master.client() as client:
        assert client.pid() > 0
    with open(f"{master.etc}/main.cf", "a", encoding="utf-8") as file:
        file.write("max_use = many\n")
    master.signal(signal.SIGHUP)
    master.wait_log("max_use")
    assert alive(master.pid())


def test_a_stop_leaves_no_process(make):
    master = make([stream(), inner()])
    with master.client() as client:
        client.pid()
        Inner(master, "private/inner")
        master.stop()
        assert client.receive() == ""
    assert master.processes() == []
    assert "terminating on signal 15" in master.log()
    assert "warning: process" not in master.log()


# --- the log ---

def test_the_tag_is_syslog_name_and_the_program(make):
    master = make([stream("-", " -o syslog_name=post/office")])
    with master.client() as client:
        pid = client.pid()
    os.kill(pid, signal.SIGUSR1)
    master.wait_log(f"post/office/test-stream[{pid}]: finished")
    assert f"postfix/master[{master.pid()}]: daemon started" in master.log()


def test_maillog_file_may_be_standard_output(make):
    master = make([stream()], ["maillog_file = /dev/stdout"], started=False)
    with open(master.log_path, "w", encoding="utf-8") as out:
        running = subprocess.Popen(master.command("-s"), stdout=out, stderr=subprocess.DEVNULL)
    try:
        master.wait_log("daemon started")
        with master.client() as client:
            pid = client.pid()
        os.kill(pid, signal.SIGUSR1)
        master.wait_log(f"postfix/test-stream[{pid}]: finished")
    finally:
        running.terminate()
        assert running.wait(15) == 0


def test_the_log_file_has_the_permissions_that_are_asked_for(make):
    master = make([stream()], ["maillog_file_permissions = 0640"])
    assert os.stat(master.log_path).st_mode & 0o777 == 0o640


# --- the inner protocol ---

def test_an_inner_service_says_hello_and_answers(make):
    master = make([inner()])
    client = Inner(master, "private/inner")
    exchange, kind, _, _, payload = client.receive()
    assert (exchange, kind) == (0, HELLO)
    assert payload == b"POST" + struct.pack("<HB", 1, 5) + b"inner" + struct.pack("<II", 100, 262144)
    for number in (1, 2, 3):
        client.frame(number, MESSAGE, END, 1)
        answer = client.receive()
        assert answer[:4] == (number, MESSAGE, END, 1) and int(answer[4]) in master.processes("test-inner")
    client.close()


def test_a_retiring_inner_service_says_goaway_and_finishes(make):
    master = make([inner()])
    client = Inner(master, "private/inner")
    client.frame(1, MESSAGE, 0, 2)
    assert client.receive()[1] == HELLO
    pid = wait_until(lambda: master.processes("test-inner"), 5, "a process")[0]
    # It may not have taken the message yet: an exchange of its own shows that it has.
    client.frame(2, MESSAGE, END, 1)
    assert client.receive()[0] == 2
    os.kill(pid, signal.SIGUSR1)
    assert client.receive() == (0, GOAWAY, 0, 0, b"\xff\xff\xff\xff")
    other = Inner(master, "private/inner")
    other.frame(1, MESSAGE, END, 1)
    assert other.receive()[1] == HELLO
    assert int(other.receive()[4]) != pid
    client.frame(1, MESSAGE, END, 1)
    assert client.receive()[:4] == (1, MESSAGE, END, 1)
    client.close()
    wait_until(lambda: not alive(pid), 10, "the retired process's end")
    other.close()


def test_an_inner_service_with_one_client_a_process_grants_one_exchange(make):
    master = make([inner(2)], ["inner_client_limit = 1"])
    first, second = Inner(master, "private/inner"), Inner(master, "private/inner")
    for client in (first, second):
        client.frame(1, MESSAGE, 0, 2)
        assert client.receive()[4].endswith(struct.pack("<II", 1, 262144))
    wait_until(lambda: len(master.processes("test-inner")) == 2, 10, "two processes")
    third = Inner(master, "private/inner")
    third.socket.settimeout(0.5)
    with pytest.raises(OSError):
        third.receive()
    first.frame(1, MESSAGE, END, 1)
    assert first.receive()[:2] == (1, MESSAGE)
    third.socket.settimeout(10)
    assert third.receive()[1] == HELLO


def test_wakeups_come_at_start_and_after_their_time(make):
    master = make([inner(1, "1")])
    master.wait_log("woken up", count=3)
    assert len(master.processes("test-inner")) == 1


def test_a_wakeup_with_a_question_mark_waits_for_the_first_use(make):
    master = make([inner(1, "1?")])
    settle(2)
    assert "woken up" not in master.log() and master.processes("test-inner") == []
    client = Inner(master, "private/inner")
    client.frame(1, MESSAGE, END, 1)
    assert client.receive()[1] == HELLO
    master.wait_log("woken up")


# --- rights ---

@pytest.fixture
def root_master():
    """One that root runs for another owner, in a directory that everyone may enter."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = tempfile.mkdtemp(prefix="posthouse-")
    master = Master(directory, [stream(), "jailed unix - - y - - test-stream", "rooted unix - n n - - test-stream"],
                    owner="nobody")
    yield master.start()
    master.destroy()
    shutil.rmtree(directory, ignore_errors=True)


def test_daemons_of_root_run_as_mail_owner(root_master):
    user = pwd.getpwnam("nobody")
    for path in (None, "private/rooted"):
        with root_master.client(path) as client, open(f"/proc/{client.pid()}/status", encoding="utf-8") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert status["Uid"].split() == [str(user.pw_uid)] * 4
        assert status["Gid"].split() == [str(user.pw_gid)] * 4
        assert status["Groups"].split() == [str(user.pw_gid)]
    socket_file = os.stat(f"{root_master.queue}/private/jailed")
    assert (socket_file.st_uid, socket_file.st_gid) == (user.pw_uid, user.pw_gid)
    root_master.stop()
    assert root_master.processes() == []


def test_a_row_with_chroot_is_jailed_in_the_queue_directory(root_master):
    with root_master.client("private/jailed") as client:
        assert os.readlink(f"/proc/{client.pid()}/root") == root_master.queue
    with root_master.client() as client:
        assert os.readlink(f"/proc/{client.pid()}/root") == "/"
    # What it logs still arrives: the file was opened before.
    root_master.signal(signal.SIGHUP)
    root_master.wait_log("finished", count=2)


def test_only_root_starts_a_master_for_others(root_master):
    done = subprocess.run(root_master.command("-t"), capture_output=True, text=True, timeout=20, check=False,
                          user="daemon", group="daemon", extra_groups=[])
    assert done.returncode != 0 and "must be started by root" in done.stderr


# --- by hand ---

def test_a_stream_service_serves_standard_input(make):
    master = make([stream()], started=False)
    done = subprocess.run([f"{master.directory}/libexec/test-stream", "-S"], input="name\naddresses\n", text=True,
                          capture_output=True, timeout=20, check=False, env=dict(os.environ, MAIL_CONFIG=master.etc))
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["test-stream", "127.0.0.1 0 127.0.0.1 0"]


def test_a_daemon_without_master_says_so(make):
    master = make([stream()], started=False)
    done = subprocess.run([f"{master.directory}/libexec/test-inner"], text=True, capture_output=True, timeout=20,
                          check=False, env=dict(os.environ, MAIL_CONFIG=master.etc))
    assert done.returncode == 1
    assert "master(8)" in done.stderr + master.log()
