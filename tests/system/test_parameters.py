"""Parameters: for each one, two settings and the difference that they make.

A row names the parameter, the settings A and B (None: left at its default), a probe, and what the probe sees under A
and under B (regular expressions, searched). Rows of smtpd, cleanup, trivial-rewrite and the delivery agents share one
instance: each side of a row has services of its own in master.cf, with `-o parameter=setting`. Parameters of qmgr,
bounce and master are set in main.cf: pairs of instances, one with all A settings and one with all B settings."""
import email
import os
import pwd
import re
import shutil
import socket
import threading
import time

import pytest

from instance import USER, Instance, Stopped, Wire, free_port, wait_until

dnslib = pytest.importorskip("dnslib")

BASE = [
    "myhostname = mx.lab.test", "mydomain = lab.test", "mydestination = lab.test localhost", "myorigin = lab.test",
    "mynetworks = 127.0.0.1/32", "relay_domains = relay.test", "virtual_alias_domains = valias.test",
    f"virtual_alias_maps = inline:{{info@valias.test={USER}@lab.test}}", "virtual_mailbox_domains = vmail.test",
    "virtual_mailbox_maps = inline:{v1@vmail.test=v1/}", "smtpd_error_sleep_time = 0", "smtpd_peername_lookup = no",
    "recipient_delimiter = +", "default_process_limit = 1000",
]
ME = f"{USER}@lab.test"
TRUSTED, STRANGER = "127.0.0.1", "127.0.0.2"


class Side:
    """One setting of one row: where its services are."""

    def __init__(self, row, index, port, number):
        self.row, self.index, self.port, self.name = row, index, port, f"s{number}"
        self.domain = f"{self.name}.test"
        self.server = None

    def connect(self, source=TRUSTED):
        return Wire(socket.create_connection(("127.0.0.1", self.port), 20, (source, 0)))

    def say(self, *commands, source=TRUSTED):
        with self.connect(source) as wire:
            for command in commands:
                reply = wire.say(command)
            return reply

    def rcpt(self, address=ME, sender="s@a.test", source=TRUSTED):
        return self.say("EHLO c.test", f"MAIL FROM:<{sender}>", f"RCPT TO:<{address}>", source=source)

    def send(self, text=b"Subject: x\r\n\r\nx\r\n", *recipients, sender="s@a.test", source=TRUSTED):
        """The reply to the end of data."""
        with self.connect(source) as wire:
            wire.say("EHLO c.test")
            wire.say(f"MAIL FROM:<{sender}>")
            for recipient in recipients or (ME,):
                reply = wire.say(f"RCPT TO:<{recipient}>")
                assert reply.startswith("250"), reply
            wire.say("DATA")
            wire.raw(text + b".\r\n")
            return wire.reply()

    def queue_id(self, *arguments, **options):
        reply = self.send(*arguments, **options)
        assert "queued as" in reply, reply
        return reply.split()[-1]

    def delivered(self, text=b"Subject: x\r\n\r\nx\r\n", *recipients, **options):
        """The one message that is delivered to the user for it."""
        identity = self.queue_id(text, *recipients, **options)
        def find():
            return [m for m in self.server.mailbox() if f" id {identity}\n".encode() in m]
        return wait_until(find, what="the message")[0].decode("utf-8", "replace")

    def fate(self, *recipients, text=b"Subject: x\r\n\r\nx\r\n", **options):
        """The log line of the delivery of a message."""
        return self.server.wait_log(rf"{self.queue_id(text, *recipients, **options)}: to=<.*status=.*$").group()

    def outcome(self, text=b"Subject: x\r\n\r\nx\r\n", user="x", **options):
        """The log line of delivery to this side's own transport."""
        address = f"{user}@{self.domain}"
        self.queue_id(text, address, **options)
        return self.server.wait_log(rf": to=<{re.escape(address)}>,.*status=.*$").group()


class Peer:
    """An SMTP server that does what a row wants, and remembers what it was told."""

    def __init__(self, replies=None, delays=None, greeting="220 peer.test", deaf=False, full=False, host="127.0.0.1", port=0):
        self.replies = {"EHLO": "250-peer.test\r\n250-SIZE 100000000\r\n250 DSN", "DATA": "354 go on", "QUIT": "221 bye",
                        ".": "250 2.0.0 taken", **(replies or {})}
        self.delays, self.greeting, self.deaf = delays or {}, greeting, deaf
        # Deliveries, from MAIL to the reply to their text: a connection may be closed long before we see it.
        self.lines, self.connections, self.open, self.most_open = [], 0, 0, 0
        self.farewell = None
        self.lock = threading.Lock()
        self.socket = socket.create_server((host, port), backlog=0 if full else 100)
        self.port = self.socket.getsockname()[1]
        if full:
            self.company = [socket.socket() for _ in range(3)]
            for company in self.company:
                company.setblocking(False)
                company.connect_ex((host, self.port))
            return
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with self.lock:
            self.connections += 1
        try:
            self.converse(client, client.makefile("rb"))
        except OSError:
            pass
        client.close()

    def count_deliveries(self, change):
        with self.lock:
            self.open += change
            self.most_open = max(self.most_open, self.open)

    def converse(self, client, file):
        client.sendall(self.greeting.encode() + b"\r\n")
        in_data = False
        for raw in file:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self.lines.append(line)
            if in_data and line != ".":
                continue
            verb = line.split(" ")[0]
            if verb == "QUIT":
                return self.part(client)
            if verb == "MAIL":
                self.count_deliveries(1)
            time.sleep(self.delays.get(verb, 0))
            if verb == ".":
                self.count_deliveries(-1)
            client.sendall(self.replies.get(verb, "250 2.0.0 ok").encode() + b"\r\n")
            in_data = verb == "DATA"
            if in_data and self.deaf:
                time.sleep(6)
                return

    def part(self, client):
        """Whether the client waits for the reply to QUIT."""
        client.settimeout(self.delays.get("QUIT", 0.1))
        try:
            self.farewell = "goes" if client.recv(1) == b"" else "talks on"
        except TimeoutError:
            self.farewell = "waits"
        client.sendall(self.replies["QUIT"].encode() + b"\r\n")

    def heard(self, pattern):
        return wait_until(lambda: next((line for line in self.lines if re.search(pattern, line)), None), what=pattern)


class Row:
    def __init__(self, name, a, b, probe, sees_a, sees_b, extra=(), peer=None, nexthop="[127.0.0.1]:{port}"):
        self.name, self.settings, self.probe, self.sees, self.extra = name, (a, b), probe, (sees_a, sees_b), extra
        self.peer, self.nexthop = peer or {}, nexthop
        self.program, self.sides = None, []


def options(*assignments):
    return "".join(f" -o {{ {a} }}" for a in assignments)


# --- smtpd ---

def greeting(side):
    with side.connect() as wire:
        return wire.greeting


def ehlo(side):
    return side.say("EHLO c.test")


def lines_of(*commands, source=TRUSTED):
    return lambda side: side.say(*commands, source=source)


