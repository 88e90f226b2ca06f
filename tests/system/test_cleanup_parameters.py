"""Each parameter of cleanup, on and off, in services of its own: what is answered, stored and logged differs."""
import re
import socket
import threading
from contextlib import ExitStack

import pytest
from instance import USER, Instance, Wire, free_port

BASE = ["myhostname = mx.lab.test", "mydestination = lab.test", "myorigin = lab.test", "mynetworks = 127.0.0.0/8",
        "local_header_rewrite_clients = permit_inet_interfaces", "recipient_delimiter = +", "smtpd_peername_lookup = no", "remote_header_rewrite_domain = remote.test"]
HEADER = b"From: f@h.a.test\r\nTo: t@h.a.test\r\n"
PLAIN = HEADER + b"Subject: x\r\n\r\nx\r\n"
EIGHT = HEADER + b"Content-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n"
PARTS = HEADER + b"Content-Type: multipart/mixed; boundary=bound\r\n\r\n--bound\r\nX-Part: 1\r\n\r\nx\r\n--bound--\r\n"
DEEP = HEADER + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(6)) + b"\r\nx\r\n"
ENCODED = HEADER + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n"


class Row:
    """name, two values, what each shows; a message, its envelope, other parameters of both."""

    def __init__(self, name, on, off, sees_on, sees_off, text=PLAIN, sender="s@h.a.test", rcpt="r@h.a.test", also=(), client="127.0.0.1",
                 smtpd=False):
        self.name, self.values, self.sees, self.text, self.also = name, (on, off), (sees_on, sees_off), text, tuple(also)
        self.sender, self.rcpt, self.client, self.smtpd = sender, rcpt, client, smtpd
        self.ports = ()


def lacks(pattern):
    return rf"^(?![\s\S]*{pattern})"


def stored(pattern):
    return rf"(?m)^ *{pattern}$"


