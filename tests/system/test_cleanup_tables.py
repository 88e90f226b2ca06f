"""Tables that lead nowhere, or say what no queue file can hold: cleanup tells so, and goes on serving others."""
import re
import smtplib

import pytest

from instance import USER

TEXT = "Subject: x\r\n\r\nx\r\n"
DEEP = 990
CHAIN = " ".join(f"{{d{number}@lab.test = d{number + 1}@lab.test}}" for number in range(DEEP))


def send(server, *recipients, text=TEXT):
    """The reply to the text."""
    with server.smtp() as client:
        client.sendmail("s@a.test", recipients, text)


def test_aliases_in_a_circle_and_far_down(make_instance):
    """As deep as virtual_alias_recursion_limit allows, whatever the stack of who looks them up."""
    server = make_instance(["virtual_alias_domains = lab.test", f"virtual_alias_maps = inline:{{ {{a@lab.test = b@lab.test}} {{b@lab.test = a@lab.test}} "
                            f"{CHAIN} {{d{DEEP}@lab.test = {USER}@localhost}} }}"])
    send(server, f"{USER}@localhost")
    server.wait_mail(1)
    cleanup = server.processes("cleanup")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, "a@lab.test")
    assert refused.value.smtp_code == 451 and b"4.6.0 Alias expansion error" in refused.value.smtp_error
    server.wait_log("warning: .*: unreasonable virtual_alias_maps map nesting for a@lab.test -- message not accepted, try again later")
    send(server, "d0@lab.test")
    server.wait_mail(2)
    assert server.processes("cleanup") == cleanup


def test_a_copy_for_an_address_that_no_queue_file_holds(make_instance):
    server = make_instance(["sender_bcc_maps = inline:{ {s@a.test = one@lab.test,\ttwo@lab.test} }"])
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, f"{USER}@localhost")
    assert 400 <= refused.value.smtp_code < 500
    server.wait_log(r"unusable recipient \"one@lab.test,.two@lab.test\" -- message not accepted, try again later")


def test_a_header_larger_than_what_is_written_at_once(make_instance):
    server = make_instance(["header_size_limit = 1000000"])
    value = "".join(f" {number:07d}" for number in range(80000))  # 640,000 bytes in one line
    send(server, f"{USER}@localhost", text=f"Subject: x\r\nX-Long:{value}\r\n\r\nbody\r\n")
    mail, = server.wait_mail(1)
    found = re.search(rb"^X-Long:((?: \d{7}|\n\s*)*)$", mail, re.M)
    assert re.sub(rb"\s", b"", found[1]).decode() == value.replace(" ", "")
    assert mail.endswith(b"\nbody\n")


def test_what_a_local_user_may_not_write_is_told_once(make_instance):
    server = make_instance([r"message_reject_characters = \001"])
    server.sendmail("Subject: x\n\n" + "a\001\n" * 1000, "-f", f"{USER}@localhost", f"{USER}@localhost")
    server.wait_mail(1)  # the notice
    assert len(re.findall("reject: content", server.log())) == 1
