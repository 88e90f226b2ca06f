"""XCLIENT and XFORWARD of an instance: who may, and a session that speaks for very many clients. What exactly is answered and kept is
compared with Postfix's in tests/compat/scenario/xclient and xforward."""
import re

import pytest

from instance import USER

MAIN = ["mydestination = lab.test", "local_recipient_maps ="]
XCLIENT = "smtpd_authorized_xclient_hosts"
XFORWARD = "smtpd_authorized_xforward_hosts"
WORDS = {XCLIENT: "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT", XFORWARD: "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"}


@pytest.mark.parametrize("parameter", [XCLIENT, XFORWARD])
@pytest.mark.parametrize("hosts, may", [("", False), ("127.0.0.9", False), ("127.0.0.1", True)])
def test_authorized_hosts_of_smtpd(make_instance, parameter, hosts, may):
    mail = make_instance(MAIN + [f"{parameter} = {hosts}"])
    with mail.connect() as wire:
        assert (f"250-{WORDS[parameter]}" in wire.say("EHLO c.test").split("\n")) is may
        reply = wire.say(f"{WORDS[parameter].split()[0]} NAME=first.test ADDR=192.0.2.1")
        assert reply == ({XCLIENT: wire.greeting, XFORWARD: "250 2.0.0 Ok"}[parameter] if may else "550 5.7.0 Error: insufficient authorization")
        wire.say("MAIL FROM:<s@a.test>")
        assert wire.say(f"RCPT TO:<{USER}@lab.test>") == "250 2.1.5 Ok"
    said = mail.wait_log(r": client=(.*)")[1]
    assert ("first.test[192.0.2.1]" in said) is may
    assert said.startswith("first.test") is (may and parameter == XCLIENT)


def test_a_session_may_speak_for_any_number_of_clients(make_instance):
    mail = make_instance(MAIN + [f"{XCLIENT} = 127.0.0.0/8", f"{XFORWARD} = 127.0.0.1"])
    count, name = 3000, "n" * 60 + ".test"
    with mail.connect() as wire:
        for start in range(0, count, 100):
            for number in range(start, start + 100):
                assert wire.say(f"XCLIENT NAME={name} REVERSE_NAME={name} ADDR=127.{number // 250}.1.{number % 250 + 1} HELO={name} LOGIN={name}") == wire.greeting
                assert wire.say(f"XFORWARD NAME={name} HELO={name} IDENT={number}") == "250 2.0.0 Ok"
        wire.say("MAIL FROM:<s@a.test>")
        assert wire.say(f"RCPT TO:<{USER}@lab.test>") == "250 2.1.5 Ok"
    said = mail.wait_log(r": client=(.*)")[1]
    assert re.fullmatch(rf"{name}\[127\.11\.1\.250\], sasl_method=XCLIENT, sasl_username={name}, orig_queue_id={count - 1}, orig_client={name}", said)
