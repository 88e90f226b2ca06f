"""The same SMTP dialogues with Debian's Postfix and with ours; see dialogue/README.md."""
import glob
import os
import re
import time

from instance import Wire

HERE = os.path.dirname(os.path.abspath(__file__))

FIRST_PORT = 2500
REPLY_SECONDS = 5
SHOWN = {"R:": "(more)", "data": "(text)"}

MAIN = [
    "myhostname = mx.lab.test",
    "mydestination = mx.lab.test localhost lab.test",
    "myorigin = lab.test",
    "mynetworks = 127.0.0.1/32",
    "recipient_delimiter = +",
    "relay_domains = relay.test err.test retry.test",
    "relay_recipient_maps =",
    "alias_maps = inline:{fwd=bob}",
    "local_recipient_maps = unix:passwd.byname $alias_maps",
    "virtual_alias_domains = valias.test",
    "virtual_alias_maps = inline:{info@valias.test=alice@lab.test}",
    "virtual_mailbox_domains = vmail.test",
    "virtual_mailbox_base = /var/mailboxes",
    "virtual_mailbox_maps = inline:{v1@vmail.test=v1/}",
    "transport_maps = inline:{ {err.test = error:5.7.1 administratively closed} {retry.test = retry:4.7.1 try later please} }",
    "default_transport = discard:", "relay_transport = discard:",
    "message_size_limit = 20000",
    "smtpd_error_sleep_time = 0",
    "smtpd_hard_error_limit = 1000",
    "smtpd_peername_lookup = no",
    "smtputf8_enable = yes",
    "smtpd_discard_ehlo_keywords = starttls, chunking, etrn, auth",
]


def steps_of(lines, first):
    """(line number, word, text) of each line of a dialogue."""
    steps = []
    for number, line in enumerate(lines, first):
        word, _, rest = line.partition(" ")
        if line == "" or line.startswith("#"):
            continue
        if word not in ("C:", "S:", "R:", "wait", "connect"):
            raise ValueError(f"line {number}: {line!r} is no step of a dialogue")
        steps.append((number, word, rest))
    return steps


class Group:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-len(".txt")]
        self.options, self.steps, self.intended = [], [], {}
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                self.add_line(number, line.rstrip("\n"))

    def add_line(self, number, line):
        word, _, rest = line.partition(" ")
        if word == "-o":
            self.options.append(rest)
        elif word == "D:":
            self.intended[number + 1] = rest
        else:
            self.steps += steps_of([line], number)

    def service(self, port):
        options = "".join(f" -o {{ {text.replace('=', ' = ', 1)} }}" for text in self.options)
        return f"{port} inet n - n - - smtpd{options}"


def groups(words=()):
    found = [Group(path) for path in sorted(glob.glob(f"{HERE}/dialogue/*.txt"))]
    return found, [g for g in found if not words or any(word in g.name for word in words)]


def decode(text):
    """Escapes into bytes."""
    text = re.sub(r"\\\{(\d+),((?:[^\\}]|\\.)*)\}", lambda m: m[2] * int(m[1]), text)
    names = {"t": b"\t", "r": b"\r", "n": b"\n", "0": b"\0", "\\": b"\\"}
    out, at = b"", 0
    while at < len(text):
        if text[at] != "\\":
            end = text.find("\\", at)
            end = len(text) if end < 0 else end
            out, at = out + text[at:end].encode(), end
        elif text[at + 1] == "x":
            out, at = out + bytes([int(text[at + 2:at + 4], 16)]), at + 4
        else:
            out, at = out + names.get(text[at + 1:at + 2], text[at:at + 2].encode()), at + 2
    return out


def mask(reply):
    return re.sub(r"queued as [0-9A-Za-z]+", "queued as QID", reply)


def read_reply(wire):
    try:
        return mask(wire.reply()) or "<closed>"
    except TimeoutError:
        return "<nothing>"
    except OSError:
        return "<closed>"


def speak(server, port, steps):
    """All replies to a dialogue: (line number, what was said, reply). The step "data" sends bytes and the
    final dot, if there was a go-ahead."""
    wire, heard = None, []
    server.port = port
    for number, word, text in steps:
        if word == "connect":
            if wire:
                wire.close()
            wire = Wire(server.open_socket(text or "127.0.0.1"))
            wire.socket.settimeout(REPLY_SECONDS)
            heard.append((number, "connect", wire.greeting))
        elif word == "wait":
            time.sleep(float(text))
        elif word != "data" or heard[-1][2].startswith("354"):
            if word != "R:":
                try:
                    wire.raw(text + b".\r\n" if word == "data" else decode(text) + (b"\r\n" if word == "C:" else b""))
                except OSError:
                    pass  # the reply tells
            if word != "S:":
                heard.append((number, SHOWN.get(word, text), read_reply(wire)))
    if wire:
        wire.close()
    return heard


def start(kind, all_groups):
    server = kind()
    try:
        server.configure(MAIN, [g.service(FIRST_PORT + i) for i, g in enumerate(all_groups)])
        server.start()
    except BaseException:
        server.destroy()
        raise
    return server


def compare(servers, all_groups, group):
    """Exchanges, and the differences among them that are not intended: (line number, said, Postfix's reply, ours). An intended
    one that is none any more is a difference too."""
    port = FIRST_PORT + all_groups.index(group)
    theirs, ours = (speak(server, port, group.steps) for server in servers)
    return theirs, [(a[0], a[1], a[2], b[2]) for a, b in zip(theirs, ours)
                    if (a[2] != b[2]) != (a[0] in group.intended)]