def recipient(address=ME, sender="s@a.test", source=TRUSTED):
    return lambda side: side.rcpt(address, sender, source)


def message(text=b"Subject: x\r\n\r\nx\r\n", *recipients, source=TRUSTED):
    return lambda side: side.send(text, *recipients, source=source)


def after_bad_commands(count):
    def probe(side):
        with side.connect() as wire:
            replies = [wire.say("FOO") for _ in range(count)]
            wire.raw(b"NOOP\r\n")
            return "|".join(replies) + "|" + wire.reply()
    return probe


def junk(side):
    with side.connect() as wire:
        replies = []
        for _ in range(6):
            replies.append(wire.say("NOOP"))
            if not replies[-1].startswith("250"):
                break
        return replies[-1]


def errors_cost_time(side):
    with side.connect() as wire:
        start = time.monotonic()
        for _ in range(3):
            wire.say("FOO")
        return "slow" if time.monotonic() - start > 0.9 else "quick"


def idle(side):
    with side.connect() as wire:
        wire.socket.settimeout(2)
        try:
            return wire.reply()
        except OSError:
            return "still there"


def overshoot(side):
    with side.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        for number in range(4):
            reply = wire.say(f"RCPT TO:<{USER}+{number}@lab.test>")
        wire.raw(b"NOOP\r\n")
        return reply + "|" + wire.reply()


def bare_newline(side):
    with side.connect(STRANGER) as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        wire.say(f"RCPT TO:<{ME}>")
        wire.say("DATA")
        return wire.say(b"Subject: a\nX: b\r\n\r\nx\r\n.")


def early_talk(side):
    with side.connect() as wire:
        wire.raw(b"NOOP\r\nNOOP\r\n")
        return wire.reply()


def connect_line(side):
    greeting(side)
    return side.server.wait_log(rf"{side.name}/smtpd\[\d+\]: connect from (.*)$").group(1)


def own_log_name(side):
    greeting(side)
    return side.server.wait_log(rf" (name-{'ab'[side.index]})/smtpd\[\d+\]: connect from").group(1)


def logged_reject(side):
    side.rcpt('"a b"@far.test', source=STRANGER)
    return side.server.wait_log(rf"{side.name}/smtpd\[\d+\]: NOQUEUE: reject.*to=(\S+.*) proto=").group(1)


def received_field(side):
    return side.delivered().split("\nReceived:")[1]


def access(*pairs):
    return "check_sender_access inline:{" + " ".join(f"{{{k} = {v}}}" for k, v in pairs) + "}"


