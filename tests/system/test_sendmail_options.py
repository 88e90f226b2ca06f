"""sendmail's options, each command line beside the reference: same exit status, output, and records in maildrop.

The mail system is down, so that the records are there to look at. What differs on purpose is in DIFFERENT."""
import os

import pytest

from reference import side_by_side
from test_submit import parse

M = "Subject: x\n\nhello\n"

# (standard input, command lines)
LINES = [
    (M, [
        ["bob"], ["-f", "a b", "bob"], ["-f", "", "bob"], ["-f", "<>", "bob"], ["-fme@a.test", "bob"], ["-r", "me@a.test", "bob"],
        ["-f", "me@a.test, you@b.test", "bob"], ["-f", "Me <me@a.test>", "bob"], ["-f", "a\nb", "bob"], ["-F", "Full Name", "bob"],
        ["-F", "", "bob"], ["-F", "n\u00e4me", "bob"], ["-N", "never", "bob"], ["-N", "success,delay,failure", "bob"],
        ["-N", "SUCCESS, delay", "bob"], ["-N", "never,success", "bob"], ["-N", "", "bob"], ["-R", "hdrs", "bob"],
        ["-R", "FULL", "bob"], ["-R", "x", "bob"], ["-V", "id9", "bob"], ["-V", "", "bob"], ["-V", "a b=+c", "bob"],
        ["-V", "i" * 101, "bob"], ["-V", "+=", "bob"], ["-V+=", "bob"], ["-XV", "bob"], ["-XV+=", "bob"], ["-XV-=", "bob"],
        ["-XVab", "bob"], ["-X", "/tmp/log", "bob"], ["-B", "8BITMIME", "bob"], ["-B", "8bitmime", "bob"], ["-B7BIT", "bob"],
        ["-Bx", "bob"], ["-v", "bob"], ["-bv", "bob", "carol"], ["-bv", "-t"], ["-bv", "-f", "me@a.test", "-N", "success", "bob"],
        ["-bv", "-v", "bob"], ["-oiq", "bob"], ["-oem", "bob"], ["-odb", "bob"], ["-om", "bob"], ["-oA", "bob"], ["-oX", "bob"],
        ["-em", "bob"], ["-eq", "bob"], ["-h", "5", "bob"], ["-n", "bob"], ["-m", "bob"], ["-L", "label", "bob"],
        ["-O", "DeliveryMode=b", "bob"], ["-O", "x=y", "bob"], ["-p", "proto", "bob"], ["-O", "requiretls=yes", "bob"],
        ["-O", "smtputf8=yes", "bob"], ["-A", "m", "bob"], ["-Am", "bob"], ["-Ac", "bob"], ["-G", "bob"], ["-U", "bob"], ["-c", "bob"],
        ["-x", "bob"], ["-bm", "bob"], ["-bx", "bob"], ["-ba", "bob"], ["-bh", "bob"], ["-bH"], ["-bt"], ["-bD"], ["-bq", "x"], ["-b"],
        ["-Z", "bob"], ["-q30m", "bob"], [], ["--", "-t"], ["bob", "-f", "x"], ["bob, carol", "dave"], ["bob carol"],
        ["\"q u\"@a.test"], ["<bob>"], ["(c) bob"], [""], ["a" * 300 + "@b"], ["-D"], ["-d", "bob"], ["-T", "1", "bob"], ["-M", "x"],
        ["-f"], ["-N"], ["-v", "-f", "", "bob"], ["-v", "-f", "me@a", "bob"], ["-C", "/etc/postfix", "bob"],
        ["-C", "/etc/postfix/main.cf", "bob"],
    ]),
    ("", [
        ["-bv", "bob"], ["-bv"], ["-t"], ["-bp", "x"], ["-bp", "-t"], ["-bs", "x"], ["-bd", "x"], ["-bi", "x"], ["-bi", "-t"],
        ["-I", "x"], ["-q", "x"], ["-qSx"], ["-qR"], ["-qI"], ["-qR", "x"], ["-qRx", "y"], ["-qIx", "y"], ["-qfoo"], ["-q30m"],
        ["-qzzz"], [], ["bob"], ["-bv", "-R", "hdrs", "-V", "id", "bob"],
        ["-bv", "-F", "Full N", "-f", "me@a.test", "a@b.test, c@d.test", "\"q u\"@x"], ["-bv", "-f", "", "bob"],
        ["-bv", "-B8BITMIME", "bob"], ["-bv", "-XV+=", "bob"], ["-bp"], ["-q"], ["-qRx.test"], ["-qIABC"], ["-qIa/b"], ["-qR@"],
    ]),
    ("To: a@b.test\nCc: c@d.test\nBcc: e@f.test\n\nx\n", [
        ["-t"],
    ]),
    ("To: a@b.test\n\nx\n", [
        ["-t", "bob"],
    ]),
    ("Subject: x\n\n", [
        ["-t"],
    ]),
    ("To: a@b\n\n.\nx\n", [
        ["-t", "-oi"],
    ]),
    ("Resent-To: r@s\nTo: a@b\n\nx\n", [
        ["-t"],
    ]),
    ("To: undisclosed:;\n\nx\n", [
        ["-t"],
    ]),
    ("To: a@b (comment), \"q u\"@c, <d@e>\n\nx\n", [
        ["-t"],
    ]),
    ("a\n.\nb\n", [
        ["-i", "bob"], ["bob"], ["-oi", "bob"],
    ]),
    ("From x y\n>From a\nSubject: x\n\n", [
        ["bob"],
    ]),
    ("Subject: x\r\n\r\nhello\r\n.\r\nx\r\n", [
        ["bob"],
    ]),
    ("no newline", [
        ["bob"],
    ]),
    ("x" * 5000 + "\n", [
        ["bob"],
    ]),
    ("To: a@b\n\n", [
        ["-v", "-t"],
    ]),
]

