"""The world around a mail system whose log is compared: a name server on 127.0.0.53 and mail servers on port 25 of 127.0.0.11 ..., all
inside a private root. Run there as a program; says "ready" and serves until it is ended."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system"))
from fake_dns import SERVFAIL, FakeDNS, encode_name  # noqa: E402
from fake_smtp import CLOSE, FakeSMTP, Then  # noqa: E402

PTR = 12
NAMES = {"127.0.0.7": "pc.client.test", "127.0.0.8": "liar.client.test", "127.0.0.9": "ghost.client.test"}


def rcpt(argument, _connection):
    for word, reply in (("nouser", "550-5.1.1 <nouser@x.test>: no such user\n550 5.1.1 try another"), ("busy", "450 4.2.1 mailbox is busy"),
                        ("full", "452 4.2.2 over quota")):
        if word in argument:
            return reply
    return "250 2.1.5 Ok"


# Domain of mail: (address of its server, what it says).
SERVERS = {
    "ok.test": ("127.0.0.11", {"rcpt": rcpt}),
    "refused.test": ("127.0.0.12", None),
    "unwelcome.test": ("127.0.0.13", {"greeting": "554 5.7.1 go away"}),
    "busy.test": ("127.0.0.14", {"greeting": Then("421 4.3.2 come back later", CLOSE)}),
    "cut.test": ("127.0.0.15", {"mail": CLOSE}),
    "content.test": ("127.0.0.16", {"data_end": "554 5.7.1 we do not like the text"}),
    "slowdata.test": ("127.0.0.17", {"data_end": "451 4.3.0 not now"}),
    "sender.test": ("127.0.0.18", {"mail": "550 5.7.1 we do not like the sender"}),
}


def main():
    dns = FakeDNS("127.0.0.53", 53)
    for domain, (address, script) in SERVERS.items():
        dns.mx(domain, (10, f"mx.{domain}"))
        dns.address(f"mx.{domain}", address)
        if script is not None:
            FakeSMTP(address, 25, **script)
    FakeSMTP("127.0.0.20", 24, rcpt=rcpt)  # LMTP
    for address, name in NAMES.items():
        dns.add(".".join(reversed(address.split("."))) + ".in-addr.arpa", PTR, encode_name(name))
    dns.address("pc.client.test", "127.0.0.7")
    dns.address("liar.client.test", "127.0.0.99")
    dns.address("mx.lab.test", "127.0.0.1")
    dns.mx("loop.test", (10, "mx.lab.test"))
    dns.mx("null.test", (0, ""))
    dns.mx("nohost.test", (10, "nohost.nohost.test"))
    dns.fails("servfail.test", SERVFAIL)
    print("ready", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
