"""How long a client of the SMTP server may take: each wait or the whole request, the least rate, under stress, after errors."""
import socket
import threading
import time

import pytest

from instance import USER, Wire, free_port

ME = f"{USER}@lab.test"
MAIN = ["myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "smtpd_peername_lookup = no", "smtpd_timeout = 1s"]
TIMEOUT = "421 4.4.2 mx.lab.test Error: timeout exceeded"
SECONDS = 2.4  # longer than smtpd_timeout, each pause shorter
PAUSE = 0.2


def drip(wire, piece, seconds=SECONDS):
    """Sends a piece, a pause, a piece ... while the server listens; gives how long it did."""
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            wire.raw(piece)
            time.sleep(PAUSE)
            wire.socket.setblocking(False)
            try:
                if wire.socket.recv(1, socket.MSG_PEEK) is not None:
                    break
            except BlockingIOError:
                pass
            finally:
                wire.socket.settimeout(20)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return time.monotonic() - began


def drip_command(wire):
    wire.say("EHLO c.test")
    wire.raw(b"NOOP ")
    took = drip(wire, b"x")
    try:
        wire.raw(b"\r\n")
    except OSError:
        pass
    return wire.reply(), took


def drip_body(wire, size):
    wire.say("HELO c.test")
    wire.say("MAIL FROM:<s@a.test>")
    assert wire.say(f"RCPT TO:<{ME}>") == "250 2.1.5 Ok"
    assert wire.say("DATA").startswith("354 ")
    wire.raw(b"Subject: x\r\n\r\n")
    took = drip(wire, b"x" * (size - 2) + b"\r\n")
    try:
        wire.raw(b".\r\n")
    except OSError:
        pass
    return wire.reply(), took


class Doors:
    """Servers of one instance that differ in parameters, each on a port of its own."""

    def __init__(self, make_instance, **options):
        self.ports = {name: free_port() for name in options}
        self.server = make_instance(MAIN, [
            f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd\n  -o syslog_name={name}"
            + "".join(f"\n  -o {option}" for option in options[name].split()) for name in options])
        self.results = {}

    def run(self, **actions):
        """All at the same time, as each takes seconds."""
        def act(name, action):
            with Wire(socket.create_connection(("127.0.0.1", self.ports[name]), 20)) as wire:
                self.results[name] = action(wire)
        threads = [threading.Thread(target=act, args=item) for item in actions.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_a_command_that_drips_in_is_cut_at_the_deadline_for_the_request(make_instance):
    """smtpd_per_request_deadline."""
    doors = Doors(make_instance, whole="smtpd_per_request_deadline=yes", each="smtpd_per_request_deadline=no", default="",
                  older="smtpd_per_record_deadline=yes")
    doors.run(whole=drip_command, each=drip_command, default=drip_command, older=drip_command)
    for name in ("whole", "older"):
        reply, took = doors.results[name]
        assert reply == TIMEOUT and 0.9 < took < SECONDS, (name, doors.results)
        doors.server.wait_log(rf"{name}/smtpd\[\d+\]: NOQUEUE: timeout after EHLO from unknown\[127\.0\.0\.1\]")
    for name in ("each", "default"):
        reply, took = doors.results[name]
        assert reply == "250 2.0.0 Ok" and took >= SECONDS, (name, doors.results)


def test_a_body_slower_than_the_least_rate_is_cut(make_instance):
    """smtpd_min_data_rate, with smtpd_per_request_deadline: 100 and 2000 bytes a second."""
    slow, fair = int(100 * PAUSE), int(2000 * PAUSE)
    on = "smtpd_per_request_deadline=yes"
    doors = Doors(make_instance, slow=on, fair=on, low=f"{on} smtpd_min_data_rate=20", high=f"{on} smtpd_min_data_rate=20000",
                  off="smtpd_min_data_rate=20000")
    doors.run(slow=lambda wire: drip_body(wire, slow), fair=lambda wire: drip_body(wire, fair), low=lambda wire: drip_body(wire, slow),
              high=lambda wire: drip_body(wire, fair), off=lambda wire: drip_body(wire, slow))
    for name in ("slow", "high"):
        reply, took = doors.results[name]
        assert reply == TIMEOUT and 0.9 < took < SECONDS, (name, doors.results)
        doors.server.wait_log(rf"{name}/smtpd\[\d+\]: [0-9A-F]+: timeout after DATA \(\d+ bytes\) from unknown\[127\.0\.0\.1\]")
    for name in ("fair", "low", "off"):
        reply, took = doors.results[name]
        assert reply.startswith("250 2.0.0 Ok: queued as ") and took >= SECONDS, (name, doors.results)
    doors.server.wait_mail(3)
    assert len(doors.server.mailbox()) == 3


def test_bytes_buy_no_more_time_than_the_limit(make_instance):
    """A burst at the beginning does not pay for a pause of any length."""
    doors = Doors(make_instance, burst="smtpd_per_request_deadline=yes")
    with Wire(socket.create_connection(("127.0.0.1", doors.ports["burst"]), 20)) as wire:
        for line in ("HELO c.test", "MAIL FROM:<s@a.test>", f"RCPT TO:<{ME}>", "DATA"):
            wire.say(line)
        began = time.monotonic()
        wire.raw(b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 1000)
        assert wire.reply() == TIMEOUT
        assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize("stressed", [True, False])
def test_under_stress_limits_are_short(make_instance, stressed):
    """When all servers are busy: smtpd_timeout, smtpd_hard_error_limit and smtpd_per_request_deadline, the last two by default."""
    port = free_port()
    server = make_instance([*MAIN, "smtpd_timeout = ${stress?{1}:{30}}s"],
                           [f"127.0.0.1:{port} inet n - n - {2 if stressed else 20} smtpd"])
    def connect():
        return Wire(socket.create_connection(("127.0.0.1", port), 20))
    with connect() as patient, connect() as clumsy:
        if stressed:
            server.wait_log("has reached its process limit")
            time.sleep(0.3)  # until the server heard of it
            for wire in (patient, clumsy):
                assert wire.say("NOOP") == "250 2.0.0 Ok"  # what is waited for now is waited for with the new limits
        reply, took = drip_command(patient)
        assert reply == (TIMEOUT if stressed else "250 2.0.0 Ok"), took
        if stressed:
            assert clumsy.reply() == TIMEOUT  # silent for as long
        else:
            clumsy.say("FOO")
            assert clumsy.say("NOOP") == "250 2.0.0 Ok"
    if stressed:
        with connect() as clumsy:
            clumsy.raw(b"FOO\r\n")
            assert clumsy.reply() == "500 5.5.2 Error: command not recognized"
            assert clumsy.reply() == "421 4.7.0 mx.lab.test Error: too many errors"


def test_a_client_that_errs_waits_and_nobody_else(make_instance):
    """smtpd_error_sleep_time after smtpd_soft_error_limit errors; other sessions of the process go on."""
    server = make_instance([*MAIN, "smtpd_timeout = 20s", "smtpd_error_sleep_time = 2s", "smtpd_soft_error_limit = 1"])
    with server.connect() as clumsy, server.connect() as other:
        clumsy.say("FOO")
        began = time.monotonic()
        clumsy.raw(b"FOO\r\n")
        for _ in range(5):
            assert other.say("NOOP") == "250 2.0.0 Ok"
        assert time.monotonic() - began < 1.5
        assert clumsy.reply().startswith("500 5.5.2 ")
        assert time.monotonic() - began > 1.9
        assert clumsy.say("NOOP") == "250 2.0.0 Ok"
        assert time.monotonic() - began < 3.5
    assert len(server.processes("smtpd")) == 1
