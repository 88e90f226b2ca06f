"""Table files of Postfix's postmap are read, changed and written by ours, and the other way round."""
import shutil
import tempfile

import pytest

from reference import side_by_side

SOURCE = "a b\nB  c d\nlonger@example.com   value with spaces\n"
ENTRIES = {"a": "b", "b": "c d", "longer@example.com": "value with spaces"}


@pytest.fixture(scope="module")
def both():
    """Both see /exchange."""
    directory = tempfile.mkdtemp(prefix="exchange-")
    try:
        with side_by_side(binds=[(directory, "exchange")]) as systems:
            for name in "lmdb", "cdb", "pcre":
                systems[0].install_map_type(name)
            systems[0].root.write("/etc/postfix/dynamicmaps.cf", "lmdb postfix-lmdb.so dict_lmdb_open mkmap_lmdb_open\n"
                                  "cdb postfix-cdb.so dict_cdb_open mkmap_cdb_open\npcre postfix-pcre.so dict_pcre_open\n")
            yield systems
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def dump(system, table):
    return dict(line.split("\t") for line in system.command("postmap", "-s", table).stdout.splitlines())


@pytest.mark.parametrize("kind", ["lmdb", "cdb"])
@pytest.mark.parametrize("nul", [False, True])
@pytest.mark.parametrize("maker", [0, 1])
def test_what_one_makes_the_other_reads(both, kind, nul, maker):
    makes, reads = both[maker], both[1 - maker]
    table = f"{kind}:/exchange/{kind}{nul:d}{maker}"
    makes.root.write(table.split(":")[1], SOURCE)
    makes.command("postmap", *(["-N"] if nul else []), table)
    for key, value in ENTRIES.items():
        assert reads.command("postmap", "-q", key, table).stdout == value + "\n"
    assert reads.command("postmap", "-q", "nokey", table, check=False).returncode == 1
    assert dump(reads, table) == dump(makes, table) == ENTRIES
    if kind == "lmdb":
        reads.command("postmap", "-d", "a", table)
        reads.command("postmap", *(["-N"] if nul else []), "-i", table, input="new value\n")
        assert dump(makes, table) == dump(reads, table) == {**{k: v for k, v in ENTRIES.items() if k != "a"}, "new": "value"}


RULES = r"""/^(a)(b)?$/ one:$1:$2
/x y/x blanks
!/foo/ not foo
if /^foo/
/foo(.*)o$/U inside $1
/FOO/i upper
endif
/^(?=.*bar)foo.*$/s both $0
/f.o$/E end
/o/A anchored
"""


def test_pcre_gives_what_postfix_gives(both):
    for system in both:
        system.root.write("/etc/postfix/rules", RULES)
    keys = ["a", "ab", "xy", "foo", "FOO", "foobar", "foo bar\no", "fXo", "foooo", "of"]
    for flags in [], ["-f"]:
        answers = [[(done.returncode, done.stdout) for key in keys
                    for done in [system.command("postmap", *flags, "-q", key, "pcre:/etc/postfix/rules", check=False)]] for system in both]
        assert answers[0] == answers[1]


def test_warnings_are_the_same(both):
    bad = "/(/ x\n/a/Z x\n/a/!/b/ x\n/a x\n/b/\n!/c(.)/ $1\n/d(.)/ $2\nabc\nendif\n/ok/ yes\n"
    for system in both:
        system.root.write("/etc/postfix/bad", bad)
    said = [system.command("postmap", "-q", "ok", "pcre:/etc/postfix/bad") for system in both]
    assert said[0].stdout == said[1].stdout == "yes\n"
    assert said[0].stderr.replace("/usr/sbin/", "") == said[1].stderr


@pytest.mark.parametrize("table", ["unionmap:{static:x,inline:{a=z}}", "pipemap:{static:x,inline:{x=z}}", "pipemap:{inline:{a=b}, inline:{c=d}}",
                                   "randmap:{x}", "unionmap:foo", "randmap:{}", "pipemap:{static:x,fail:y}", "lmdb:/nosuch", "cdb:/nosuch"])
def test_tables_of_tables_and_trouble(both, table):
    said = [system.command("postmap", "-q", "a", table, check=False) for system in both]
    assert (said[0].returncode, said[0].stdout, said[0].stderr.replace("/usr/sbin/", "")) == (said[1].returncode, said[1].stdout, said[1].stderr)


def test_values_that_are_files(both):
    results = []
    for system in both:
        system.root.write("/etc/postfix/one", "first\n")
        system.root.write("/etc/postfix/two", "second")
        system.root.write("/etc/postfix/m", "k /etc/postfix/one,/etc/postfix/two\nbad /nosuch\n")
        built = system.command("postmap", "-F", "lmdb:/etc/postfix/m")
        results.append((built.stderr.replace("/usr/sbin/", ""), system.command("postmap", "-q", "k", "lmdb:/etc/postfix/m").stdout,
                        system.command("postmap", "-F", "-q", "k", "lmdb:/etc/postfix/m").stdout))
    assert results[0] == results[1]
