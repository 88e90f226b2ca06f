"""lmtp_ parameters that are their smtp_ namesakes' in deliveries over LMTP: each row shows two values and what they make of it."""
import contextlib
import socket

import pytest

from fake_dns import FakeDNS
from fake_smtp import FakeSMTP
from instance import free_port

MAILS = 12


@pytest.fixture
def store(make_instance):
    """make(main, script): an instance, and the two servers of store.test's two addresses."""
    with contextlib.ExitStack() as stack:
        def make(*main, **script):
            port, dns = free_port(), stack.enter_context(contextlib.closing(FakeDNS()))
            dns.address("store.test", "127.0.0.6", "127.0.0.7")
            servers = [stack.enter_context(contextlib.closing(FakeSMTP(host, port, **script))) for host in ("127.0.0.6", "127.0.0.7")]
            mail = make_instance(["relay_domains = store.test", f"transport_maps = inline:{{store.test=lmtp:inet:store.test:{port}}}",
                                  f"dns_servers = 127.0.0.1:{dns.port}", "lmtp_connection_cache_on_demand = no", *main], ["lmtp unix - - n - - lmtp"])
            return mail, servers
        yield make


def submit(mail, recipient="r@store.test"):
    with mail.smtp() as client:
        client.sendmail("s@a.test", [recipient], b"Subject: x\r\n\r\nx\r\n")


@pytest.mark.parametrize("limit, sessions", [(1, 1), (2, 2)])
def test_lmtp_mx_session_limit(store, limit, sessions):
    mail, servers = store(f"lmtp_mx_session_limit = {limit}", mail="450 4.3.0 not now")
    submit(mail)
    mail.wait_log("status=deferred")
    assert sum(len(s.connections) for s in servers) == sessions


@pytest.mark.parametrize("randomize, used", [("yes", 2), ("no", 1)])
def test_lmtp_randomize_addresses(store, randomize, used):
    mail, servers = store(f"lmtp_randomize_addresses = {randomize}")
    for count in range(1, MAILS + 1):
        submit(mail)
        mail.wait_log("status=sent", count=count)
    assert sum(bool(s.texts) for s in servers) == used


@pytest.mark.parametrize("seconds", [1, 3])
def test_lmtp_connect_timeout(make_instance, seconds):
    """A listener whose backlog is full answers nothing."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(contextlib.closing(socket.socket()))
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            other = stack.enter_context(contextlib.closing(socket.socket()))
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        mail = make_instance(["relay_domains = store.test", f"lmtp_connect_timeout = {seconds}s",
                              f"transport_maps = inline:{{store.test=lmtp:inet:127.0.0.1:{full.getsockname()[1]}}}"], ["lmtp unix - - n - - lmtp"])
        submit(mail)
        delay = float(mail.wait_log(r"delay=([\d.]+), .*status=deferred .*Connection timed out")[1])
        assert seconds - 0.2 < delay < seconds + 1.2
