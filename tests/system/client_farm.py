"""Many SMTP and LMTP clients in one instance, each with its own settings, its own domain and a server of its own: what two settings
of one parameter make a client do.

A row says which parameters it is about (each gets the same two settings), the settings A and B, and what must be found under A and
under B (regular expressions, searched) in a text that holds all that can be seen of a few messages to the row's domain: the log lines
of the client, what the server was told, the texts that it got, and where connections came from."""
import itertools
import re
import shutil
import smtplib
import threading
import time

from fake_dns import FakeDNS
from fake_smtp import FakeSMTP
from instance import Instance, free_port

MAIN = ["myhostname = mx.lab.test", "mydestination = lab.test", "mynetworks = 127.0.0.0/8", "smtpd_peername_lookup = no",
        "default_process_limit = 1000", "import_environment = MAIL_CONFIG LOCALDOMAIN=search.test", "minimal_backoff_time = 3000s",
        "maximal_backoff_time = 3000s", "relay_domains ="]
PLAIN = b"Subject: x\r\n\r\nx\r\n"


def options(*assignments):
    return "".join(f" -o {{ {a} }}" for a in assignments)


class Row:
    """`names`: parameters, parted by blanks; the first word of each is the program. In settings, `extra` and `nexthop`: {domain}, {port}
    (of all servers), {address} (of this row's), {dns} ({side} is the number). `dns(dns, domain, address, port)` adds to the A record
    of the domain, or, when `bare`, is all. `mails`: how many, `gap` seconds apart. `script`: of the server, None for no server."""

    def __init__(self, names, a, b, sees_a, sees_b, *, extra=(), dns=None, bare=False, script=(), mails=1, gap=0.0, text=PLAIN, user="r",
                 nexthop="", probe=False, mail_options=(), rcpt_options=(), host=None):
        self.names, self.settings, self.sees, self.extra = names.split(), (a, b), (sees_a, sees_b), extra
        self.dns, self.bare, self.mails, self.gap, self.text, self.user = dns, bare, mails, gap, text, user
        self.script = None if script is None else dict(script)
        self.nexthop, self.probe, self.host = nexthop, probe, host
        self.mail_options, self.rcpt_options = list(mail_options), list(rcpt_options)

    def cases(self):
        return [(self, name) for name in self.names]


class Side:
    def __init__(self, farm, row, name, index, number):
        self.farm, self.row, self.tag, self.domain = farm, row, f"s{number}", f"s{number}.test"
        self.program = name.split("_")[0] if name.startswith("lmtp_") else "smtp"
        self.address = row.host or f"127.4.{number // 250}.{number % 250 + 1}"
        self.values = {"domain": self.domain, "port": farm.port, "address": self.address, "side": number}
        setting = self.fill(row.settings[index])
        self.transport = f"t{number} unix - - n - - {self.program}" + options(
            f"syslog_name={self.tag}", *map(self.fill, row.extra), *([f"{name}={setting}"] if setting is not None else []))
        self.server = None

    def fill(self, text):
        for name, value in self.values.items():
            text = text.replace("{%s}" % name, str(value)) if text is not None else None
        if self.program == "lmtp" and text is not None:
            text = re.sub(r"\bsmtp_", "lmtp_", text)
        return text

    def make_world(self):
        row = self.row
        if not row.bare:
            self.farm.dns.address(self.domain, self.address)
        if row.dns:
            row.dns(self.farm.dns, self.domain, self.address, self.farm.port)
        if row.script is not None:
            script = dict(row.script)
            script.setdefault("lhlo", script["ehlo"]) if "ehlo" in script else None
            self.server = self.farm.listen(self.address, script)

    def lines(self):
        return [line for line in self.farm.server.log().splitlines() if f" {self.tag}/" in line]

    def outcomes(self):
        return [line for line in self.lines() if f"@{self.domain}>" in line and "status=" in line]

    def send(self):
        recipient = f"{self.row.user}@{self.domain}"
        if self.row.probe:
            self.farm.server.command("sendmail", "-bv", "-f", "s@a.test", recipient)
            return
        with smtplib.SMTP("127.0.0.1", self.farm.server.port, timeout=30) as client:
            client.ehlo("c.test")
            assert client.mail("s@a.test", self.row.mail_options)[0] == 250
            assert client.rcpt(recipient, self.row.rcpt_options)[0] == 250
            assert client.data(self.row.text)[0] == 250

    def seen(self):
        """All that can be seen, as one text."""
        for number in range(self.row.mails):
            if number:
                time.sleep(self.row.gap)
            before = len(self.outcomes())
            self.send()
            deadline = time.monotonic() + 20
            while len(self.outcomes()) <= before and time.monotonic() < deadline:
                time.sleep(0.02)
        connections = self.server.connections if self.server else []
        mine = [c for c in connections if any(self.domain in line for line in c.commands)] if self.row.host else connections
        told = [line for c in mine for line in c.commands]
        texts = [text.decode("latin-1").replace("\r\n", "\n") for c in mine for text in c.texts]
        return "\n".join(self.lines() + told + texts + [f"from {c.peer}" for c in mine] + [f"connections: {len(mine)}"])


class Farm:
    def __init__(self, directory, rows):
        self.port, self.dns, self.sides, self.shared = free_port(), FakeDNS(), {}, {}
        self.server = Instance(directory)
        number = itertools.count(1)
        for row, name in itertools.chain.from_iterable(row.cases() for row in rows):
            self.sides[row, name] = [Side(self, row, name, index, next(number)) for index in (0, 1)]
        sides = [side for pair in self.sides.values() for side in pair]
        routes = "".join(f"{side.domain} t{side.values['side']}:{side.fill(side.row.nexthop)}\n" for side in sides)
        with open(f"{self.server.etc}/transport", "w", encoding="utf-8") as file:
            file.write("a.test discard:\n" + routes)
        self.server.configure(MAIN + [f"smtp_tcp_port = {self.port}", f"lmtp_tcp_port = {self.port}", f"dns_servers = 127.0.0.1:{self.dns.port}",
                                      f"transport_maps = texthash:{self.server.etc}/transport"], [side.transport for side in sides])
        for side in sides:
            side.make_world()
        self.server.start()

    def listen(self, address, script):
        if address not in self.shared or script:
            self.shared[address] = FakeSMTP(address, self.port, **script)
        return self.shared[address]

    def close(self):
        for server in self.shared.values():
            server.close()
        self.server.destroy()
        self.dns.close()
        shutil.rmtree(self.server.directory, ignore_errors=True)

    def check(self, row, name):
        """Both sides at once; each must show what the row expects."""
        seen = [None, None]

        def look(index):
            try:
                seen[index] = self.sides[row, name][index].seen()
            except BaseException as error:  # shown by the assertion below
                seen[index] = repr(error)

        threads = [threading.Thread(target=look, args=(index,)) for index in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for index in (0, 1):
            assert re.search(row.sees[index], seen[index], re.M), (name, row.settings[index], seen[index])
