"""proxymap: tables that jailed services, and services that share, ask through it."""
import os
import signal
import smtplib

from instance import USER, wait_until
from root_instance import RootInstance


def rcpt(instance, address):
    with smtplib.SMTP("127.0.0.1", instance.port, timeout=30) as client:
        client.ehlo("c.test")
        client.mail("s@a.test")
        code, text = client.rcpt(address)
        return code, text.decode()


def test_only_listed_tables_are_served(make_instance):
    mail = make_instance(start=False)
    with open(f"{mail.etc}/users", "w", encoding="utf-8") as file:
        file.write(f"{USER} yes\nother yes\n")
    mail.configure([f"local_recipient_maps = proxy:hash:{mail.etc}/users", f"smtpd_sender_restrictions = check_sender_access proxy:cidr:{mail.etc}/nosuch"])
    mail.start()
    assert rcpt(mail, "other@localhost")[0] == 451, "a table that cannot be opened is trouble"
    assert mail.processes("proxymap")
    mail.wait_log(r"proxymap\[\d+\]: error: open .*nosuch|smtpd\[\d+\]: .*nosuch")
    mail.configure(["smtpd_sender_restrictions ="])
    mail.reload()
    wait_until(lambda: rcpt(mail, "other@localhost")[0] == 250, what="the new generation")
    code, text = rcpt(mail, "nobody-here@localhost")
    assert code == 550 and "User unknown in local recipient table" in text
    # A change on disk is seen.
    with open(f"{mail.etc}/users", "a", encoding="utf-8") as file:
        file.write("third yes\n")
    wait_until(lambda: rcpt(mail, "third@localhost")[0] == 250, what="the changed table")
    # Not approved: refused, and said how to approve.
    mail.configure(["proxy_read_maps = proxy:static:x"])
    mail.reload()
    wait_until(lambda: rcpt(mail, "other@localhost")[0] == 451, what="the new generation")
    table = f"hash:{mail.etc}/users"
    mail.wait_log(rf'proxymap\[\d+\]: warning: request for unapproved table: "{table}"')
    mail.wait_log(rf"proxymap\[\d+\]: warning: to approve this table for read-only access, list proxy:{table} in main.cf:proxy_read_maps")
    mail.wait_log(rf'smtpd\[\d+\]: .*proxymap service is not configured for table "{table}"')


def test_the_name_of_the_service_counts_and_its_loss_is_trouble(make_instance):
    mail = make_instance(["local_recipient_maps = proxy:inline:{x=y}", "proxymap_service_name = ask"],
                         ["ask unix - - n - - proxymap"])
    assert rcpt(mail, "x@localhost")[0] == 250
    assert rcpt(mail, "nobody-here@localhost")[0] == 550
    mail.configure(["proxymap_service_name = nosuch"])
    mail.reload()
    wait_until(lambda: rcpt(mail, "x@localhost")[0] == 451, what="the new generation")
    assert rcpt(mail, "nobody-here@localhost")[0] == 451, "what cannot be asked is not absent"


def test_many_questions_at_once_share_one_process(make_instance):
    mail = make_instance(["local_recipient_maps = proxy:unix:passwd.byname", "smtpd_recipient_limit = 200"])
    clients = [smtplib.SMTP("127.0.0.1", mail.port, timeout=30) for _ in range(20)]
    for client in clients:
        client.ehlo("c.test")
        client.mail("s@a.test")
        client.putcmd("rcpt", f"TO:<{USER}@localhost>")
    assert [client.getreply()[0] for client in clients] == [250] * 20
    for client in clients:
        client.close()
    assert len(mail.processes("proxymap")) <= os.cpu_count()


def test_first_questions_that_come_at_once_open_a_table_once(make_instance):
    """Each round is a new process; whoever opened the table too must leave alone what the others use already."""
    mail = make_instance(["local_recipient_maps = proxy:unix:passwd.byname", "smtpd_recipient_limit = 1000",
                          "import_environment = MAIL_CONFIG PATH MALLOC_PERTURB_=165"])  # memory that was given back is spoilt
    clients = [smtplib.SMTP("127.0.0.1", mail.port, timeout=30) for _ in range(40)]
    for client in clients:
        client.ehlo("c.test")
        client.mail("s@a.test")
    for _ in range(20):
        for pid in mail.processes("proxymap"):
            os.kill(pid, signal.SIGKILL)
        for client in clients:
            client.putcmd("rcpt", f"TO:<{USER}@localhost>")
        answers = [client.getreply() for client in clients]
        assert {code for code, _ in answers} == {250}, set(answers)
    for client in clients:
        client.close()


def test_a_jailed_server_asks_about_the_accounts_outside():
    mail = RootInstance(["local_recipient_maps = proxy:unix:passwd.byname $alias_maps", "alias_maps = inline:{list=victim}"])
    try:
        mail.configure(replace=[("inet  n       -       n", "inet  n       -       y")])
        mail.start()
        assert rcpt(mail, "victim@mx.lab.test")[0] == 250
        assert rcpt(mail, "list@mx.lab.test")[0] == 250
        assert rcpt(mail, "nobody-here@mx.lab.test")[0] == 550
        jail = os.readlink(f"/proc/{mail.processes('smtpd')[0]}/root")
        assert jail.rstrip("/").endswith("/queue"), jail
    finally:
        mail.destroy()
