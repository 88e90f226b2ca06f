"""qshape(1): the same tables as Postfix's, of the same queue. Rows that have the same count and length come in any order there."""
import os
import time

import pytest

from reference import side_by_side
from test_backlog import record

CASES = [["deferred"], [], ["-s", "deferred"], ["-p", "deferred"], ["-p", "-m", "8", "deferred"], ["-p", "-m", "2", "deferred"],
         ["-p", "-m", "3", "-s", "deferred"], ["-b", "3", "deferred"], ["-t", "1", "deferred"], ["-l", "deferred"],
         ["-l", "-b", "4", "-t", "30", "deferred"], ["-w", "40", "deferred"], ["-w", "120", "incoming"], ["-b", "30", "deferred"],
         ["-b", "0", "-t", "0", "deferred"], ["deferred", "active"], ["-c", "/etc/postfix", "active"], ["/var/spool/postfix/active"], ["nosuch"]]


def put(server, number, queue, sender, recipients, age):
    content = record(b"N", b"Subject: x")
    head = record(b"T", b"%d 0" % (time.time() - age)) + record(b"A", b"rewrite_context=local") + record(b"S", sender.encode())
    head += b"".join(record(b"O", address.encode()) + record(b"R", address.encode()) for address in recipients) + record(b"M")
    size = b" ".join(b"%15d" % n for n in (len(content), 97 + len(head), len(recipients), 0, len(content), 0))
    folder = f"{server.queue}/{queue}" + ("/A" if queue == "deferred" else "")
    os.makedirs(folder, 0o700, exist_ok=True)
    path = f"{folder}/A{number:04X}1234AB"
    with open(path, "wb") as file:
        file.write(b"C\x5f" + size + head + content + record(b"X") + record(b"E"))
    os.chmod(path, 0o700)


def fill(server):
    messages = [("deferred", "s@send.test", ["a@x.test"], 10850), ("deferred", "", ["a@X.TEST", "b@y.example.com"], 100),
                ("incoming", "s@send.test", ["a@long" + "-and-on" * 10 + ".example.com"], 50), ("active", "s@send.test", ["a@x.test", "b@x.test"], 90000)]
    deep = "a1.p.q.org a2.p.q.org b1.r.q.org b2.r.q.org c1.q.org q.org deep.a1.p.q.org p.q.org z.y.x.w.net x.w.net [192.0.2.1]".split()
    messages.append(("deferred", "s@a.b.c.test", [f"a@{domain}" for domain in deep] + ['"quoted@x"@q.org', "nodomain"], 50))
    messages += [("deferred", f"u@d{i}.par.test", [f"a@sub{i}.big.example.org", "nodomain"], 310 * 2 ** i) for i in range(7)]
    messages += [("deferred", "s@many.test", ["a@many.test"], 450)] * 1200
    for number, message in enumerate(messages):
        put(server, number, *message)


def table(server, arguments):
    done = server.command("qshape", *arguments, check=False)
    lines = done.stdout.splitlines()
    return done.returncode, lines[:2], sorted(lines[2:]), [line.lstrip().split(" ")[0] for line in lines[2:]]


@pytest.fixture(scope="module")
def both():
    with side_by_side(network=False) as servers:
        for server in servers:
            fill(server)
        yield servers


@pytest.mark.parametrize("arguments", CASES, ids=" ".join)
def test_table(both, arguments):
    theirs, ours = (table(server, arguments) for server in both)
    assert ours[:3] == theirs[:3]
    assert [len(name) for name in ours[3]] == [len(name) for name in theirs[3]]


@pytest.mark.parametrize("arguments, said", [(["-x"], "usage"), (["-h"], "usage"), (["-c", "/nosuch"], "/nosuch/main.cf"), (["nosuch"], "Can't stat nosuch")])
def test_trouble(both, arguments, said):
    theirs, ours = (server.command("qshape", *arguments, check=False) for server in both)
    assert ours.returncode == theirs.returncode
    assert said in ours.stderr and said.lower() in theirs.stderr.lower()


def test_damaged_files_are_passed_by(both):
    ours = both[1]
    os.makedirs(f"{ours.queue}/hold/A", 0o700, exist_ok=True)
    for number, content in enumerate((b"", b"C\x5f", b"\xff" * 500, record(b"T", b"1 0") + b"R\xff\xff\xff\xff\x7f")):
        with open(f"{ours.queue}/hold/A/A{number:04X}1234AB", "wb") as file:
            file.write(content)
        os.chmod(file.name, 0o700)
    done = ours.command("qshape", "hold")
    assert done.stdout.split("TOTAL")[1].split()[0] == "0" and done.stderr == ""
