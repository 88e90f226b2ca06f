"""The limits that stock transports have by their names. Each is a row of master.cf that speaks SMTP to a peer of its own."""
import pytest

from test_parameters import BASE, Peer, maps, most_open, recipients_at_once

NAMES = ["smtp", "relay", "lmtp", "local", "virtual"]


@pytest.fixture
def start(make_instance):
    def make(name, *main, slow=True):
        peer = Peer(delays={".": 0.4} if slow else None)
        server = make_instance(BASE + [maps(f"{{t.test = {name}:[127.0.0.1]:{peer.port}}}"), *main], start=False)
        with open(f"{server.etc}/master.cf", encoding="utf-8") as file:
            rows = [row for row in file if not row.startswith((f"{name} ", f"{name}\t"))]
        with open(f"{server.etc}/master.cf", "w", encoding="utf-8") as file:
            file.writelines(rows + [f"{name} unix - - n - - smtp\n"])
        server.start()
        return server, peer
    return make


@pytest.mark.parametrize("name", NAMES)
def test_concurrency_by_name(start, name):
    """local_destination_concurrency_limit, smtp_destination_concurrency_limit, relay_destination_concurrency_limit,
    lmtp_destination_concurrency_limit, virtual_destination_concurrency_limit; local has 2 where the others have the default."""
    assert most_open(*start(name, f"{name}_destination_concurrency_limit = 1", f"{name}_destination_recipient_limit = 2"), "t.test") == 1
    most = most_open(*start(name, f"{name}_destination_recipient_limit = 2"), "t.test")
    assert most == 2 if name == "local" else most > 2


@pytest.mark.parametrize("name", NAMES)
def test_recipients_by_name(start, name):
    """local_destination_recipient_limit, smtp_destination_recipient_limit, relay_destination_recipient_limit,
    lmtp_destination_recipient_limit, virtual_destination_recipient_limit; local has 1 where the others have the default."""
    assert recipients_at_once(*start(name, f"{name}_destination_recipient_limit = 2", slow=False), "t.test") == 2
    assert recipients_at_once(*start(name, slow=False), "t.test") == (4 if name == "local" else 1)
