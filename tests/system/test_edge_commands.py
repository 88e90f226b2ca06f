"""Commands at the edge of SMTP: ETRN, VRFY and XVERP, and the parameters that steer them."""
import pytest

from instance import Instance, wait_until

START = ["mynetworks = 127.0.0.1/32", "relay_domains = r.test", "fast_flush_domains = $relay_domains", "smtpd_peername_lookup = no"]


@pytest.fixture
def made(tmp_path):
    instances = []

    def make(*main):
        instance = Instance(str(tmp_path / f"i{len(instances)}"))
        instances.append(instance)
        instance.configure([*START, *main])
        instance.start()
        return instance

    yield make
    for instance in instances:
        instance.destroy()


def said(instance, *lines):
    with instance.smtp() as client:
        return [client.docmd(line)[0] for line in ("EHLO c.test", *lines)][1:]


def test_parameters_of_etrn_and_xverp(made):
    """smtpd_etrn_restrictions and smtpd_authorized_verp_clients: left alone, and set."""
    xverp = "MAIL FROM:<s@a.test> XVERP"
    assert said(made(), "ETRN r.test", xverp) == [250, 555]
    changed = made("smtpd_etrn_restrictions = check_etrn_access inline:{{r.test=REJECT not you}}", "smtpd_authorized_verp_clients = 127.0.0.1")
    assert said(changed, "ETRN r.test", xverp) == [554, 250]
    changed.wait_log(r"reject: ETRN from [^ ]*: 554 5\.7\.1 <r\.test>: Etrn command rejected: not you")


def test_vrfy_before_mail_asks_the_restrictions(made):
    """No transaction is there yet: VRFY must neither need one nor leave something in one."""
    instance = made("smtpd_recipient_restrictions = check_recipient_access inline:{{x@r.test=HOLD},{y@r.test=REJECT}}")
    assert said(instance, "VRFY x@r.test", "VRFY y@r.test", "VRFY x@r.test") == [252, 554, 252]
    wait_until(lambda: instance.log().count("hold: VRFY from") == 2, what="both lines of HOLD")
