"""The world around a mail system in a scenario, inside its private root: a name server on 127.0.0.53 and SMTP or LMTP servers with
scripted replies. Reads one JSON object a line: {"dns": [...], "servers": {...}} begins a scenario and is answered by "ready";
{} asks for what the servers were told, once their clients are gone."""
import json
import os
import re
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system"))
import fake_dns  # noqa: E402
from fake_smtp import CLOSE, DEFAULTS, ENDLESS, HANG, FakeSMTP, Then  # noqa: E402

PTR, TXT, SRV = 12, 16, 33
ACTS = {"CLOSE": CLOSE, "HANG": HANG, "ENDLESS": ENDLESS}
RCODES = {"SERVFAIL": fake_dns.SERVFAIL, "REFUSED": fake_dns.REFUSED, "NXDOMAIN": fake_dns.NXDOMAIN, "SILENT": fake_dns.SILENT}
GONE_SECONDS = 3


def add_record(dns, row):
    kind, name, *data = row.split()
    if kind == "mx":
        dns.mx(name, (int(data[0]), data[1].rstrip(".")))
    elif kind == "a":
        dns.address(name, *data)
    elif kind == "cname":
        dns.cname(name, data[0])
    elif kind == "fail":
        dns.fails(name, RCODES[data[0]])
    elif kind == "ptr":
        dns.add(".".join(reversed(name.split("."))) + ".in-addr.arpa", PTR, fake_dns.encode_name(data[0]))
    elif kind == "txt":
        text = " ".join(data).encode()
        dns.add(name, TXT, bytes([len(text)]) + text)
    elif kind == "srv":
        dns.add(name, SRV, struct.pack("!HHH", *map(int, data[:3])) + fake_dns.encode_name(data[3]))
    else:
        raise ValueError(row)


def act(text):
    """"250 ok", "CLOSE", or "421 bye & CLOSE"."""
    parts = [ACTS.get(part, part.replace("\\n", "\n")) for part in text.split(" & ")]
    return parts[0] if len(parts) == 1 else Then(*parts)


def step_of(rules):
    """One step of a server: rules are (word or "", what to say at each use); the first rule whose word is in the argument counts."""
    if len(rules) == 1 and not rules[0][0]:
        return rules[0][1]
    uses = {}

    def say(argument, connection):
        argument = argument.decode("utf-8", "replace") if isinstance(argument, bytes) else argument
        for word, replies in rules:
            if word in argument:
                use = uses[id(connection), word] = uses.get((id(connection), word), 0) + 1
                return replies[min(use, len(replies)) - 1]
        return DEFAULTS["rcpt"]
    return say


def script_of(rows):
    rules = {}
    for row in rows:
        found = re.match(r"(\w+)(?:\(([^)]*)\))?: ?(.*)$", row)
        rules.setdefault(found[1], []).append((found[2] or "", [act(text) for text in found[3].split(" | ")]))
    return {step: step_of(sorted(some, key=lambda rule: not rule[0])) for step, some in rules.items()}


def server_at(place, rows):
    if place.startswith("/"):
        if os.path.exists(place):
            os.unlink(place)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        server = FakeSMTP(place, **script_of(rows))
        os.chmod(place, 0o666)
        return server
    host, _, port = place.rpartition(":")
    return FakeSMTP(host.strip("[]"), int(port), **script_of(rows))


def told(servers):
    deadline = time.monotonic() + GONE_SECONDS
    everyone = [connection for server in servers.values() for connection in server.connections]
    while time.monotonic() < deadline and not all(connection.ended for connection in everyone):
        time.sleep(0.02)
    # What a client says before it is told that the transfer may begin does not matter, nor in what order it comes.
    return {place: [[connection.commands, [text.decode("utf-8", "backslashreplace") for text in connection.texts]]
                    for connection in server.connections] for place, server in servers.items()}


def main():
    dns, servers = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        if not request:
            print(json.dumps(told(servers)), flush=True)
            continue
        for server in servers.values():
            server.drop_connections()
            server.close()
        if dns is None:
            dns = fake_dns.FakeDNS("127.0.0.53", 53)
        dns.records, dns.rcodes = {}, {}
        for row in request["dns"]:
            add_record(dns, row)
        servers = {place: server_at(place, rows) for place, rows in request["servers"].items()}
        print("ready", flush=True)


if __name__ == "__main__":
    main()
