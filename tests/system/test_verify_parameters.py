"""Parameters of address verification: what each makes different from the first row, which has the defaults."""
import contextlib
import re
import time

import pytest

from fake_smtp import FakeSMTP
from instance import free_port, wait_until
from verify_lab import ROW, rcpt

DAY = 86400
SEEDS = {"pos@far.test": (0, 2 * DAY), "neg@far.test": (2, 7200)}
CHECK = ("smtpd_recipient_restrictions = reject_unverified_recipient, check_recipient_access inline:{{later@far.test=REJECT refused}, "
         "{me@lab.test=permit}}")
SENDERS = "smtpd_sender_restrictions = reject_unverified_sender, check_sender_access inline:{{later@far.test=REJECT refused}}"
FAST = ["address_verify_poll_delay = 1s", "address_verify_poll_count = 20"]
# Settings; then recipients (or <senders>), the reply, and how many probes the servers see for it.
ROWS = [
    ([], [
        ("pos@far.test", "250 2.1.5 Ok", 0), ("neg@far.test", "450 4.1.1 .*: unverified address: seed$", 0),
        ("no@far.test", "450 4.1.1 .*unverified address: .*550 5.1.1 no", 1), ("later@far.test", "554 5.7.1 .*refused", 1),
        ("slow@far.test", "250 2.1.5 Ok", 1), ("me@lab.test", "250", 0), ("v@virtual.test", "250", 0), ("r@relay.test", "250", 1),
        ("t@table.test", "250", 1), ("<no@far.test>", "450 4.1.7 .*550 5.1.1 no", 0), ("<later@far.test>", "554 5.7.1 .*refused", 0),
        ("prober@lab.test", "450 4.1.1 .*unknown user", 0)]),
    (["unverified_recipient_reject_code = 551", "unverified_sender_reject_code = 552", "unverified_recipient_defer_code = 451",
      "unverified_sender_defer_code = 452", "unverified_recipient_tempfail_action = defer", "unverified_sender_tempfail_action = defer"], [
          ("no@far.test", "551 5.1.1 .*undeliverable address: .*550 5.1.1 no", 1), ("later@far.test", "451 4.1.1 .*unverified address", 1),
          ("<no@far.test>", "552 5.1.7 .*undeliverable", 0), ("<later@far.test>", "452 4.1.7 .*unverified", 0)]),
    (["unverified_recipient_reject_reason = because", "unverified_sender_reject_reason = therefore", "reject_tempfail_action = defer"], [
        ("no@far.test", "450 4.1.1 .*unverified address: because$", 1), ("<no@far.test>", "450 4.1.7 .*address: therefore$", 0),
        ("later@far.test", "450 4.1.1 .*address: because$", 1), ("<later@far.test>", "450 4.1.7 .*address: therefore$", 0)]),
    (["address_verify_positive_expire_time = 1d", "address_verify_negative_expire_time = 1h"], [
        ("pos@far.test", "250", 1), ("neg@far.test", "250", 1)]),
    (["address_verify_positive_refresh_time = 1d", "address_verify_negative_refresh_time = 1h"], [
        ("pos@far.test", "250", 1), ("neg@far.test", "450 .*seed$", 1)]),
    (["address_verify_poll_count = 1"], [("slow@far.test", "450 4.1.1 .*Address verification in progress$", 1)]),
    (["address_verify_poll_delay = 4s"], [("slow@far.test", "250 2.1.5 Ok", 1)]),
    (["address_verify_poll_count = 3", "address_verify_negative_cache = no"], [("no@far.test", "450 4.1.1 .*Address verification in progress$", None)]),
    (["address_verify_sender = prober@lab.test"], [("ok@far.test", "250", 1), ("prober@lab.test", "250", 0)]),
    (["address_verify_sender = prober@lab.test", "address_verify_sender_ttl = 60000000s"], [
        ("ok@far.test", "250", 1), ("prober@lab.test", "450 .*unknown user", 0)]),
    (["address_verify_local_transport = error:5.9.1 local", "address_verify_virtual_transport = error:5.9.2 virtual",
      "address_verify_relay_transport = error:5.9.3 relay", "address_verify_transport_maps = inline:{{table.test=error:5.9.4 table}}"], [
          ("me@lab.test", "450 4.1.1 .*: local$", 0), ("v@virtual.test", "450 .*: virtual$", 0), ("r@relay.test", "450 .*: relay$", 0),
          ("t@table.test", "450 .*: table$", 0)]),
    (["address_verify_relayhost = [127.0.0.6]:{port}"], [("ok@far.test", "250", 1)]),
    (["address_verify_sender_dependent_relayhost_maps = inline:{{double-bounce@lab.test=[127.0.0.6]:{port}}}"], [("ok@far.test", "250", 1)]),
    (["address_verify_default_transport = error:5.9.5 default"], [("ok@far.test", "450 .*: default$", 0)]),
    (["address_verify_sender_dependent_default_transport_maps = inline:{{double-bounce@lab.test=error:5.9.6 sender}}"], [
        ("ok@far.test", "450 .*: sender$", 0)]),
]
OTHER = {"address_verify_relayhost", "address_verify_sender_dependent_relayhost_maps"}  # rows whose probes go to the second server
FROM = {"address_verify_sender": "prober@lab.test", "address_verify_sender_ttl": "proberY@lab.test"}


