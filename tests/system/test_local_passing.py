"""local(8) that is told to pass mail on to itself: the mail waits, and nothing else does."""
import pytest

from local_lab import LocalLab


@pytest.fixture
def lab():
    made = LocalLab()
    yield made
    made.server.destroy()


@pytest.mark.parametrize("parameter, user", [("mailbox_transport", "victim"), ("fallback_transport", "nobody1")])
def test_local_does_not_pass_mail_to_itself(lab, parameter, user):
    lab.start(f"{parameter} = local:somewhere", "local_recipient_maps =")
    lab.send(user)
    lab.logs(rf'warning: {parameter}: transport "local" would pass mail to itself')
    lab.logs(rf"to=<{user}@localhost>, relay=local, .*dsn=4.3.5, status=deferred \(mail system configuration error\)")
    assert "passing <" not in lab.server.log()


def test_two_that_pass_to_each_other_come_to_an_end(lab):
    with open(f"{lab.server.etc}/master.cf", "a", encoding="utf-8") as file:
        file.write("other unix - n n - - local -o { mailbox_transport = local } -o { fallback_transport = discard:end }\n")
    lab.start("mailbox_transport = other", "mailbox_transport_maps = inline:{ {mallory=other:x} }")
    lab.send("victim")
    lab.logs(r"warning: \w+: <victim@localhost> was passed on too often, now to transport=(other|local)")
    lab.logs(r"to=<victim@localhost>, relay=local, .*dsn=4.3.5, status=deferred \(mail system configuration error\)")
    assert lab.server.log().count("passing <victim@localhost> to transport=") == 5


def test_a_chain_of_three_delivers(lab):
    with open(f"{lab.server.etc}/master.cf", "a", encoding="utf-8") as file:
        file.write("second unix - n n - - local -o { mailbox_transport = third }\n"
                   "third unix - n n - - local -o { mailbox_transport = discard:end }\n")
    lab.start("mailbox_transport = second")
    lab.send("victim")
    lab.logs(r"to=<victim@localhost>, relay=none, .*status=sent \(end\)")