# What ours does otherwise: (command line, part of our standard error, a record of ours).
DIFFERENT = [
    (["-f", "@route:me@a.test", "bob"], "", "Sme@a.test"),  # a source route means its last address (RFC 5321 appendix C)
    (["-bv", "a\nb"], "", "N\ta b"),                      # no operand makes a header line of its own
    (["-C", "/nonexist", "bob"], "sendmail: fatal: open /nonexist/main.cf: No such file or directory\n", None),
]


@pytest.fixture(scope="module")
def both():
    with side_by_side() as systems:
        for system in systems:
            system.configure(["myhostname = mx.lab.test"])
            system.start()
            system.stop()
        yield systems


def run(system, arguments, text, user="alice"):
    maildrop = f"{system.queue}/maildrop"
    done = system.root.run(["/usr/sbin/sendmail", *arguments], user=user, input=text, check=False, timeout=30)
    records = []
    for name in sorted(os.listdir(maildrop)):
        with open(f"{maildrop}/{name}", "rb") as file:
            records.append(parse(file.read())[1:])
        os.unlink(f"{maildrop}/{name}")
    return {"status": done.returncode, "output": done.stdout, "errors": done.stderr, "records": records}


@pytest.mark.parametrize("text, lines", LINES, ids=[str(i) for i in range(len(LINES))])
def test_sendmail_does_what_the_reference_does(both, text, lines):
    reference, ours = both
    for arguments in lines:
        assert run(ours, arguments, text) == run(reference, arguments, text), arguments


def test_what_sendmail_does_otherwise_on_purpose(both):
    reference, ours = both
    for arguments, errors, row in DIFFERENT:
        mine = run(ours, arguments, M)
        assert mine != run(reference, arguments, M), arguments
        assert mine["errors"] == errors and (row is None or row in mine["records"][0]), arguments


def test_sendmail_of_root_does_what_the_reference_does(both):
    reference, ours = both
    for arguments in (["bob"], ["-f", "", "bob"], ["-bv", "bob"], ["-bi"], ["-C", "/nonexist", "bob"], ["-bp"], ["-q"], []):
        assert run(ours, arguments, M, user="root") == run(reference, arguments, M, user="root"), arguments


SENDERS = [  # (local_login_sender_maps, user, command lines)
    ("inline:{ {alice = alice, Alice@lab.test} {bob = *} }", [
        ("alice", ["x"]), ("alice", ["-f", "alice@lab.test", "x"]), ("alice", ["-f", "ALICE@Lab.test", "x"]), ("alice", ["-f", "bob@lab.test", "x"]),
        ("alice", ["-f", "", "x"]), ("alice", ["-f", "alice+x@lab.test", "x"]), ("bob", ["-f", "any@x", "x"]), ("bob", ["-f", "", "x"]), ("postfix", ["x"])]),
    ("inline:{ {alice = @lab.test <>, bob} }", [
        ("alice", ["-f", "bob@lab.test", "x"]), ("alice", ["-f", "bob@x.lab.test", "x"]), ("alice", ["-f", "", "x"]), ("alice", ["x"]), ("alice", ["-f", "bob", "x"])]),
    ("static:a@b", [("alice", ["-f", "a@b", "x"]), ("alice", ["-f", "a@bb", "x"])]),
]


def test_local_login_sender_maps_as_the_reference_has_it(both):
    """With empty_address_local_login_sender_maps_lookup_key: its default, and another."""
    def compare(name, value, rows, null_key="<>"):
        for system in both:
            system.command("postconf", "-e", f"{name} = {value}", f"empty_address_local_login_sender_maps_lookup_key = {null_key}")
        for user, arguments in rows:
            theirs, mine = (run(system, arguments, M, user) for system in both)
            if theirs["status"] != 0:
                theirs["records"] = []  # it leaves a part of the message
            assert mine == theirs, (value, user, arguments)
            results.append(mine["status"])
    results = []
    try:
        for value, rows in SENDERS:
            compare("local_login_sender_maps", value, rows)
        compare("local_login_sender_maps", "static:nobody@", [("alice", ["-f", "", "x"])], "nobody@")
    finally:
        for system in both:
            system.command("postconf", "-X", "local_login_sender_maps", "empty_address_local_login_sender_maps_lookup_key")
    assert results.count(0) > 5 and results.count(75) > 5


def test_trouble_is_told_in_the_name_of_the_sender(both):
    reference, ours = both
    for arguments in (["-f", "me@a.test", "-t"], ["-f", "me@a.test"], ["-f", "Me <me@a.test>", "-bv"], ["-f", ""]):
        assert run(ours, arguments, "") == run(reference, arguments, "")


def test_a_postlog_without_rights_starts_no_other(both):
    """Debian's postlog is not set-group-ID. A line that it cannot pass on is lost, and that is all."""
    ours = both[1]
    ours.root.run(["chmod", "755", "/usr/sbin/postlog"])
    done = ours.root.run(["/usr/sbin/postlog", "hello"], user="alice", check=False, timeout=10)
    assert (done.returncode, done.stderr) == (0, "postfix/postlog: hello\n")
    done = ours.root.run(["/usr/sbin/sendmail", "-f", "a b", "bob"], user="alice", input=M, timeout=10)
    assert done.stderr == "sendmail: warning: -f option specified malformed sender: a b\n"
