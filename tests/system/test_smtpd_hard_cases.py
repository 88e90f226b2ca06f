"""What a reviewer of smtpd found: tables that change under it, late access actions, long lines."""
import pytest

from instance import Instance, wait_until

START = ["mynetworks = 127.0.0.1/32", "smtpd_peername_lookup = no"]


@pytest.fixture
def made(tmp_path):
    instances = []

    def make(*main, tables=None):
        instance = Instance(str(tmp_path / f"i{len(instances)}"))
        instances.append(instance)
        for name, text in (tables or {}).items():
            write_table(instance, name, text)
        instance.configure([*START, *(line.replace("TABLES", f"lmdb:{instance.etc}") for line in main)])
        instance.start()
        return instance

    yield make
    for instance in instances:
        instance.destroy()


def write_table(instance, name, text):
    with open(f"{instance.etc}/{name}", "w", encoding="utf-8") as file:
        file.write(text)
    instance.command("postmap", f"lmdb:{instance.etc}/{name}")


def said(instance, *lines):
    with instance.connect() as client:
        return [client.say(line) for line in lines]


ATTEMPT = ("EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<postmaster>")


@pytest.mark.parametrize("lists", [
    ["smtpd_client_restrictions = check_client_access TABLES/table"],
    ["smtpd_end_of_data_restrictions = permit", "smtpd_restriction_classes = strict", "strict = check_client_access TABLES/table",
     "smtpd_sender_restrictions = strict"],
])
def test_a_client_that_was_just_blocked_is_refused(made, lists):
    """Access tables are looked at again as soon as postmap has written them, those of restriction classes too."""
    instance = made(*lists, tables={"table": "127.0.0.9\tOK\n"})
    assert said(instance, *ATTEMPT)[-1].startswith("250 ")
    write_table(instance, "table", "127.0.0.1\tREJECT blocked\n")
    wait_until(lambda: said(instance, *ATTEMPT)[-1].startswith("554 "), 15, "the refusal")


@pytest.mark.parametrize("parameter, before, after, keyword", [
    ("smtpd_authorized_xclient_hosts", "127.0.0.1\tx\n", "127.0.0.9\tx\n", "XCLIENT"),
    ("smtpd_authorized_xforward_hosts", "127.0.0.1\tx\n", "127.0.0.9\tx\n", "XFORWARD"),
    ("smtpd_authorized_verp_clients", "127.0.0.1\tx\n", "127.0.0.9\tx\n", "XVERP"),
])
def test_who_may_do_more_is_looked_up_anew(made, parameter, before, after, keyword):
    """A client that lost its right to XCLIENT, XFORWARD or XVERP is not announced it any more."""
    instance = made(f"{parameter} = TABLES/table", tables={"table": before})
    assert keyword in said(instance, "EHLO c.test")[0]
    write_table(instance, "table", after)
    wait_until(lambda: keyword not in said(instance, "EHLO c.test")[0], 15, "the end of the right")


def test_a_command_that_was_just_forbidden_is_refused(made):
    """smtpd_forbidden_commands from a table that changes."""
    instance = made("smtpd_forbidden_commands = TABLES/table", tables={"table": "GET\tx\n"})
    assert said(instance, "NOOP")[0].startswith("250 ")
    write_table(instance, "table", "NOOP\tx\n")
    wait_until(lambda: said(instance, "NOOP")[0].startswith("221 "), 15, "the refusal")