RELAY = "smtpd_relay_restrictions=reject_unauth_destination"
SMTPD = [
    Row("smtpd_banner", "one.test ESMTP", "two.test hello", greeting, "^220 one.test ESMTP$", "^220 two.test hello$"),
    Row("myhostname", "one.test", "two.test", ehlo, "^250-one.test", "^250-two.test"),
    Row("mail_name", "Anvil", "Hammer", received_field, r"\(Anvil\) with ESMTP", r"\(Hammer\) with ESMTP"),
    Row("mynetworks", "127.0.0.3/32", "127.0.0.1/32", recipient("x@far.test"), "^454 4.7.1 .*Relay access denied", "^250 "),
    Row("smtpd_client_restrictions", "reject", "", recipient(), "^554 5.7.1 .*Access denied", "^250 "),
    Row("smtpd_helo_restrictions", "reject", "", recipient(), "^554 5.7.1 .*Access denied", "^250 "),
    Row("smtpd_sender_restrictions", "reject", "", recipient(), "^554 5.7.1 .*Access denied", "^250 "),
    Row("smtpd_recipient_restrictions", "reject", "", recipient(), "^554 5.7.1 <.*>: Recipient address rejected", "^250 "),
    Row("smtpd_relay_restrictions", "reject_unauth_destination", "permit_mynetworks, reject", recipient("x@far.test"),
        "^554 5.7.1 <x@far.test>: Relay access denied", "^250 "),
    Row("smtpd_data_restrictions", "reject", "", lines_of("EHLO c", "MAIL FROM:<>", f"RCPT TO:<{ME}>", "DATA"), "^554 5.7.1", "^354 "),
    Row("smtpd_end_of_data_restrictions", "reject", "", message(), "^554 5.7.1 ", "^250 "),
    Row("smtpd_helo_required", "yes", "no", lines_of("MAIL FROM:<>"), "^503 5.5.1 Error: send HELO/EHLO first", "^250 "),
    Row("disable_vrfy_command", "yes", "no", lines_of("VRFY " + USER), "^502 5.5.1 VRFY command is disabled", "^252 "),
    Row("strict_rfc821_envelopes", "yes", "no", lines_of("EHLO c.test", "MAIL FROM:s@a.test"), "^501 5.1.7", "^250 "),
    Row("smtpd_recipient_limit", "1", "9", lines_of("EHLO c", "MAIL FROM:<>", f"RCPT TO:<{ME}>", f"RCPT TO:<{USER}+2@lab.test>"),
        "^452 4.5.3 Error: too many recipients", "^250 "),
    Row("smtpd_recipient_overshoot_limit", "1", "9", overshoot, r"\|421 4.7.0 .*too many errors", r"\|250 ",
        extra=["smtpd_recipient_limit=1", "smtpd_hard_error_limit=2"]),
    Row("smtpd_hard_error_limit", "2", "20", after_bad_commands(2), r"\|421 4.7.0 .*too many errors", r"\|250 2.0.0 Ok$"),
    Row("stress", "yes", "", after_bad_commands(1), r"\|421 4.7.0 .*too many errors", r"\|250 2.0.0 Ok$"),
    Row("smtpd_junk_command_limit", "2", "50", junk, "^421 4.7.0", "^250 2.0.0 Ok", extra=["smtpd_hard_error_limit=1"]),
    Row("smtpd_error_sleep_time", "1s", "0s", errors_cost_time, "slow", "quick", extra=["smtpd_soft_error_limit=1"]),
    Row("smtpd_soft_error_limit", "1", "10", errors_cost_time, "slow", "quick", extra=["smtpd_error_sleep_time=1s"]),
    Row("smtpd_timeout", "1s", "60s", idle, "^421 4.4.2 mx.lab.test Error: timeout exceeded", "still there"),
    Row("smtpd_forbid_bare_newline", "reject", "no", bare_newline, "^550 5.5.2 .*bare <LF> received", "^250 "),
    Row("smtpd_forbid_bare_newline_exclusions", "10.0.0.0/8", STRANGER, bare_newline, "^550 ", "^250 ",
        extra=["smtpd_forbid_bare_newline=reject"]),
    Row("smtpd_forbid_bare_newline_reject_code", "554", "521", bare_newline, "^554 ", "^521 ",
        extra=["smtpd_forbid_bare_newline=reject"]),
    Row("smtpd_forbid_unauth_pipelining", "yes", "no", early_talk, "^554 5.5.0", "^250 2.0.0 Ok"),
    Row("smtpd_forbidden_commands", "BREW", "CONNECT", lines_of("BREW"), "^221 2.7.0", "^500 5.5.2"),
    Row("smtpd_discard_ehlo_keywords", "dsn, size", "", ehlo, r"^((?!DSN|SIZE)[\s\S])*$", r"SIZE[\s\S]*DSN"),
    Row("smtpd_reject_unlisted_recipient", "yes", "no", recipient("nosuch@lab.test"), "^550 5.1.1", "^250 "),
    Row("show_user_unknown_table_name", "yes", "no", recipient("nosuch@lab.test"), "in local recipient table$", "User unknown$"),
    Row("unknown_local_recipient_reject_code", "450", "551", recipient("nosuch@lab.test"), "^450 4.1.1", "^551 5.1.1"),
    Row("unknown_relay_recipient_reject_code", "450", "551", recipient("no@relay.test"), "^450 4.1.1", "^551 5.1.1",
        extra=["relay_recipient_maps=inline:{a@relay.test=x}"]),
    Row("unknown_virtual_alias_reject_code", "450", "551", recipient("no@valias.test"), "^450 4.1.1", "^551 5.1.1"),
    Row("unknown_virtual_mailbox_reject_code", "450", "551", recipient("no@vmail.test"), "^450 4.1.1", "^551 5.1.1"),
    Row("local_recipient_maps", "inline:{zoe=x}", "", recipient("zoe2@lab.test"), "^550 5.1.1", "^250 "),
    Row("relay_recipient_maps", "inline:{a@relay.test=x}", "", recipient("b@relay.test"), "^550 5.1.1", "^250 "),
    Row("relay_domains_reject_code", "551", "521", recipient("x@far.test"), "^551 5.7.1", "^521 5.7.1", extra=[RELAY]),
    Row("reject_code", "551", "552", recipient(), "^551 5.7.1", "^552 5.7.1", extra=["smtpd_client_restrictions=reject"]),
    Row("defer_code", "451", "452", recipient(), "^451 4.7.1", "^452 4.7.1", extra=["smtpd_client_restrictions=defer"]),
    Row("access_map_reject_code", "551", "552", recipient(), "^551 ", "^552 ",
        extra=["smtpd_sender_restrictions=" + access(("s@a.test", "REJECT"))]),
    Row("access_map_defer_code", "451", "452", recipient(), "^451 ", "^452 ",
        extra=["smtpd_sender_restrictions=" + access(("s@a.test", "DEFER"))]),
    Row("non_fqdn_reject_code", "551", "552", recipient(sender="bare"), "^551 ", "^552 ",
        extra=["smtpd_sender_restrictions=reject_non_fqdn_sender"]),
    Row("invalid_hostname_reject_code", "551", "552", lines_of("EHLO a_!", "MAIL FROM:<>", f"RCPT TO:<{ME}>"), "^551 ", "^552 ",
        extra=["smtpd_helo_restrictions=reject_invalid_helo_hostname"]),
    Row("multi_recipient_bounce_reject_code", "551", "552",
        lines_of("EHLO c", "MAIL FROM:<>", f"RCPT TO:<{ME}>", f"RCPT TO:<{USER}+2@lab.test>", "DATA"), "^551 ", "^552 ",
        extra=["smtpd_data_restrictions=reject_multi_recipient_bounce"]),
    Row("allow_untrusted_routing", "no", "yes", recipient("x%far.test@relay.test"), "Relay access denied", "^250 ", extra=[RELAY]),
    Row("smtpd_null_access_lookup_key", "nobody", "<>", recipient(sender=""), "^554 5.7.1 ", "^250 ",
        extra=["smtpd_sender_restrictions=" + access(("nobody", "REJECT"))]),
    Row("parent_domain_matches_subdomains", "smtpd_access_maps", "", recipient(sender="s@sub.a.test"), "^554 5.7.1 ", "^250 ",
        extra=["smtpd_sender_restrictions=" + access(("a.test", "REJECT"))]),
    Row("recipient_delimiter", "", "+", recipient(f"{USER}+x@lab.test"), "^550 5.1.1", "^250 "),
    Row("message_size_limit", "2000", "3000", ehlo, "SIZE 2000", "SIZE 3000"),
    Row("queue_minfree", "1", "9000000000000000000", recipient(), "^250 ", "^503 |^452 "),
    Row("smtputf8_enable", "yes", "no", lines_of("EHLO c", b"MAIL FROM:<s\xe9@a.test>"), "^500 5.5.2 Error: bad UTF-8", "^(?!.*bad UTF-8)"),
    Row("smtpd_peername_lookup", "yes", "no", connect_line, r"^localhost\[127", r"^unknown\[127"),
    Row("syslog_name", "name-a", "name-b", own_log_name, "^name-a$", "^name-b$"),
    Row("cleanup_service_name", "cleanup", "nosuch", recipient(), "^250 ", "^451 4.3.0 Error: queue file write error"),
    Row("rewrite_service_name", "rewrite", "nosuch", recipient(), "^250 ", "^451 4.3.0 .*Temporary lookup failure",
        extra=["ipc_timeout=2s"]),
    Row("info_log_address_format", "external", "internal", logged_reject, '^<"a b"@', "^<a b@",
        extra=[RELAY]),
]


# --- cleanup: reached through an smtpd of its own ---

def delivered(text=b"Subject: x\r\n\r\nx\r\n", source=TRUSTED):
    return lambda side: side.delivered(text, source=source)


def fate(*recipients):
    return lambda side: side.fate(*recipients)


def rcpt_count(*recipients):
    def probe(side):
        identity = side.queue_id(b"\r\nx\r\n", *recipients)
        return side.server.wait_log(rf"{identity}: from=.*nrcpt=(\d+)").group(1)
    return probe


def is_announced(side):
    identity = side.queue_id()
    time.sleep(1.5)
    return "taken" if f"{identity}: removed" in side.server.log() else "waits"


ALIASES = ("virtual_alias_maps=inline:{ {many@lab.test = " + ME + ", a@lab.test, b@lab.test} {l1@lab.test = l2@lab.test} "
           "{l2@lab.test = l3@lab.test} {l3@lab.test = " + ME + "} }")
