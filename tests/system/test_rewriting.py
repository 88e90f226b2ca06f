"""What an address is taken for: parameters of trivial-rewrite that decide on odd forms."""
import pytest

from instance import Wire

MAIN = ["myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "myorigin = lab.test", "local_recipient_maps =",
        "local_transport = discard:here", "default_transport = discard:there"]


def log_of(make_instance, main, recipients):
    """Reply codes, and the log once all that was accepted is delivered."""
    instance = make_instance(MAIN + main)
    instance.wait_log("daemon started")
    with Wire(instance.open_socket()) as wire:
        for line in ("EHLO c.test", "MAIL FROM:<s@a.test>"):
            wire.say(line)
        codes = [wire.say(f"RCPT TO:{recipient}")[:3] for recipient in recipients]
        if "250" in codes:
            wire.say("DATA")
            assert wire.say("Subject: x\r\n\r\nx\r\n.").startswith("250 ")
            instance.wait_log(": removed")
    return codes, instance.log()


@pytest.mark.parametrize("name, recipient, to", [
    ("resolve_null_domain", "<alice@>", "to=<alice@mx.lab.test>"),
    ("resolve_numeric_domain", "<alice@127.0.0.9>", "to=<alice@[127.0.0.9]>"),
])
def test_odd_domains_are_refused_unless_allowed(make_instance, name, recipient, to):
    codes, _ = log_of(make_instance, [f"{name} = no"], [recipient])
    assert codes == ["501"]
    codes, log = log_of(make_instance, [f"{name} = yes"], [recipient])
    assert codes == ["250"] and to in log


def test_quotes_hide_a_route_with_resolve_dequoted_address_off(make_instance):
    recipients = ['<"u@c.test"@lab.test>', "<u%c.test@lab.test>"]
    _, log = log_of(make_instance, ["resolve_dequoted_address = yes"], recipients)
    assert log.count("to=<u@c.test>") == 2 and "(here)" not in log
    _, log = log_of(make_instance, ["resolve_dequoted_address = no"], recipients)
    assert log.count("to=<u@c.test>") == 1 and 'to=<"u@c.test"@lab.test>, relay=none' in log and "(here)" in log


def test_nobody_here_is_empty_address_recipient(make_instance):
    _, log = log_of(make_instance, ["empty_address_recipient = nobody"], ["<@lab.test>"])
    assert "to=<nobody@lab.test>" in log and "(here)" in log


def test_a_domain_in_two_classes_is_warned_about(make_instance):
    _, log = log_of(make_instance, ["virtual_alias_domains = lab.test", "relay_domains = lab.test r.test"], ["<alice@lab.test>", "<x@r.test>"])
    assert "warning: do not list domain lab.test in BOTH mydestination and virtual_alias_domains" in log
    assert "BOTH mydestination and relay_domains" not in log and "r.test in BOTH" not in log
