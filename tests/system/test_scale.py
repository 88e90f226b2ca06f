"""Many idle sessions in one process, and what they cost."""
import resource
import socket

import pytest

from instance import wait_until

SESSIONS = 10000
BAR_MB = 200


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def test_ten_thousand_idle_sessions_in_one_process(make_instance):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < SESSIONS + 500:
        pytest.skip(f"needs {SESSIONS + 500} open files, the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = make_instance(["smtpd_client_limit = 10100", "smtpd_timeout = 300s", "smtpd_peername_lookup = no"],
                           replace=[("-       n       -       -       smtpd", "-       n       -       10100   smtpd")])
    sockets = []
    try:
        for number in range(SESSIONS):
            # Several client addresses, so that ports do not run out.
            sockets.append(socket.create_connection(("127.0.0.1", server.port), 20, (f"127.0.1.{number // 2000 + 1}", 0)))
        for client in sockets:
            assert client.recv(100).startswith(b"220 ")
        # Idle in the middle of a conversation, not only before it.
        for client in sockets:
            client.sendall(b"EHLO idle.test\r\n")
        for client in sockets:
            assert client.recv(1000).startswith(b"250-")
        processes = server.processes("smtpd")
        assert len(processes) == 1
        size = resident_mb(processes[0])
        print(f"{SESSIONS} idle sessions in one smtpd: {size:.0f} MB resident")
        assert size < BAR_MB
        for client in (sockets[0], sockets[-1]):
            client.sendall(b"NOOP\r\n")
            assert client.recv(100) == b"250 2.0.0 Ok\r\n"
    finally:
        for client in sockets:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: server.log().count("disconnect from") + server.log().count("lost connection") >= SESSIONS, 60,
               "all sessions to end")