FOLDED = b"Subject: x\r\nX-Long: start\r\n" + b"".join(b" piece%02d-" % n + b"x" * 40 + b"\r\n" for n in range(10)) + b"\r\nx\r\n"
CLEANUP = [
    Row("hopcount_limit", "2", "50", message(b"Received: a\r\nReceived: b\r\n\r\nx\r\n"), "^554 5.4.0 Error: too many hops", "^250 "),
    Row("header_size_limit", "200", "102400", delivered(FOLDED), r"^(?![\s\S]*piece09)", "piece09"),
    Row("header_address_token_limit", "4", "10240", delivered(b"To: a, b, c, d, e, f\r\n\r\nx\r\n"), r"^(?![\s\S]*f@lab.test)", "f@lab.test"),
    Row("line_length_limit", "512", "2048", lambda side: postcat(side, b"Subject: x\r\n\r\n" + b"y" * 1500 + b"\r\n"), "cut", "whole"),
    Row("message_drop_headers", "subject", "bcc", delivered(), r"^(?![\s\S]*Subject: x)", "Subject: x"),
    Row("always_add_missing_headers", "yes", "no", delivered(source=STRANGER), "\nMessage-Id: ", r"^(?![\s\S]*Message-Id: )"),
    Row("cleanup_replace_stray_cr_lf", "yes", "no", delivered(b"Subject: x\r\n\r\na\rb\r\n"), "a b\n$", "a\rb\n$"),
    Row("enable_long_queue_ids", "yes", "no", message(), r"queued as \d[0-9A-Za-z]{9,}z[0-9A-Za-z]+$", "queued as [0-9A-F]+$"),
    Row("enable_original_recipient", "yes", "no", fate("info@valias.test"), "orig_to=<info@valias.test>", "^(?!.*orig_to)"),
    Row("virtual_alias_maps", "inline:{who@lab.test=" + ME + "}", "", fate("who@lab.test"), "status=sent", "status=bounced"),
    Row("virtual_alias_expansion_limit", "1", "1000", message(b"\r\nx\r\n", "many@lab.test"), "^4", "^250 ", [ALIASES]),
    Row("virtual_alias_recursion_limit", "1", "1000", message(b"\r\nx\r\n", "l1@lab.test"), "^4", "^250 ", [ALIASES]),
    Row("duplicate_filter_limit", "1", "1000", rcpt_count(f"{USER}+1@lab.test", ME, ME), "^3$", "^2$"),
    Row("queue_service_name", "qmgr", "nosuch", is_announced, "taken", "waits"),
    Row("mydestination", "lab.test", "other.test", fate("who@lab.test"), "status=sent", "status=bounced",
        [f"virtual_alias_maps=inline:{{who={ME}}}", "myorigin=other.test"]),
]


def postcat(side, text):
    """Whether the longest line is stored in pieces."""
    identity = side.queue_id(text, f"x@{HOLD}")

    def read():
        """The file may just be on its way from one queue to the next."""
        for directory, _, names in os.walk(side.server.queue):
            if identity in names:
                try:
                    with open(os.path.join(directory, identity), "rb") as file:
                        return file.read() or None  # an empty one is free for the next message
                except FileNotFoundError:
                    pass
        return None
    stored = wait_until(read, what="the queue file")
    return "whole" if b"y" * 1500 in stored else "cut"


# --- trivial-rewrite: asked by an smtpd and a cleanup of its own ---

def stranger(address):
    return recipient(address, source=STRANGER)


DENIED, UNKNOWN = "^454 4.7.1 .*Relay access denied", "^550 5.1.1 .*unknown in local"
REWRITE = [
    Row("mydestination", "lab.test more.test", "lab.test", stranger("no@more.test"), UNKNOWN, DENIED),
    Row("relay_domains", "more.test", "", stranger("no@more.test"), "^250 ", DENIED),
    Row("virtual_alias_domains", "more.test", "", stranger("no@more.test"), "in virtual alias table", DENIED),
    Row("virtual_mailbox_domains", "more.test", "", stranger("no@more.test"), "in virtual mailbox table", DENIED),
    Row("myorigin", "vmail.test", "lab.test", stranger("no"), "in virtual mailbox table", UNKNOWN),
    Row("mydomain", "test", "far.test", stranger("no@lab"), UNKNOWN, DENIED, ["append_dot_mydomain=yes"]),
    Row("append_dot_mydomain", "yes", "no", stranger("no@lab"), UNKNOWN, DENIED, ["mydomain=test"]),
    Row("compatibility_level", "0", "3.6", stranger("no@lab"), UNKNOWN, DENIED, ["mydomain=test"]),
    Row("append_at_myorigin", "yes", "no", delivered(b"To: bob\r\n\r\nx\r\n"), "\nTo: bob@lab.test\n", "\nTo: bob\n"),
    Row("swap_bangpath", "yes", "no", stranger("far.test!no"), DENIED, UNKNOWN),
    Row("allow_percent_hack", "yes", "no", stranger("no%far.test"), DENIED, UNKNOWN),
    Row("allow_min_user", "yes", "no", recipient("-x@far.test"), "^250 ", "^501 5.1.3"),
    Row("local_transport", "error:5.7.1 closed A", "error:5.7.1 closed B", recipient(), "closed A$", "closed B$"),
    Row("relay_transport", "error:5.7.1 closed A", "error:5.7.1 closed B", recipient("x@relay.test"), "closed A$", "closed B$"),
    Row("virtual_transport", "error:5.7.1 closed A", "error:5.7.1 closed B", recipient("v1@vmail.test"), "closed A$", "closed B$"),
    Row("default_transport", "error:5.7.1 closed A", "error:5.7.1 closed B", recipient("x@far.test"), "closed A$", "closed B$"),
    Row("relayhost", "to-a", "to-b", recipient("x@far.test"), "rejected: to-a$", "rejected: to-b$", ["default_transport=error"]),
    Row("transport_maps", "inline:{far.test=error:closed}", "", recipient("x@far.test"), "^550 .*: closed$", "^250 "),
    Row("relocated_maps", "inline:{gone@lab.test=new@b.test}", "", recipient("gone@lab.test"),
        "^550 5.1.6 .*User has moved to new@b.test$", "^550 5.1.1"),
    Row("relocated_prefix_enable", "yes", "no", recipient("gone@lab.test"), "has moved to new@b.test$", "rejected: new@b.test$",
        ["relocated_maps=inline:{gone@lab.test=new@b.test}"]),
    Row("proxy_interfaces", "192.0.2.7", "", stranger("no@[192.0.2.7]"), UNKNOWN, DENIED),
    Row("inet_interfaces", "192.0.2.7", "127.0.0.1", stranger("no@[192.0.2.7]"), UNKNOWN, DENIED),
]


# --- smtp: a transport of its own, to a server of ours ---

def outcome(text=b"Subject: x\r\n\r\nx\r\n"):
    return lambda side: side.outcome(text)


def hears(pattern, text=b"Subject: x\r\n\r\nx\r\n"):
    def probe(side):
        side.outcome(text)
        return side.peer.heard(pattern)
    return probe


def within(seconds):
    """The outcome, when it comes that soon."""
    def probe(side):
        identity = side.queue_id(b"Subject: x\r\n\r\n" + b"z" * 70 * 60000 + b"\r\n" if side.row.peer.get("deaf") else b"\r\nx\r\n",
                                 f"x@{side.domain}")
        time.sleep(seconds)
        found = re.search(rf"{identity}: to=.*status=.*$", side.server.log(), re.M)
        return found.group() if found else "waiting"
    return probe


def longest_line(side):
    side.outcome(b"Subject: x\r\n\r\n" + b"y" * 3000 + b"\r\n")
    return "long" if max(map(len, side.peer.lines)) > 500 else "short"


def farewell(side):
    side.outcome()
    return wait_until(lambda: side.peer.farewell, what="the end of the connection")


