"""spawn(8): a command for each connection."""
import os
import socket
import time

import pytest

from instance import free_port, wait_until
from root_instance import USERS, RootInstance


@pytest.fixture
def server():
    made = RootInstance()
    yield made
    made.destroy()


def start(server, attributes, *main):
    port = free_port()
    server.write_main(list(main))
    with open(f"{server.etc}/master.cf", "a", encoding="utf-8") as file:
        file.write(f"127.0.0.1:{port} inet n n n - - spawn\n  {attributes}\n")
    server.start()
    return port


def talk(port, data=b""):
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        got = b""
        while part := peer.recv(1000):
            got += part
        return got


def test_command_speaks_with_the_client(server):
    port = start(server, "user=victim:mallory argv=/bin/sh -c {id -u; id -g; env | cut -d= -f1 | sort | tr '\\n' ' '; exec cat}")
    lines = talk(port, b"hello\n").decode().splitlines()
    assert lines[:2] == [str(USERS["victim"]), str(USERS["mallory"])] and lines[-1].endswith("hello") and "HOME" not in lines[2]
    assert talk(port, b"again").endswith(b"again")


def test_its_end_and_its_time_limit_are_logged(server):
    port = start(server, "user=victim argv=/bin/sh -c {read x; exit $x}")
    talk(port, b"3\n")
    server.wait_log(r"warning: command /bin/sh exit status 3")
    begun = time.monotonic()
    assert talk(port, b"0\n") == b""
    assert time.monotonic() - begun < 10


def test_time_limit(server):
    port = start(server, "user=victim argv=/bin/sleep 600", "command_time_limit = 1s")
    assert talk(port) == b""
    server.wait_log(r"warning: command /bin/sleep: process \d+ exceeded its time limit")


@pytest.mark.parametrize("attributes, words", [("user=root argv=/bin/true", "specifies root privileges"), ("user=victim", "missing argv="),
                                               ("argv=/bin/true", "missing user="), ("x=y", "unknown attribute name: x=y")])
def test_rows_that_are_refused(server, attributes, words):
    port = start(server, attributes)
    with socket.create_connection(("127.0.0.1", port), 20):
        server.wait_log(f"fatal: .*{words}")
    wait_until(lambda: os.path.exists(server.log_path), 1, "a log")
