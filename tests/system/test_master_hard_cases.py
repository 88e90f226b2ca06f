"""master where it is hard: ports and paths that go from row to row, many addresses, processes that all leave at once."""
import os
import signal
import socket
import subprocess

import pytest

from instance import wait_until
from master_helpers import make, settle  # noqa: F401


def row(address="", arguments="", maxproc="-"):
    return f"{address}PORT inet n - n - {maxproc} test-stream {arguments}"


def reload_rows(master, rows, main=None):
    before = master.log().count("reload -- version")
    master.write_rows(rows)
    if main is not None:
        master.write_main(main)
    master.signal(signal.SIGHUP)
    master.wait_log("reload -- version", count=before + 1)
    settle(0.3)


def pid_at(master, host):
    with socket.create_connection((host, master.port), 10) as s:
        s.sendall(b"pid\n")
        return int(s.recv(100))


# --- a port or a path goes from one row to another ---

def test_a_port_for_all_addresses_may_become_one_for_a_single_address(make):
    """And back. Each time a process has the old socket too, and is slow to end."""
    master = make([row()], ["inet_interfaces = 0.0.0.0"])
    for rows in ([row("127.0.0.1:")], [row()], [row("127.0.0.1:")]):
        old = pid_at(master, "127.0.0.1")
        os.kill(old, signal.SIGSTOP)
        reload_rows(master, rows)
        assert pid_at(master, "127.0.0.1") != old
        os.kill(old, signal.SIGCONT)
    assert "bind" not in master.log()
    with pytest.raises(OSError):
        pid_at(master, "127.0.0.2")


def test_a_port_for_all_addresses_may_shrink_and_leave_the_rest_to_a_new_row_before_it(make):
    master = make([row()], ["inet_interfaces = 0.0.0.0"])
    old = pid_at(master, "127.0.0.2")
    reload_rows(master, [row("127.0.0.2:"), row()], ["inet_interfaces = 127.0.0.1"])
    assert pid_at(master, "127.0.0.2") not in (old, pid_at(master, "127.0.0.1"))
    assert "bind" not in master.log()


@pytest.mark.parametrize("old, new", [("fifo", "unix"), ("unix", "fifo"), ("unix", "pass"), ("unix-dgram", "unix")])
def test_a_service_may_become_one_of_another_type(make, old, new):
    master = make([row(), f"pickup {old} n - n - - test-stream"])
    if old != "unix-dgram":
        with master.client("public/pickup") as client:
            assert client.pid() > 0
    reload_rows(master, [row(), f"pickup {new} n - n - - test-stream"])
    assert os.path.exists(f"{master.queue}/public/pickup")
    with master.client("public/pickup") as client:
        assert client.pid() > 0 if new != "pass" else client.socket.send(b"x") == 1


def test_a_client_that_waits_at_a_row_that_stays_is_served_after_the_reload(make):
    master = make([row(maxproc="1")])
    with master.client() as first:
        assert first.pid() > 0
        with master.client() as waiting:
            assert not waiting.is_served()
            reload_rows(master, [row(maxproc="1"), "other unix n - n - - test-stream"])
            first.close()
            assert waiting.receive().isdigit()


# --- many addresses ---

def interfaces(count):
    return ["inet_interfaces = " + " ".join(f"127.0.1.{i + 1}" for i in range(count))]


@pytest.mark.parametrize("count", [58, 59, 64, 65, 100])
def test_a_row_serves_each_of_many_addresses(make, count):
    master = make([row()], interfaces(count))
    for last in (1, count // 2, count):
        assert pid_at(master, f"127.0.1.{last}") > 0
    assert "killed by signal" not in master.log() and "error" not in master.log()


def test_more_addresses_than_a_row_can_have_are_said(make):
    """At the start that is the end, as for any row that cannot be opened; at a reload the first ones work."""
    said = "service {port}: more than 100 addresses: it does not listen at 127.0.1.101:{port} and those after it"
    master = make([row()], interfaces(102), started=False)
    done = subprocess.run(master.command("-w"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, timeout=30, check=False)
    assert done.returncode != 0 and "fatal: " + said.format(port=master.port) in done.stderr
    assert master.processes() == []
    master = make([row()], interfaces(3))
    reload_rows(master, [row()], interfaces(102))
    assert "error: " + said.format(port=master.port) in master.log()
    assert pid_at(master, "127.0.1.100") > 0


# --- processes that leave ---

def test_without_a_limit_of_clients_the_next_process_starts_when_all_are_about_to_leave(make):
    """As many processes as cores are full and near max_use: one more is there, and serves even while they do not answer."""
    cores = os.cpu_count()
    if cores > 16:
        pytest.skip("too many clients for a short test")
    master = make([row(arguments="-m 8", maxproc="0")], ["service_client_limit = 2"])
    clients = [master.client() for _ in range(14 * cores)]
    pids = [client.pid() for client in clients]
    old = set(pids)
    assert [pids.count(pid) for pid in old] == [14] * cores
    wait_until(lambda: len(master.processes("test-stream")) == cores + 1, 10, "the next process")
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    with master.client() as client:
        assert client.pid() not in old
    for pid in old:
        os.kill(pid, signal.SIGCONT)
    for client in clients:
        client.close()
