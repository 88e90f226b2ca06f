"""How long the LMTP client waits, and for how little: lmtp_ parameters of the text and of QUIT."""
import socket
import time

import pytest

from client_farm import Farm, Row

SENT = "status=sent"
LARGE = b"Subject: x\r\n\r\n" + (b"x" * 998 + b"\r\n") * 6000  # more than the sockets hold
CUT = "timed out while sending message body"
ALONE = ["lmtp_connection_cache_on_demand=no"]


def little_room(_argument, connection):
    """What is not read yet lies with the client."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return "220 fake.test"


def read_text(connection, size, pause=0):
    """In pieces, with a pause after each."""
    text = b""
    while not text.endswith(b"\r\n.\r\n"):
        piece = connection.socket.recv(size)
        if not piece:
            return b""
        text = text[-5:] + piece
        time.sleep(pause)
    return b"250 2.0.0 Saved\r\n"


def deaf_for(seconds):
    """The text is not read for a while."""
    def act(_argument, connection):
        connection.say("354 go")
        time.sleep(seconds)
        return read_text(connection, 1 << 20)
    return {"greeting": little_room, "data": act}


def slow_reader(rate):
    def act(_argument, connection):
        connection.say("354 go")
        return read_text(connection, rate // 20, 0.05)
    return {"greeting": little_room, "data": act}


def farewell(_argument, connection):
    """Notes whether the client goes without an answer to QUIT."""
    connection.socket.settimeout(2.2)
    try:
        gone = connection.socket.recv(1) == b""
    except socket.timeout:
        gone = False
    connection.commands.append("left" if gone else "waited")
    return "221 2.0.0 Bye"


ROWS = [
    Row("lmtp_data_xfer_timeout", "1s", "60s", CUT, SENT, script=deaf_for(2.5), text=LARGE),
    Row("lmtp_per_request_deadline", "yes", "no", CUT, SENT, extra=["lmtp_data_xfer_timeout=2s", "lmtp_min_data_rate=100000000"],
        script=slow_reader(1500000), text=LARGE),
    Row("lmtp_min_data_rate", "100000000", "1000", CUT, SENT, extra=["lmtp_data_xfer_timeout=2s", "lmtp_per_request_deadline=yes"],
        script=slow_reader(1500000), text=LARGE),
    Row("lmtp_quit_timeout", "1s", "60s", "^left$", "^waited$", extra=["lmtp_skip_quit_response=no", *ALONE], script={"quit": farewell}, mails=2, gap=2.5),
    Row("lmtp_skip_quit_response", "yes", "no", "^left$", "^waited$", extra=ALONE, script={"quit": farewell}, mails=2, gap=2.5),
]
CASES = [case for row in ROWS for case in row.cases()]


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    made = Farm(str(tmp_path_factory.mktemp("f") / "i"), ROWS)
    yield made
    made.close()


@pytest.mark.parametrize("row, name", CASES, ids=[name for _, name in CASES])
def test_limits_of_lmtp(farm, row, name):
    farm.check(row, name)
