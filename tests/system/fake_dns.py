"""A name server on loopback that says what a test wants: UDP and TCP, on one free port.

    dns = FakeDNS()
    dns.mx("a.test", (10, "mx.a.test"), (20, "mx2.a.test"))
    dns.address("mx.a.test", "127.0.0.5", "::1")
    dns.fails("b.test", SERVFAIL)

A name without any record does not exist (NXDOMAIN). Every question is kept in `asked`."""
import ipaddress
import socket
import struct
import threading

A, NS, CNAME, SOA, MX, AAAA, SRV, OPT = 1, 2, 5, 6, 15, 28, 33, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
SILENT = -1


def encode_name(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def decode_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels), at + 1


class FakeDNS:
    def __init__(self, host="127.0.0.1", port=0):
        self.records = {}  # (name, type): [data]
        self.rcodes = {}  # name or (name, type): what it answers instead
        self.asked = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(50)
        self.port = self.listener.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host, self.port))
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()

    def close(self):
        for one in self.udp, self.listener:
            try:
                one.shutdown(socket.SHUT_RDWR)  # wakes who waits there, so that the port is free at once
            except OSError:
                pass
            one.close()
        for thread in self.threads:
            thread.join(1)

    # --- what it knows ---

    def add(self, name, kind, data):
        self.records.setdefault((name.lower(), kind), []).append(data)

    def mx(self, name, *exchangers):
        for preference, host in exchangers:
            self.add(name, MX, struct.pack("!H", preference) + encode_name(host))

    def srv(self, service, *targets):
        """`service` is "_submission._tcp.a.test"; targets are (priority, weight, port, host), host "" for none."""
        for priority, weight, port, host in targets:
            self.add(service, SRV, struct.pack("!HHH", priority, weight, port) + encode_name(host))

    def address(self, name, *addresses):
        for text in addresses:
            address = ipaddress.ip_address(text)
            self.add(name, A if address.version == 4 else AAAA, address.packed)

    def cname(self, name, target):
        self.add(name, CNAME, encode_name(target))

    def fails(self, name, rcode, kind=None):
        """`rcode` may be SILENT: no answer at all."""
        self.rcodes[(name.lower(), kind) if kind else name.lower()] = rcode

    # --- answering ---

    def records_of(self, name, kind):
        """The answer section, along CNAMEs: (owner, type, data)."""
        found = []
        for _ in range(8):
            alias = self.records.get((name, CNAME))
            if not alias or kind == CNAME:
                break
            found.append((name, CNAME, alias[0]))
            name = decode_name(alias[0], 0)[0].lower()
        return found + [(name, kind, data) for data in self.records.get((name, kind), [])]

    def rcode_of(self, name, kind):
        rcode = self.rcodes.get((name, kind), self.rcodes.get(name))
        if rcode is not None:
            return rcode
        known_names = [known for known, _ in list(self.records)]  # the test may be adding some
        exists = any(known == name or known.endswith("." + name) for known in known_names)
        return NOERROR if exists else NXDOMAIN

    def answer(self, query):
        name, at = decode_name(query, 12)
        kind = struct.unpack("!H", query[at:at + 2])[0]
        self.asked.append((name.lower(), kind))
        rcode = self.rcode_of(name.lower(), kind)
        if rcode == SILENT:
            return None
        records = self.records_of(name.lower(), kind) if rcode == NOERROR else []
        answers = b"".join(encode_name(owner) + struct.pack("!HHIH", which, 1, 60, len(data)) + data
                           for owner, which, data in records)
        edns = b"\0" + struct.pack("!HHIH", OPT, 1232, 0, 0)
        header = query[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, len(records), 0, 1)
        return header + query[12:at + 4] + answers + edns

    def serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not query:  # closed
                return
            reply = self.answer(query)
            if reply is None:
                continue
            if len(reply) > 1232:  # truncated: ask again over TCP
                reply = reply[:2] + struct.pack("!H", struct.unpack("!H", reply[2:4])[0] | 0x200)
                reply += struct.pack("!HHHH", 1, 0, 0, 0) + query[12:decode_name(query, 12)[1] + 4]
            self.udp.sendto(reply, peer)

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        with connection, connection.makefile("rb") as file:
            while size := file.read(2):
                reply = self.answer(file.read(struct.unpack("!H", size)[0]))
                if reply is not None:
                    connection.sendall(struct.pack("!H", len(reply)) + reply)