def answer(argument, _connection):
    time.sleep(1.5 if "slow" in argument else 0)
    return "550 5.1.1 no" if "no@" in argument else "450 4.2.1 later" if "later" in argument else "250 2.1.5 fine"


def ask(mail, address):
    return rcpt(mail, "me@lab.test", address[1:-1]) if address.startswith("<") else rcpt(mail, address, "")


def count(servers, address):
    return sum(line.startswith(f"RCPT TO:<{address}>") for server in servers for line in server.commands)


def seed(mail):
    now = int(time.time())
    with open(f"{mail.directory}/cache", "w", encoding="utf-8") as file:
        file.write("".join(f"{key} {status}:0:{now - age}:seed\n" for key, (status, age) in SEEDS.items()))
    mail.command("postmap", f"lmdb:{mail.directory}/cache")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: (row[0] or ["defaults"])[-1].split(" ")[0])
def test_parameters_of_verify(make_instance, row):
    settings, questions = row
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port(), rcpt=answer)) as first, \
            contextlib.closing(FakeSMTP("127.0.0.6", free_port(), rcpt=answer)) as second:
        mail = make_instance(start=False)
        base = ["mydestination = lab.test", "myorigin = lab.test", "relay_domains = relay.test", "virtual_mailbox_domains = virtual.test",
                "virtual_mailbox_maps = static:x", f"relayhost = [127.0.0.5]:{first.port}", "transport_maps =", *FAST, CHECK, SENDERS,
                f"relay_transport = smtp:[127.0.0.5]:{first.port}", "local_recipient_maps =", "local_transport = discard:",
                "virtual_transport = discard:", "smtpd_relay_restrictions = permit_mynetworks, reject",
                f"address_verify_map = lmdb:{mail.directory}/cache"]
        if "prober@lab.test" in str(questions):
            base[base.index("local_transport = discard:")] = "local_transport = error:5.1.1 unknown user"
        mail.configure(base + [line.replace("{port}", str(second.port)) for line in settings], ROW)
        seed(mail)
        mail.start()
        for address, reply, probes in questions:
            if address == "me@lab.test" and not settings:
                continue
            begun = time.monotonic()
            said = ask(mail, address)
            # The answer is there after 1.5 s, and asked for every second, or after four.
            assert "slow" not in address or (time.monotonic() - begun >= 4) == ("address_verify_poll_delay = 4s" in settings)
            assert re.match(reply, said), (address, said, mail.log()[-3000:])
            if probes is not None:
                plain = address.strip("<>")
                wait_until(lambda: count([first, second], plain) >= probes, what=f"a probe to {address}\n")
                assert probes == 0 or count([first, second], plain) == probes
        names = {line.split(" ")[0] for line in settings}
        assert bool(second.connections) == bool(names & OTHER)
        for name in names & set(FROM):
            if name != "address_verify_sender" or "address_verify_sender_ttl" not in names:
                assert any(line.startswith(f"MAIL FROM:<{FROM[name]}>") for line in first.commands)
        if "address_verify_negative_cache = no" in settings:
            assert "status=undeliverable-but-not-cached" in mail.log()
