"""The two that are compared: Debian's Postfix and ours, each in a private root as a package would have installed it, with the
same main.cf and master.cf. Queue, log and mailboxes lie on the place of the run."""
import os
import re

from places import ROOT  # noqa: F401  (finds tests/system)
from reference import MAILBOXES, Ours, Reference

PROCESS_LIMIT = 200  # more than the sessions of any load: neither is measured in its overload mode
BOXES = 100
DISCARD, SINK, BOX = "discard.test", "sink.test", "box.test"
# The recipients that smtp-source -N numbers; the map has a line for each.
NUMBERED = 100000

# For all loads alike, so that a contestant is started once and its processes stay.
MAIN = [
    "inet_protocols = ipv4",
    "smtpd_peername_lookup = no",
    "smtp_tls_security_level =",  # 3.10 and 3.11 differ in the default
    f"default_process_limit = {PROCESS_LIMIT}",
    f"virtual_mailbox_domains = {BOX}",
    f"virtual_mailbox_base = {MAILBOXES}",
    "virtual_mailbox_maps = hash:/etc/postfix/boxes",
    "virtual_minimum_uid = 100",
]


class Contestant:
    """What both sub-classes add to Installed. `extra`: lines that only this one's main.cf has; `label` tells several of a kind
    apart. `folders`: the host's directories of queue, log and boxes."""

    def __init__(self, place, sink_port, extra=(), label=""):
        self.place = place
        self.name = type(self).name + label
        self.folders = {part: place.folder(f"{self.name}/{part}") for part in ("queue", "log", "boxes")}
        super().__init__(network=False, binds=[(self.folders["queue"], "/var/spool/postfix"), (self.folders["log"], "/var/log"),
                                               (self.folders["boxes"], MAILBOXES)])
        owner = self.root.run("id -u alice; id -g alice").stdout.split()
        self.configure([*MAIN, *extra, f"transport_maps = inline:{{ {{{DISCARD}=discard:silently}} {{{SINK}=smtp:[127.0.0.1]:{sink_port}}} }}",
                        f"virtual_uid_maps = static:{owner[0]}", f"virtual_gid_maps = static:{owner[1]}"])
        self.make_boxes(owner)

    def make_boxes(self, owner):
        """Recipient u<n>@box.test has the maildir n modulo 100."""
        self.write("boxes", "".join(f"u{n}@{BOX} {n % BOXES}/\n" for n in range(NUMBERED)))
        self.command("postmap", "hash:/etc/postfix/boxes")
        self.root.run(f"chown {owner[0]}:{owner[1]} {MAILBOXES}")

    def settings(self):
        """{parameter: value}, with what it refers to put in, as its own postconf tells all of them."""
        lines = self.command("postconf", "-x").stdout.splitlines()
        return dict(line.split(" = ", 1) if " = " in line else (line.rstrip(" ="), "") for line in lines)


class Postfix(Contestant, Reference):
    title = "Postfix"

    def durability(self):
        return "each queue file synced by itself before its 250"


class Posthouse(Contestant, Ours):
    title = "Posthouse"

    def durability(self):
        engine = self.command("postconf", "-h", "commit_engine").stdout.strip()
        how = {"file": "each queue file synced by itself", "log": "all messages that are ready in one sync of the commit log"}
        return f"commit_engine = {engine}: {how.get(engine, engine)}, before the 250"


CONTESTANTS = (Postfix, Posthouse)

# Differ by what they are, or belong to what no load uses.
NO_DIFFERENCE = re.compile("_directory$|_path$|_version$|^mail_release_date$|^process_id$|^import_environment$|^proxy_read_maps$"
                           "|^milter_|^postscreen_|_tlsrpt_|_verp_clients$")
ONLY_OURS = ("commit_engine", "commit_segment_size", "service_client_limit")


def differences(servers):
    """[(parameter, Postfix's value, ours)]: what both know and have set differently, and what ours adds that may count for speed."""
    theirs, ours = (server.settings() for server in servers)
    names = [name for name in sorted(set(theirs) & set(ours)) if theirs[name] != ours[name] and not NO_DIFFERENCE.search(name)]
    return [(name, theirs.get(name, "(unknown)"), ours[name]) for name in [*names, *(name for name in ONLY_OURS if name in ours)]]