STATIC = "static:m@z.test"
ROWS = [
    Row("canonical_maps", STATIC, "", "sender: m@z.test[\\s\\S]*\nrecipient: m@z.test[\\s\\S]*From: m@z.test", lacks("m@z.test")),
    Row("canonical_classes", "header_sender", "envelope_recipient", "From: m@z.test", "\nrecipient: m@z.test", also=[f"canonical_maps={STATIC}"]),
    Row("sender_canonical_maps", STATIC, "", "sender: m@z.test[\\s\\S]*From: m@z.test", lacks("m@z.test")),
    Row("sender_canonical_classes", "envelope_sender", "header_sender", lacks("From: m@z.test"), "From: m@z.test",
        also=[f"sender_canonical_maps={STATIC}"]),
    Row("recipient_canonical_maps", STATIC, "", "\nrecipient: m@z.test[\\s\\S]*To: m@z.test", lacks("m@z.test")),
    Row("recipient_canonical_classes", "envelope_recipient", "header_recipient", lacks("To: m@z.test"), "To: m@z.test",
        also=[f"recipient_canonical_maps={STATIC}"]),
    Row("propagate_unmatched_extensions", "canonical", "", "\nrecipient: m\\+e@z.test", "\nrecipient: m@z.test", rcpt="r+e@h.a.test",
        also=["canonical_maps=inline:{r@h.a.test=m@z.test}"]),
    Row("masquerade_domains", "a.test", "", "sender: s@a.test[\\s\\S]*From: f@a.test\n.*To: t@a.test", lacks("[sft]@a.test")),
    Row("masquerade_classes", "envelope_recipient", "header_sender", "\nrecipient: r@a.test", "From: f@a.test", also=["masquerade_domains=a.test"]),
    Row("masquerade_exceptions", "f, r", "", "From: f@h.a.test\nTo: t@a.test", "From: f@a.test", also=["masquerade_domains=a.test"]),
    Row("always_bcc", "copy@z.test", "", "\nrecipient: copy@z.test", lacks("copy")),
    Row("sender_bcc_maps", "inline:{s@h.a.test=copy@z.test}", "inline:{r@h.a.test=copy@z.test}", "\nrecipient: copy@z.test", lacks("copy")),
    Row("recipient_bcc_maps", "inline:{r@h.a.test=copy@z.test}", "inline:{s@h.a.test=copy@z.test}", "\nrecipient: copy@z.test", lacks("copy")),
    Row("header_checks", "static:{REJECT no}", "static:{WARN yes}", "^550 5.7.1 no\n", "warning: header Subject: x from .*: yes"),
    Row("mime_header_checks", "static:{WARN mime}", "", "header X-Part: 1 from .*: mime", lacks("mime"), PARTS),
    Row("nested_header_checks", "static:{WARN nested}", "", "header Subject: in from .*: nested", lacks("nested"),
        HEADER + b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n"),
    Row("body_checks", "static:{REPLACE other}", "", stored("other"), lacks("other")),
    Row("body_checks_size_limit", "5", "100", stored("far"), stored("other\nother"), HEADER + b"\r\nclose\r\nfar\r\n",
        also=["body_checks=static:{REPLACE other}"]),
    Row("disable_mime_input_processing", "yes", "no", lacks("header X-Part"), "warning: header X-Part", PARTS,
        also=["mime_header_checks=static:WARN"]),
    Row("mime_nesting_limit", "3", "100", "^550 5.6.0 MIME nesting exceeds safety limit", "^250 ", DEEP, also=["strict_7bit_headers=yes"]),
    Row("mime_boundary_length_limit", "3", "100", "header X-Part", lacks("header X-Part"), PARTS.replace(b"--bound", b"--bouXX"),
        also=["mime_header_checks=static:WARN"]),
    Row("strict_7bit_headers", "yes", "no", "^550 5.6.0 improper use of 8-bit data in message header", "^250 ", HEADER + b"Subject: \xe9\r\n\r\nx\r\n"),
    Row("strict_8bitmime_body", "yes", "no", "^550 5.6.0 improper use of 8-bit data in message body", "^250 ", HEADER + b"\r\n\xe9\r\n"),
    Row("strict_8bitmime", "yes", "no", "^550 5.6.0 improper use of 8-bit data in message body", "^250 ", HEADER + b"\r\n\xe9\r\n"),
    Row("strict_mime_encoding_domain", "yes", "no", r"^550 5.6.0 invalid message/\* or multipart/\* encoding domain", "^250 ", ENCODED),
    Row("detect_8bit_encoding_header", "yes", "no", "encoding=8bit", lacks("encoding=8bit"), EIGHT),
    Row("force_mime_input_conversion", "yes", "no", stored("=E9"), stored("\xe9"), EIGHT),
    Row("message_strip_characters", r"q\001", "", "Subject: ab", "Subject: aq\x01b", HEADER + b"Subject: aq\x01b\r\n\r\nx\r\n"),
    Row("message_reject_characters", r"\001", "", "^550 5.7.1 disallowed character", "^250 ", HEADER + b"Subject: a\x01b\r\n\r\nx\r\n"),
    Row("undisclosed_recipients_header", "To: hidden:;", "", "To: hidden:;", lacks("To:"), b"From: f@a.test\r\n\r\nx\r\n"),
    Row("virtual_alias_address_length_limit", "20", "1000", "^451 4.6.0 Alias expansion error", "^250 ",
        also=["virtual_alias_maps=static:" + "m" * 20 + "@z.test"]),
    Row("remote_header_rewrite_domain", "remote.test", "", "From: f@remote.test", lacks("remote.test"), b"From: f\r\n\r\nx\r\n", client="127.0.0.2"),
    Row("local_header_rewrite_clients", "permit_mynetworks", "permit_inet_interfaces", "From: f@lab.test", "From: f@remote.test",
        b"From: f\r\n\r\nx\r\n", client="127.0.0.2", smtpd=True),
    Row("content_filter", "smtp:[filter.test]", "", r"content_filter: smtp:\[filter.test\]", lacks("content_filter"), smtpd=True),
    Row("receive_override_options", "no_address_mappings", "no_header_body_checks", "\nrecipient: r@h.a.test[\\s\\S]*header Subject",
        "\nrecipient: m@z.test", also=[f"canonical_maps={STATIC}", "header_checks=static:WARN"], smtpd=True),
]


def options(*assignments):
    return "".join(f" -o {{ {a} }}" for a in assignments)


def services(row, index):
    name = f"c{ROWS.index(row)}{'ab'[index]}"
    value = [f"{row.name}={row.values[index]}"]
    door = ["smtpd_client_restrictions=check_client_access static:HOLD", "smtpd_reject_unlisted_recipient=no", f"cleanup_service_name={name}"]
    return [f"{row.ports[index]} inet n - n - - smtpd{options(*door, *(value if row.smtpd else []))}",
            f"{name} unix n - n - 0 cleanup{options(*row.also, *([] if row.smtpd else value))}"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Instance(str(tmp_path_factory.mktemp("c") / "i"))
    with ExitStack() as stack:
        stack.callback(made.destroy)
        master = []
        for row in ROWS:
            row.ports = (free_port(), free_port())
            master += services(row, 0) + services(row, 1)
        made.configure(BASE, master)
        made.start()
        yield made


def seen(server, row, index):
    """The reply, what is stored when it was taken, and the log lines of the message."""
    port = row.ports[index]
    with Wire(socket.create_connection((server.host, port), 20, (row.client, 0))) as wire:
        for line in ("EHLO c.test", f"MAIL FROM:<{row.sender}>", f"RCPT TO:<{row.rcpt}>"):
            assert wire.say(line).startswith("250"), line
        wire.say("DATA")
        wire.raw(row.text + b".\r\n")
        reply = wire.reply()
    text = reply + "\n"
    if reply.startswith("250"):
        identity = reply.split()[-1]
        text += server.command("postcat", "-q", identity, encoding="latin-1").stdout
        text += "".join(line + "\n" for line in server.log().splitlines() if identity in line)
    return text


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_cleanup_parameter(server, row):
    results = [None, None]

    def look(index):
        results[index] = seen(server, row, index)
    threads = [threading.Thread(target=look, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in (0, 1):
        assert results[index] is not None and re.search(row.sees[index], results[index]), (row.name, row.values[index], results[index])


def test_header_from_format(make_instance):
    """header_from_format = obsolete puts the name into a comment, standard in front."""
    for value, field in (("obsolete", rb"\nFrom: \S+ \(A B\)\n"), ("standard", rb"\nFrom: A B <\S+>\n")):
        server = make_instance([f"header_from_format = {value}", "mydestination = $myhostname"])
        server.sendmail("Subject: x\n\nx\n", "-F", "A B", USER)
        assert re.search(field, server.wait_mail()[0])


def test_refused_mail_of_a_local_user_is_returned_whole(make_instance):
    """Nobody waits for an answer: the sender gets it back, what stands behind the refused field too."""
    server = make_instance(["header_checks = inline:{ {X-Bad:1 = REJECT 5.7.9 not here} }", "mydestination = $myhostname"])
    server.sendmail("X-Bad:1\nSubject: kept\n\nlast line\n", "-f", USER, USER)
    notice = server.wait_mail()[0]
    assert b"Status: 5.7.9\n" in notice and b"not here" in notice and b"Subject: kept\n" in notice and b"last line\n" in notice
