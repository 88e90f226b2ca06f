"""sendmail(1)'s answers to good and bad options are Postfix's: exit status, standard output and error."""
import re

import pytest
from reference import Ours, Reference

MAIN = ["myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "myorigin = lab.test", "local_recipient_maps =",
        "message_size_limit = 20000"]

# Not among them: -bs and -bv, which are not built; -bd, where Postfix hides the exit status of its postfix(1); -I, whose error
# names another file.
CALLS = [
    (("alice",), "x\n"), (("-t",), "x\n"), (("-t",), ""), ((), "x\n"), ((), ""),
    (("-N", "foo", "alice"), "x\n"), (("-N", "never", "alice"), "x\n"), (("-N", "never,failure", "alice"), "x\n"),
    (("-R", "foo", "alice"), "x\n"), (("-R", "full", "alice"), "x\n"), (("-V", "a b", "alice"), "x\n"),
    (("-bx",), "x\n"), (("-Z",), "x\n"), (("-f", "a b", "alice"), "x\n"), (("-f", "", "alice"), "x\n"), (("-f",), "x\n"),
    (("-F",), "x\n"), (("-h", "x", "alice"), "x\n"), (("-o",), "x\n"), (("-ox", "alice"), "x\n"), (("-oi", "alice"), ".\nx\n"),
    (("-O", "foo=bar", "alice"), "x\n"), (("-B", "8BITMIME", "alice"), "x\n"), (("-BFOO", "alice"), "x\n"), (("-L", "tag", "alice"), "x\n"),
    (("-m", "-U", "alice"), "x\n"), (("-n", "alice"), "x\n"), (("-G", "alice"), "x\n"), (("--", "-alice"), "x\n"), (("-t", "bob"), "To: alice\n\nx\n"),
    (("-bm", "alice"), "x\n"), (("-bp",), ""), (("-q", "alice"), "x\n"), (("-qX",), ""), (("-bz",), ""),
    (("a b@lab.test",), "x\n"), (("",), "x\n"), (("alice",), "x" * 30000),
    (("-q30m",), ""), (("-p", "x", "alice"), "x\n"), (("-r", "bob@lab.test", "alice"), "x\n"),
]


@pytest.fixture(scope="module")
def servers():
    made = []
    try:
        for kind in (Reference, Ours):
            made.append(kind())
            made[-1].configure(MAIN)
            made[-1].start()
        yield made
    finally:
        for server in made:
            server.destroy()


def answer(server, options, text):
    done = server.sendmail(text, *options, user="bob", check=False, timeout=30)
    out = re.sub(r"\b[0-9A-F]{6,}\b", "ID", done.stdout)
    return done.returncode, out if "-bp" not in options else "", re.sub(r"bob\(\d+\)", "bob(N)", done.stderr)


@pytest.mark.parametrize("options, text", CALLS, ids=lambda value: str(value)[:40])
def test_answers_are_postfixs(servers, options, text):
    theirs, ours = (answer(server, options, text) for server in servers)
    assert ours == theirs