def connections(side):
    with Stopped(side.server, "qmgr"):
        for number in range(20):
            side.queue_id(b"\r\nx\r\n", f"x{number}@{side.domain}")
    wait_until(lambda: side.server.log().count(f"@{side.domain}>, relay=") >= 20, what="twenty deliveries")
    return "few" if side.peer.connections < 20 else "many"


def both_hosts(side):
    second = Peer(host="127.0.0.9", port=side.peer.port)
    for number in range(20):
        side.queue_id(b"\r\nx\r\n", f"x{number}@{side.domain}")
    wait_until(lambda: side.server.log().count(f"@{side.domain}>, relay=") >= 20, what="twenty deliveries")
    return "both" if second.connections and side.peer.connections else "one"


def second_host_takes(side):
    side.second = Peer(host="127.0.0.9", port=side.peer.port)
    return side.outcome()


def slow(verb):
    return {"delays": {verb: 2}}


def resolver(zone):
    """A DNS server of one zone; names that are not in it do not exist."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve():
        while True:
            packet, client = server.recvfrom(4096)
            query = dnslib.DNSRecord.parse(packet)
            reply = query.reply()
            name, kind = str(query.q.qname).rstrip("."), dnslib.QTYPE[query.q.qtype]
            answer = zone.get((name, kind), [] if any(n == name for n, _ in zone) else None)
            if answer is None:
                reply.header.rcode = dnslib.RCODE.NXDOMAIN
            elif answer == "fails":
                reply.header.rcode = dnslib.RCODE.SERVFAIL
            else:
                for line in answer:
                    reply.add_answer(*dnslib.RR.fromZone(f"{name}. 60 IN {kind} {line}"))
            server.sendto(reply.pack(), client)

    threading.Thread(target=serve, daemon=True).start()
    return f"dns_servers=127.0.0.1:{server.getsockname()[1]}"


ZONE = resolver({
    ("here.test", "MX"): ["10 h1.test."], ("here.test", "A"): ["127.0.0.9"], ("h1.test", "A"): ["127.0.0.1"],
    ("h9.test", "A"): ["127.0.0.9"], ("broken.test", "MX"): "fails", ("broken.test", "A"): ["127.0.0.1"],
    ("lost.test", "MX"): ["10 nowhere.test."], ("two.test", "MX"): ["10 h9.test.", "20 h1.test."],
    ("turn.test", "MX"): ["10 h1.test.", "20 h9.test."], ("equal.test", "MX"): ["10 h1.test.", "10 h9.test."],
    ("far.test", "MX"): ["10 h1.test."],
})
EMPTY_ZONE = resolver({})
SENT, DEFERRED, BOUNCED, TIMEOUT = "status=sent", "status=deferred", "status=bounced", "status=deferred .*timed out|status=deferred .*timeout"
SMTP = [
    Row("smtp_helo_name", "one.test", "two.test", hears("^EHLO"), "EHLO one.test$", "EHLO two.test$"),
    Row("myhostname", "one.test", "two.test", hears("^EHLO"), "EHLO one.test$", "EHLO two.test$"),
    Row("smtp_never_send_ehlo", "yes", "no", hears("^(HELO|EHLO)"), "^HELO ", "^EHLO "),
    Row("smtp_discard_ehlo_keywords", "size", "", hears("^MAIL"), r"^(?!.*SIZE=)", "SIZE="),
    Row("smtp_line_length_limit", "100", "998", longest_line, "short", "long"),
    Row("smtp_skip_5xx_greeting", "yes", "no", outcome(), DEFERRED, BOUNCED, peer={"greeting": "554 no"}),
    Row("smtp_helo_timeout", "1s", "60s", outcome(), TIMEOUT, SENT, peer=slow("EHLO")),
    Row("smtp_mail_timeout", "1s", "60s", outcome(), TIMEOUT, SENT, peer=slow("MAIL")),
    Row("smtp_rcpt_timeout", "1s", "60s", outcome(), TIMEOUT, SENT, peer=slow("RCPT")),
    Row("smtp_data_init_timeout", "1s", "60s", outcome(), TIMEOUT, SENT, peer=slow("DATA")),
    Row("smtp_data_done_timeout", "1s", "60s", outcome(), TIMEOUT, SENT, peer=slow(".")),
    Row("smtp_data_xfer_timeout", "1s", "60s", within(3), TIMEOUT, "waiting", peer={"deaf": True}),
    Row("smtp_skip_quit_response", "yes", "no", farewell, "goes", "waits", peer=slow("QUIT")),
    Row("smtp_quit_timeout", "1s", "60s", farewell, "goes", "waits", ["smtp_skip_quit_response=no"], slow("QUIT")),
    Row("smtp_connect_timeout", "1s", "60s", within(2.5), TIMEOUT, "waiting", peer={"full": True}),
    Row("smtp_tcp_port", "@port@", "1", outcome(), SENT, DEFERRED, nexthop="[127.0.0.9]", peer={"host": "127.0.0.9"}),
    Row("inet_protocols", "ipv4", "ipv6", outcome(), SENT, BOUNCED),
    Row("smtp_connection_cache_on_demand", "yes", "no", connections, "few", "many", peer={"delays": {".": 0.3}}),
    Row("smtp_connection_reuse_count_limit", "0", "1", connections, "few", "many", peer={"delays": {".": 0.3}}),
    Row("soft_bounce", "yes", "no", outcome(), "dsn=4.1.1, status=SOFTBOUNCE", "dsn=5.1.1, status=bounced", peer={"replies": {"RCPT": "550 5.1.1 no"}}),
    Row("delay_logging_resolution_limit", "0", "6", outcome(), r"delay=\d+, ", r"delay=\d+\.\d+, ", peer={"delays": {".": 0.0123}}),
    Row("bounce_service_name", "nosuch", "bounce", outcome(), "status=deferred .bounce or trace service failure", BOUNCED,
        ["ipc_timeout=2s"], peer={"replies": {"RCPT": "550 5.1.1 no"}}),
    Row("dns_servers", ZONE.split("=")[1], EMPTY_ZONE.split("=")[1], outcome(), SENT, BOUNCED, nexthop="here.test:{port}"),
    Row("disable_dns_lookups", "yes", "no", outcome(), "unable to look up host here.test: ", SENT, [ZONE], nexthop="here.test:{port}"),
    Row("smtp_host_lookup", "native", "dns", outcome(), SENT, BOUNCED, [EMPTY_ZONE], nexthop="[localhost]:{port}"),
    Row("ignore_mx_lookup_error", "yes", "no", outcome(), SENT, DEFERRED, [ZONE], nexthop="broken.test:{port}"),
    Row("smtp_defer_if_no_mx_address_found", "yes", "no", outcome(), DEFERRED, BOUNCED, [ZONE], nexthop="lost.test:{port}"),
    Row("smtp_mx_address_limit", "1", "5", outcome(), DEFERRED, SENT, [ZONE], nexthop="two.test:{port}"),
    Row("smtp_mx_session_limit", "1", "2", second_host_takes, DEFERRED, SENT, [ZONE], nexthop="turn.test:{port}",
        peer={"replies": {"MAIL": "450 not now"}}),
    Row("smtp_randomize_addresses", "yes", "no", both_hosts, "both", "one", [ZONE], nexthop="equal.test:{port}"),
]


# --- local and virtual ---

def found_in(*names):
    """Which of the maildirs the message is in."""
    def probe(side):
        side.outcome(user=USER)
        return " ".join(n for n in names if os.path.isdir(f"{side.server.directory}/{n}/new"))
    return probe


def own_mail(side):
    """The one message in this side's own maildir."""
    line = side.outcome(user=USER)
    folder = f"{side.server.directory}/{side.name}/{USER}/new"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if not names:
        return line
    with open(f"{folder}/{names[0]}", encoding="utf-8") as file:
        return file.read()


