"""qmqpd: what its parameters do, and Debian's qmqp-source as its client."""
import shutil
import socket
import subprocess
import time

import pytest

from instance import USER, Instance, free_port

MESSAGE = b"Subject: by qmqp\n\nhello\n"


def netstring(text):
    return b"%d:%s," % (len(text), text)


def request(recipients=(f"{USER}@lab.test".encode(),)):
    return netstring(netstring(MESSAGE) + netstring(b"s@a.test") + b"".join(map(netstring, recipients)))


def answer_to(port, said):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(said)
        answer = b""
        while more := client.recv(1000):
            answer += more
        return answer.decode()


@pytest.fixture
def made(tmp_path):
    instance = Instance(str(tmp_path / "i"))
    ports = [free_port() for _ in range(2)]
    instance.configure(
        ["mydestination = lab.test", "qmqpd_authorized_clients = 127.0.0.1"],
        [f"127.0.0.1:{ports[0]} inet n - n - - qmqpd -o qmqpd_error_delay=0 -o qmqpd_client_port_logging=yes -o qmqpd_timeout=1",
         f"127.0.0.1:{ports[1]} inet n - n - - qmqpd -o qmqpd_authorized_clients= -o qmqpd_error_delay=2"])
    instance.start()
    yield instance, ports
    instance.destroy()


def test_parameters_of_qmqpd(made):
    instance, (port, other) = made
    assert ":KOk: queued as " in answer_to(port, request())
    instance.wait_mail()
    instance.wait_log(r"connect from [^ ]*\[127\.0\.0\.1\]:\d+$")
    started = time.monotonic()
    assert "is not authorized to use this service" in answer_to(other, b"")
    assert time.monotonic() - started >= 2
    started = time.monotonic()
    assert "Dnetstring format error" in answer_to(port, b"x")
    assert answer_to(port, b"10:") == ""
    assert 0.99 <= time.monotonic() - started < 15  # timers count in whole milliseconds
    instance.wait_log("read/write timeout while receiving message content")


def test_qmqp_source_sends(made):
    if not shutil.which("qmqp-source"):
        pytest.skip("qmqp-source is not installed (package postfix)")
    instance, (port, _) = made
    subprocess.run(["qmqp-source", "-s", "5", "-m", "20", "-l", "3000", "-f", "s@a.test", "-t", f"{USER}@lab.test", f"inet:127.0.0.1:{port}"],
                   check=True, timeout=60)
    instance.wait_mail(20)
