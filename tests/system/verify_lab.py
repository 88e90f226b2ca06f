"""Address verification: an instance that asks a server of ours about its recipients."""
import contextlib
import threading

from fake_smtp import FakeSMTP
from instance import free_port

ROW = ["verify unix - - n - 1 verify"]
MAIN = ["smtpd_recipient_restrictions = reject_unverified_recipient", "smtpd_relay_restrictions = permit_mynetworks, reject",
        "address_verify_poll_delay = 1s", "address_verify_poll_count = 20", "unverified_recipient_reject_code = 550"]


def started(make_instance, server, *main):
    return make_instance([f"relayhost = [{server.host}]:{server.port}"] + MAIN + list(main), ROW)


def rcpt(mail, address, sender="s@a.test"):
    """The reply to a recipient, in a session of its own."""
    with mail.connect() as wire:
        wire.say("EHLO c.test")
        wire.say(f"MAIL FROM:<{sender}>")
        return wire.say(f"RCPT TO:<{address}>")


@contextlib.contextmanager
def hesitant_server():
    """A server that knows everybody, and an event that it waits for before it says so of addresses with "slow" in them."""
    hold = threading.Event()

    def answer(argument, _connection):
        if "slow" in argument:
            hold.wait(60)
        return "250 2.1.5 fine"

    with contextlib.closing(FakeSMTP("127.0.0.5", free_port(), rcpt=answer)) as server:
        yield server, hold