HOME = os.path.relpath("/", pwd.getpwnam(USER).pw_dir)
OWN = "mail_spool_directory=@dir@/@name@/"
LOCAL = [
    Row("mail_spool_directory", "@dir@/spool-a/", "@dir@/spool-b/", found_in(f"spool-a/{USER}", f"spool-b/{USER}"),
        f"spool-a/{USER}", f"spool-b/{USER}$"),
    Row("home_mailbox", f"{HOME}@dir@/home-a/", f"{HOME}@dir@/home-b/", found_in("home-a", "home-b"), "home-a", "home-b$"),
    Row("mailbox_size_limit", "100000", "100", own_mail, "Subject: x", "status=bounced|status=deferred",
        [OWN, "message_size_limit=100"]),
    Row("enable_original_recipient", "yes", "no", own_mail, "X-Original-To", r"^(?![\s\S]*X-Original-To)[\s\S]*Subject: x", [OWN]),
    Row("alias_maps", f"inline:{{team={ME}}}", "", lambda side: side.outcome(user="team"), "forwarded as", "unknown user"),
    Row("recipient_delimiter", "+", "", lambda side: side.outcome(user=f"{USER}+x"), SENT, BOUNCED, [OWN]),
    Row("owner_request_special", "no", "yes", lambda side: side.outcome(user=f"{USER}-request"), SENT, BOUNCED, [OWN, "recipient_delimiter=-"]),
]
VIRTUAL = [
    Row("virtual_mailbox_base", "@dir@/base-a", "@dir@/base-b", found_in("base-a/box", "base-b/box"), "base-a/box", "base-b/box$",
        ["virtual_mailbox_maps=static:box/"]),
    Row("virtual_mailbox_maps", "static:map-a/", "static:map-b/", found_in("map-a", "map-b"), "map-a", "map-b$",
        ["virtual_mailbox_base=@dir@"]),
    Row("virtual_mailbox_limit", "100000", "100", outcome(), SENT, "status=bounced|status=deferred",
        ["virtual_mailbox_maps=static:limited/", "virtual_mailbox_base=@dir@", "message_size_limit=100"]),
]
HOLD = "kept.test"
TABLES = {"smtpd": SMTPD, "cleanup": CLEANUP, "trivial-rewrite": REWRITE, "smtp": SMTP, "local": LOCAL, "virtual": VIRTUAL}
ROWS = [row for rows in TABLES.values() for row in rows]


def services(side, assignments):
    """The rows of master.cf for one side, and what its smtpd is told."""
    row, name = side.row, side.name
    chosen = options(*assignments, *([] if row.name == "syslog_name" else [f"syslog_name={name}"]))
    door = f"{side.port} inet n - n - - smtpd"
    if row.program == "smtpd":
        return [door + chosen]
    if row.program == "cleanup":
        return [door + options(f"cleanup_service_name=c{name}", "smtpd_reject_unlisted_recipient=no"),
                f"c{name} unix n - n - 0 cleanup{chosen}"]
    if row.program == "trivial-rewrite":
        return [door + options(f"cleanup_service_name=c{name}", f"rewrite_service_name=r{name}"),
                f"c{name} unix n - n - 0 cleanup" + options(f"rewrite_service_name=r{name}"),
                f"r{name} unix - - n - - trivial-rewrite{chosen}"]
    return [door, f"t{name} unix - {'n' if row.program != 'smtp' else '-'} n - - {row.program}{chosen}"]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    server = Instance(str(tmp_path_factory.mktemp("p") / "i"))
    # Nobody listens on port 1: what is sent there stays in the queue.
    transports, master, number = [f"{{{HOLD} = kept:[127.0.0.1]:1}}"], ["kept unix - - n - - smtp"], 0
    ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(len(ROWS) * 2)]
    for program, rows in TABLES.items():
        for row in rows:
            row.program = program
            for index, setting in enumerate(row.settings):
                side = Side(row, index, ports[number].getsockname()[1], number)
                number += 1
                side.server = server
                row.sides.append(side)
                assignments = list(row.extra) + [f"{row.name}={setting}"]
                nexthop = ""
                if program == "smtp":
                    side.peer = Peer(**row.peer)
                    nexthop = row.nexthop.format(port=side.peer.port)
                    assignments = [a.replace("@port@", str(side.peer.port)) for a in assignments]
                assignments = [a.replace("@dir@", server.directory).replace("@name@", side.name) for a in assignments]
                master += services(side, assignments)
                transports.append(f"{{{side.domain} = t{side.name}:{nexthop}}}")
    for listener in ports:
        listener.close()
    server.configure(BASE + [f"transport_maps = inline:{{{' '.join(transports)}}}"], master)
    server.start()
    yield server
    server.destroy()
    shutil.rmtree(server.directory, ignore_errors=True)


