"""A mixed run of mail through one mail system in a private root, the same for each: what its log and the log tools say of it."""
import os
import smtplib
import subprocess
import sys
import time

from instance import Wire, wait_until

MAIN = [
    "myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "myorigin = lab.test", "mynetworks = 127.0.0.1/32",
    "alias_maps = inline:{ {away = x@ok.test} {gone = nobody@never.test} }",
    "local_recipient_maps = unix:passwd.byname $alias_maps inline:{ghost=x}", "virtual_mailbox_domains = vmail.test",
    "virtual_mailbox_base = /var/mailboxes", "virtual_mailbox_maps = inline:{ {v@vmail.test = v/} {w@vmail.test = v/nowhere/w} {d@vmail.test = v} }",
    "virtual_uid_maps = static:5000", "virtual_gid_maps = static:5000", "relay_domains = ok.test gone.test", "recipient_delimiter = +",
    "virtual_alias_maps = inline:{ {info@lab.test = alice@lab.test} {never@lab.test = x@never.test} }",
    "transport_maps = inline:{ {gone.test = retry:4.2.0 gone for now} {never.test = error:5.1.2 no such host} "
    "{soft.test = soft:[127.0.0.11]} {closed.test = smtp:[127.0.0.1]:9} {lmtp.test = lmtp:inet:127.0.0.20:24} {void.test = discard:thrown away} }",
    "smtpd_sender_restrictions = check_sender_access inline:{ {hold@a.test = HOLD look at it} {rej@a.test = REJECT no thanks} "
    "{warn@a.test = WARN odd} {info@a.test = INFO seen} {drop@a.test = DISCARD not wanted} {late@a.test = 450 4.7.1 later} "
    "{defer@a.test = DEFER_IF_PERMIT maybe} {to@a.test = REDIRECT alice@lab.test} {pre@a.test = PREPEND X-Seen: yes} } reject_non_fqdn_sender",
    "smtpd_helo_restrictions = check_helo_access inline:{ {bad.test = REJECT your name} } reject_invalid_helo_hostname",
    "smtpd_recipient_restrictions = check_recipient_access inline:{ {rr@lab.test = REJECT} } warn_if_reject reject_non_fqdn_helo_hostname",
    "smtpd_client_restrictions = check_client_access inline:{127.0.0.66=REJECT}",
    "smtpd_error_sleep_time = 0", "smtpd_hard_error_limit = 4", "smtpd_timeout = 2s", "message_size_limit = 20000", "hopcount_limit = 5",
    "minimal_backoff_time = 1000s", "maximal_backoff_time = 1000s", "delay_warning_time = 4s", "queue_run_delay = 1000s",
    "notify_classes = 2bounce delay", "2bounce_notice_recipient = alice",
    "delay_notice_recipient = nobody@never.test",
    "smtp_connection_cache_on_demand = no", "smtp_host_lookup = dns", "inet_protocols = ipv4",
]
MASTER = ["soft unix - - n - - smtp -o soft_bounce=yes"]
US, OTHER, PC, LIAR, GHOST, BANNED = "127.0.0.1", "127.0.0.2", "127.0.0.7", "127.0.0.8", "127.0.0.9", "127.0.0.66"
C, S, BOB, ALICE = "c.test", "s@a.test", "bob@lab.test", "alice@lab.test"
RUN = [  # how many, from where, helo, sender, recipients
    (50, US, C, S, [ALICE]), (4, OTHER, C, S, ["bob@lab.test", "info@lab.test"]), (4, PC, C, S, ["alice+x@lab.test"]), (3, LIAR, C, S, [BOB]),
    (3, GHOST, C, S, [BOB]), (2, US, C, "", [ALICE]),
    (3, US, C, S, ["away@lab.test"]), (2, US, C, BOB, ["gone@lab.test"]), (2, US, C, BOB, ["ghost@lab.test"]),
    (3, US, C, S, ["v@vmail.test"]), (1, US, C, S, ["w@vmail.test"]), (1, US, C, S, ["d@vmail.test"]), (25, US, C, S, ["x@ok.test"]), (5, US, C, S, ["x@ok.test", "y@ok.test", ALICE]),
    (4, US, C, BOB, ["nouser@ok.test"]), (2, US, C, BOB, ["busy@ok.test", "x@ok.test"]), (2, US, C, BOB, ["full@ok.test"]),
    (1, US, C, BOB, ["x@refused.test"]), (1, US, C, BOB, ["x@unwelcome.test"]), (1, US, C, BOB, ["x@busy.test"]), (1, US, C, BOB, ["x@cut.test"]),
    (3, US, C, BOB, ["x@content.test"]), (1, US, C, BOB, ["x@slowdata.test"]), (2, US, C, BOB, ["x@sender.test"]), (2, US, C, BOB, ["x@loop.test"]),
    (2, US, C, BOB, ["x@null.test"]), (2, US, C, BOB, ["x@nohost.test"]), (2, US, C, BOB, ["x@nowhere.test"]), (1, US, C, BOB, ["x@servfail.test"]),
    (3, US, C, BOB, ["x@gone.test"]), (3, US, C, BOB, ["never@lab.test"]), (2, US, C, "", ["never@lab.test"]), (1, US, C, "", ["x@gone.test"]),
    (2, US, C, BOB, ["nouser@soft.test"]), (1, US, C, BOB, ["x@closed.test"]), (3, US, C, S, ["x@lmtp.test"]), (2, US, C, BOB, ["nouser@lmtp.test"]),
    (3, US, C, S, ["x@void.test"]), (6, US, C, "hold@a.test", [ALICE]), (3, OTHER, C, "rej@a.test", [ALICE]), (2, OTHER, C, "warn@a.test", [ALICE]),
    (2, OTHER, C, "info@a.test", [ALICE]), (2, OTHER, C, "drop@a.test", [ALICE]), (2, OTHER, C, "late@a.test", [ALICE]),
    (2, OTHER, C, "defer@a.test", [ALICE]), (2, OTHER, C, "to@a.test", [BOB, "root@lab.test"]),
    (2, OTHER, C, "pre@a.test", [BOB]), (2, OTHER, C, "short", [BOB]),
    (3, OTHER, "bad.test", S, [ALICE]), (2, OTHER, "a_b..test", S, [ALICE]), (2, OTHER, "single", S, [ALICE]),
    (4, OTHER, C, S, ["nosuch@lab.test"]), (2, OTHER, C, S, ["nosuch@lab.test", ALICE]), (4, PC, C, S, ["x@elsewhere.test"]),
    (2, LIAR, C, S, ["no@vmail.test"]), (2, GHOST, C, S, ["rr@lab.test"]), (3, BANNED, C, S, [ALICE]),
]
TALKS = [  # from where, what is said; None: closes without QUIT; bytes: sent without waiting for replies; a number: seconds of silence
    (OTHER, [None]), (OTHER, ["EHLO c.test", None]), (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", None]),
    (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", None]),
    (OTHER, ["HELO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", "DATA", b"Subject: x\r\nhalf", None]),
    (OTHER, ["EHLO c.test", "FOO", "BAR", "", "BAZ", "QUIT"]), (OTHER, ["EHLO c.test", "EXPN a", "VRFY alice", "NOOP", "RSET", "HELP", "QUIT"]),
    (OTHER, [b"EHLO c.test\r\nMAIL FROM:<s@a.test>\r\n", "x", None]), (OTHER, [b"GET / HTTP/1.0\r\n", None]),
    (OTHER, ["EHLO c.test", "DATA", "QUIT"]), (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test> SIZE=30000", "QUIT"]),
    (OTHER, ["EHLO c.test", "MAIL FROM:<s@a..test>", "MAIL FROM:<s@a.test>", "RCPT TO:<a b@lab.test>", "RCPT TO:<>", "RCPT TO:<a@b", "QUIT"]),
    (OTHER, ["EHLO c.test", "NOOP " + "x" * 5000, "QUIT"]),
    (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<nosuch@lab.test>", "DATA", "QUIT"]),
    (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", "RSET", "QUIT"]),
    (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", "DATA", b"Message-ID: <big@a.test>\r\n\r\n" + b"x" * 70 + b"\r\n" +
             (b"y" * 900 + b"\r\n") * 30 + b".\r\n", "QUIT"]),
    (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", "DATA", b"Received: a\r\n" * 8 + b"\r\nx\r\n.\r\n", "QUIT"]),
    (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", "DATA",
             b"Resent-Message-ID: <r@a.test>\r\nResent-To: a@b\r\n\r\nx\r\n.\r\n", "QUIT"]),
    (OTHER, ["EHLO c.test", 3, None]), (OTHER, ["EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<alice@lab.test>", "DATA", b"half", 3, None]),
]
SUBMISSIONS = [  # user, options of sendmail, message
    ("bob", ["alice"], "Subject: one\n\nx\n"), ("bob", ["-f", BOB, "-N", "success,failure", "alice", "x@never.test"], "Subject: two\n\nx\n"),
    ("bob", ["-f", "", "alice"], "Message-ID: <three@a.test>\n\nx\n"), ("bob", ["-t"], "To: alice, bob\nSubject: four\n\nx\n"),
    ("alice", ["-f", BOB, "-v", "x@ok.test"], "Subject: five\n\nx\n"),
    ("alice", ["-f", BOB, "-bv", "bob", "x@ok.test", "nouser@ok.test", "x@never.test", "v@vmail.test"], ""),
]


class Run:
    def __init__(self, kind):
        self.server = kind()

    def perform(self):
        """A dictionary: the log, and what each tool says of it."""
        try:
            self.prepare()
            self.send()
            self.handle_queue()
            self.server.stop()
            return dict(self.reports(), log=self.server.log())
        finally:
            self.server.destroy()

    def prepare(self):
        self.server.root.write("/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\n")
        self.server.root.run("install -d -o 5000 -g 5000 /var/mailboxes/v")
        peers = self.server.root.popen([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "log_peers.py")],
                                       stdout=subprocess.PIPE, text=True)
        assert peers.stdout.readline() == "ready\n"
        self.server.configure(MAIN, MASTER)
        self.server.start()

    # --- clients ---

    def send(self):
        for count, *what in RUN:
            for _ in range(count):
                self.message(*what)
            # One kind after the other: a destination that is found dead changes what is said of its next message.
            self.wait_idle()
        for talk in TALKS:
            self.talk(*talk)
        for user, options, text in SUBMISSIONS:
            self.server.sendmail(text, *options, user=user)
        self.wait_idle()

    def message(self, source, helo, sender, recipients):
        server = self.server

        class Client(smtplib.SMTP):
            def _get_socket(self, *_unused):
                return server.open_socket(source)
        with Client("x", 25, local_hostname=helo) as client:
            try:
                client.sendmail(sender, recipients, "Subject: a run\r\nMessage-ID: <one@a.test>\r\n\r\nhello\r\n" + "x" * 500)
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError):
                pass

    def talk(self, source, steps):
        before = self.server.log().count("disconnect from")
        with Wire(self.server.open_socket(source)) as wire:
            for step in steps:
                if step is None:
                    break
                if isinstance(step, int):
                    time.sleep(step)
                elif isinstance(step, bytes):
                    wire.raw(step)
                    time.sleep(0.05)
                    if step.endswith(b".\r\n") or step[:4] in (b"EHLO", b"GET "):
                        wire.reply()
                else:
                    try:
                        wire.say(step)
                    except OSError:
                        break
        wait_until(lambda: self.server.log().count("disconnect from") > before, 10, "the end of a session")

    # --- the queue ---

    def in_queue(self, *names):
        return [q for q in self.server.queued() if q["queue_name"] in names]

    def wait_idle(self):
        def idle():
            return not os.listdir(self.server.queue + "/maildrop") and not self.in_queue("active", "incoming", "maildrop")
        try:
            wait_until(idle, 20, "an idle queue")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.server.log()[-3000:]}") from None

    def pick_up(self):
        # Postfix's postkick dies of SIGPIPE now and then.
        self.server.command("postkick", "public", "pickup", "W", check=False)
        return not os.listdir(self.server.queue + "/maildrop")

    def ids(self, address):
        return [q["queue_id"] for q in self.server.queued() if q["recipients"][0]["address"] == address]

    def postsuper(self, option, queue_ids):
        self.server.command("postsuper", *[word for queue_id in queue_ids for word in (option, queue_id)])

    def handle_queue(self):
        """Delay warnings, the administrator's hand, then the end of everything that waits."""
        self.postsuper("-r", self.ids("x@slowdata.test"))
        wait_until(self.pick_up, 10, "requeued mail")
        self.postsuper("-d", self.ids("x@closed.test"))
        self.postsuper("-h", self.ids("nouser@soft.test"))
        held = self.in_queue("hold")
        self.postsuper("-H", [q["queue_id"] for q in held if q["sender"] == "hold@a.test"][:3])
        time.sleep(4)  # delay_warning_time
        self.server.command("postqueue", "-f")
        self.server.wait_log("sender delay notification", 10)
        self.wait_idle()
        self.postsuper("-e", self.ids("x@cut.test"))
        self.wait_idle()
        self.server.configure(["maximal_queue_lifetime = 0", "bounce_queue_lifetime = 0"])
        self.server.reload()
        self.server.command("postqueue", "-f")
        wait_until(lambda: not self.in_queue("deferred", "active", "incoming"), 30, "expired messages")
        self.wait_idle()

    def reports(self):
        root = self.server.root
        root.run("rm -f /var/log/maillog* /var/log/mail.log.*; mkdir -p /var/cache/logwatch")
        return {
            "pflogsumm": root.run(["pflogsumm", "/var/log/mail.log"]).stdout,
            "logwatch": root.run(["logwatch", "--service", "postfix", "--range", "all", "--detail", "high", "--output", "stdout"]).stdout,
            "fail2ban": root.run(["fail2ban-regex", "--print-all-matched", "--print-all-missed", "/var/log/mail.log",
                                  "postfix[mode=aggressive]"]).stdout,
        }