def check(row):
    seen = [None, None]

    def look(index):
        try:
            seen[index] = row.probe(row.sides[index])
        except BaseException as error:  # shown by the assertion below
            seen[index] = error

    threads = [threading.Thread(target=look, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in (0, 1):
        assert isinstance(seen[index], str), (row.name, row.settings[index], seen[index])
        assert re.search(row.sees[index], seen[index]), (row.name, row.settings[index], seen[index])


def by_name(rows):
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


@by_name(SMTPD)
def test_parameters_of_smtpd(everything, row):
    check(row)


@by_name(CLEANUP)
def test_parameters_of_cleanup(everything, row):
    check(row)


@by_name(REWRITE)
def test_parameters_of_trivial_rewrite(everything, row):
    check(row)


@by_name(SMTP)
def test_parameters_of_smtp(everything, row):
    check(row)


@by_name(LOCAL + VIRTUAL)
def test_parameters_of_local_and_virtual(everything, row):
    check(row)


# --- qmgr, bounce, master and what they all share: pairs of instances ---

def dead_transport(name="dead", **options):
    """A main.cf value and a master.cf row: mail for dead.test meets a port where nobody listens."""
    return f"{{{name}.test = smtp:[127.0.0.1]:{free_port()}}}"


def maps(*entries):
    return f"transport_maps = inline:{{ {' '.join(entries)} }}"


def submit(server, *recipients, sender="s@a.test", count=1):
    for _ in range(count):
        with server.smtp() as client:
            client.sendmail(sender, list(recipients), "Subject: x\r\n\r\nx\r\n")


def deferred_files(server):
    return [os.path.join(d, f) for d, _, names in os.walk(f"{server.queue}/deferred") for f in names]


def wait_deferred(server):
    return wait_until(lambda: deferred_files(server), what="a deferred file")[0]


def waiting_time(path):
    return os.stat(path).st_mtime - time.time()


def expirations(server):
    return len(re.findall(r"status=expired", server.log()))


def test_retry_times_of_qmgr(make_instance):
    """minimal_backoff_time, maximal_backoff_time, queue_run_delay, maximal_queue_lifetime, bounce_queue_lifetime."""
    def make(*main):
        server = make_instance(BASE + [maps(dead_transport()), "transport_retry_time = 1s", *main])
        submit(server, "x@dead.test")
        submit(server, "x@dead.test", sender="")
        return server

    quick = ["minimal_backoff_time = 1s", "queue_run_delay = 1s"]
    patient = make("minimal_backoff_time = 300s")
    capped = make(*quick, "maximal_backoff_time = 2s", "bounce_queue_lifetime = 100s")
    growing = make(*quick, "maximal_backoff_time = 100s", "bounce_queue_lifetime = 3s")
    short = make(*quick, "maximal_queue_lifetime = 3s", "bounce_queue_lifetime = 100s")
    rare = make("minimal_backoff_time = 1s", "queue_run_delay = 300s")
    assert 200 < waiting_time(wait_deferred(patient)) <= 300
    assert waiting_time(wait_deferred(rare)) <= 1
    time.sleep(8)
    assert rare.log().count("status=deferred") == 2
    assert capped.log().count("status=deferred") >= 6
    assert all(waiting_time(path) <= 2 for path in deferred_files(capped))
    wait_until(lambda: any(waiting_time(path) > 3 for path in deferred_files(growing)), what="a longer wait")
    # A lifetime of bounces beyond that of mail is cut to it.
    assert [expirations(s) for s in (capped, growing, short)] == [0, 1, 2]
    assert re.search(r"from=<>, status=expired", growing.log())
    assert re.search(r"from=<s@a.test>, status=expired", short.log())


def test_failures_suspend_a_destination(make_instance):
    """default_destination_concurrency_failed_cohort_limit, transport_retry_time."""
    suspended = "delivery temporarily suspended"
    counts = {}
    for limit in ("1", "0"):
        server = make_instance(BASE + [maps(dead_transport(), "{gone.test = nosuch:}"), "minimal_backoff_time = 300s",
                                       f"default_destination_concurrency_failed_cohort_limit = {limit}", "initial_destination_concurrency = 1",
                                       "transport_retry_time = " + ("60s" if limit == "1" else "1s")])
        submit(server, "x@dead.test", count=8)
        server.wait_log("status=deferred", count=8)
        submit(server, "x@gone.test")
        server.wait_log("connect to transport private/nosuch")
        time.sleep(1.2)
        submit(server, "x@gone.test")
        server.wait_log("to=<x@gone.test>", count=2)
        counts[limit] = (server.log().count(suspended) > 0, server.log().count("connect to transport private/nosuch"))
    assert counts == {"1": (True, 1), "0": (False, 2)}


def most_open(server, peer, domain, count=4):
    """How many deliveries there were at a time, of mail that is all there before the first."""
    with Stopped(server, "qmgr"):
        submit(server, f"x@{domain}", count=count)
    server.wait_log(rf"to=<x@{domain}>,.*status=sent", count=count)
    return peer.most_open


def recipients_at_once(server, peer, domain):
    submit(server, *[f"x{number}@{domain}" for number in range(4)])
    server.wait_log(rf"to=<x\d@{domain}>,.*status=sent", count=4)
    return sum(line.startswith("MAIL") for line in peer.lines)


def test_limits_of_destinations(make_instance):
    """How many deliveries go to a destination at a time, and with how many recipients: defaults and by transport."""
    def make(*main):
        peers = {word: Peer(delays={".": 0.4} if word != "few" else None) for word in ("wide", "narrow", "start", "few", "some")}
        entries = [f"{{{word}.test = {word}:[127.0.0.1]:{peer.port}}}" for word, peer in peers.items()]
        rows = [f"{word} unix - - n - - smtp" for word in peers]
        server = make_instance(BASE + [maps(*entries), "narrow_destination_concurrency_limit = 1",
                                       "start_initial_destination_concurrency = 1", "few_destination_recipient_limit = 2",
                                       *main], rows)
        return server, peers

    server, peers = make()
    assert most_open(server, peers["wide"], "wide.test") > 1
    assert most_open(server, peers["narrow"], "narrow.test") == 1
    assert most_open(server, peers["start"], "start.test", 2) == 1
    assert recipients_at_once(server, peers["few"], "few.test") == 2
    assert recipients_at_once(server, peers["some"], "some.test") == 1
    server, peers = make("default_destination_concurrency_limit = 1", "default_destination_recipient_limit = 1")
    assert most_open(server, peers["wide"], "wide.test") == 1
    assert recipients_at_once(server, peers["some"], "some.test") == 4
    server, peers = make("initial_destination_concurrency = 1")
    assert most_open(server, peers["wide"], "wide.test", 2) == 1


@pytest.mark.parametrize("name", ["qmgr_message_active_limit", "qmgr_message_recipient_limit"])
def test_limits_of_the_active_queue(make_instance, name):
    active = {}
    for limit in ("1", "20000"):
        peer = Peer(delays={"MAIL": 3})
        # The limit of recipients is never lower than that of messages.
        few = ["qmgr_message_active_limit = 2"] if "recipient" in name else []
        server = make_instance(BASE + [f"default_transport = smtp:[127.0.0.1]:{peer.port}", *few, f"{name} = {limit}"])
        submit(server, "x@far.test", "y@other.test", count=1)
        submit(server, "z@far.test")
        peer.heard("^MAIL")
        time.sleep(0.5)
        active[limit] = sum(entry["queue_name"] == "active" for entry in server.queued())
    assert active == {"1": 1, "20000": 2}


def notices(server):
    return [email.message_from_bytes(m) for m in server.mailbox()]


def test_notices_and_who_gets_them(make_instance):
    """notify_classes, bounce_notice_recipient, 2bounce_notice_recipient, double_bounce_sender, bounce_size_limit."""
    plain = make_instance(BASE + ["local_recipient_maps ="])
    told = make_instance(BASE + ["local_recipient_maps =", "notify_classes = bounce, 2bounce", "bounce_size_limit = 1",
                                 f"bounce_notice_recipient = {USER}+one@lab.test", "double_bounce_sender = twice",
                                 f"2bounce_notice_recipient = {USER}+two@lab.test"])
    for server in (plain, told):
        submit(server, "nosuch@lab.test", sender=ME)
        submit(server, "nosuch@lab.test", sender="")
    plain.wait_mail(1)
    told.wait_mail(3)
    plain.wait_empty()
    assert len(notices(plain)) == 1
    assert {m["Delivered-To"] for m in notices(told)} == {ME, f"{USER}+one@lab.test", f"{USER}+two@lab.test"}
    senders = {m["Delivered-To"]: m["Return-Path"] for m in notices(told)}
    assert senders[f"{USER}+two@lab.test"] == "<twice@mx.lab.test>"
    def last_part(m):
        return m.get_payload()[2].get_content_type()
    assert last_part(notices(plain)[0]) == "message/rfc822"
    assert {last_part(m) for m in notices(told)} == {"text/rfc822-headers"}


def test_places_of_an_instance(make_instance):
    """queue_directory, data_directory, maillog_file, its permissions, hash_queue_names and hash_queue_depth."""
    one = make_instance(BASE + [maps(dead_transport()), "maillog_file_permissions = 0600", "hash_queue_names = deferred"])
    two = make_instance(BASE + [maps(dead_transport()), "maillog_file_permissions = 0644", "hash_queue_names = defer"])
    two.stop()
    for name in ("queue", "data"):
        shutil.move(f"{two.directory}/{name}", f"{two.directory}/other-{name}")
    two.queue, two.log_path = f"{two.directory}/other-queue", f"{two.directory}/log/other.log"
    two.configure([f"queue_directory = {two.queue}", f"data_directory = {two.directory}/other-data", f"maillog_file = {two.log_path}"])
    two.start()
    deep = make_instance(BASE + [maps(dead_transport()), "hash_queue_names = deferred", "hash_queue_depth = 2"])
    for server in (one, two, deep):
        submit(server, "x@dead.test")
    paths = [os.path.relpath(wait_deferred(server), server.queue) for server in (one, two, deep)]
    assert [path.count("/") for path in paths] == [2, 1, 3]
    assert [os.stat(s.log_path).st_mode & 0o777 for s in (one, two)] == [0o600, 0o644]
    assert os.path.exists(f"{two.directory}/other-data/master.lock") and not os.path.exists(f"{two.directory}/data")
    assert "to=<x@dead.test>" in two.log()


def pids(server):
    return re.findall(r"smtpd\[(\d+)\]: connect from", server.log())


def test_processes_and_their_clients(make_instance):
    """default_process_limit, service_client_limit, max_use, max_idle."""
    few = make_instance(BASE[:-1] + ["default_process_limit = 1", "service_client_limit = 1", "max_use = 1", "max_idle = 1s"])
    many = make_instance(BASE)
    for server in (few, many):
        for _ in range(3):
            server.connect().close()
            time.sleep(0.1)
        server.wait_log("smtpd.*disconnect from", count=3)
    assert [len(set(pids(server))) for server in (few, many)] == [3, 1]
    with few.connect(), many.connect():
        with socket.create_connection(("127.0.0.1", few.port)) as second:
            second.settimeout(0.7)
            with pytest.raises(TimeoutError):
                second.recv(1)
        with many.connect() as second:
            assert second.greeting.startswith("220")
    assert few.processes("trivial-rewrite") == []
    for server in (few, many):
        submit(server, ME)
        server.wait_mail(1)
    wait_until(lambda: not few.processes("trivial-rewrite"), 6, "the end of an idle process")
    assert many.processes("trivial-rewrite")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_inet_interfaces_of_master(make_instance, address):
    server = make_instance(BASE + [f"inet_interfaces = {address}"])
    reached = []
    for host in ("127.0.0.1", "127.0.0.2"):
        try:
            socket.create_connection((host, server.port), 5).close()
            reached.append(host)
        except ConnectionRefusedError:
            pass
    assert reached == [address]


def test_mynetworks_follows_the_interfaces(make_instance):
    """mynetworks_style decides where mynetworks is not set; a set value stays (the instances of the other tests)."""
    trusted = {}
    for style in ("host", "class"):
        server = make_instance(BASE + [f"mynetworks_style = {style}"], start=False)
        path = f"{server.etc}/main.cf"
        with open(path, encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("mynetworks =")]
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(lines)
        server.start()
        for source in (TRUSTED, STRANGER):
            with server.connect(source) as wire:
                wire.say("EHLO c.test")
                wire.say("MAIL FROM:<>")
                trusted[style, source] = wire.say("RCPT TO:<x@far.test>").startswith("250")
    assert trusted == {("host", TRUSTED): True, ("host", STRANGER): False, ("class", TRUSTED): True, ("class", STRANGER): True}
    set_value = make_instance(BASE + ["mynetworks_style = class"])
    with set_value.connect(STRANGER) as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<>")
        assert wire.say("RCPT TO:<x@far.test>").startswith("454 4.7.1")


def test_default_database_type_of_postmap(make_instance):
    for kind, result in (("texthash", "value\n"), ("fail", "")):
        server = make_instance([f"default_database_type = {kind}"], start=False)
        with open(f"{server.etc}/table", "w", encoding="utf-8") as file:
            file.write("key value\n")
        assert server.command("postmap", "-q", "key", f"{server.etc}/table", check=False).stdout == result


def test_parameters_of_sendmail(make_instance):
    """authorized_submit_users, sendmail_fix_line_endings."""
    bodies = []
    for value in ("always", "never"):
        server = make_instance(BASE + [f"sendmail_fix_line_endings = {value}", "cleanup_replace_stray_cr_lf = no"])
        server.sendmail("Subject: x\r\n\r\none\r\ntwo\r\n", ME)
        bodies.append(server.wait_mail(1)[0].count(b"\r"))
    assert bodies[0] == 0 and bodies[1] > 0
    for users, good in (("static:all", True), ("!static:all", False), (f"!{USER}", False), (f"{USER}", True)):
        server = make_instance(BASE + [f"authorized_submit_users = {users}"])
        assert (server.sendmail("Subject: x\n\nx\n", ME, check=False).returncode == 0) == good, users


def test_owner_of_an_instance(make_instance):
    """posthouse_single_user, mail_owner, setgid_group: whose rights a start asks for."""
    said = []
    for single, owner, group in (("yes", "nosuch", "nosuch"), ("no", "nosuch", "nosuch"), ("no", "daemon", "nosuch")):
        server = make_instance([f"posthouse_single_user = {single}", f"mail_owner = {owner}", f"setgid_group = {group}"],
                               start=False)
        try:
            server.start()
            said.append("starts")
        except AssertionError as error:
            said.append(re.search(r"parameter (mail_owner|setgid_group): unknown", str(error)).group(1))
    assert said == ["starts", "mail_owner", "setgid_group"]


def test_stock_configuration_is_honoured(make_instance):
    """What `posthouse init` writes has effect; a warning names what has none."""
    server = make_instance(["proxywrite_service_name = proxywrite"])
    unheard = set(re.findall(r"no effect yet: (\w+)", server.log()))
    assert unheard - {"maillog_file_prefixes"} == {"proxywrite_service_name"}
