"""Scenarios (scenario/README.md): Postfix and ours, told the same, did the same. Here those that say `check`; `make compat` runs all.
SCENARIOS=word,word in the environment chooses by name instead."""
import os

import pytest
import scenarios
from scenario_file import Scenario, scenarios as all_scenarios

WORDS = os.environ.get("SCENARIOS", "").replace(",", " ").split()
CHOSEN = [s for s in all_scenarios(WORDS) if WORDS or s.check]


@pytest.fixture(scope="module")
def runner():
    made = scenarios.Runner(1)
    yield made
    made.destroy()


@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda scenario: scenario.name)
def test_scenario(runner, scenario):
    wrong = scenarios.differences(scenario, runner.perform(scenario))
    assert not wrong, "\n".join(["", *wrong])


def a_scenario(tmp_path, text):
    path = tmp_path / "made.txt"
    path.write_text(text, encoding="utf-8")
    return Scenario(str(path))


MADE = """A server that is told something, a message in a mailbox, one that stays, one that is refused.
[main]
myhostname = mxNAME.lab.test
mydestination = $myhostname lab.test
transport_maps = inline:{ {there.test = smtp:[127.0.0.11]} {later.test = smtp:[127.0.0.9]:NAME} }
[server 127.0.0.11:25]
greeting: 220 there
[mail s@a.test -> alice@lab.test nosuch@lab.test x@there.test x@later.test]
Subject: x

x
"""


def test_each_aspect_can_differ(runner, tmp_path):
    """The sides get configurations that differ in what each aspect shows: all five differences are found, and said."""
    pair = [a_scenario(tmp_path, MADE.replace("NAME", name)) for name in "12"]
    both = [side.perform(scenario) for side, scenario in zip(runner.pairs[0].sides, pair)]
    said = scenarios.differences(pair[0], both)
    for aspect, line in (("replies", "+  220 mx2.lab.test ESMTP Postfix"), ("files", "+\tby mx2.lab.test (Postfix) with ESMTP id ID;"),
                         ("queue", "+recipient x@later.test: connect to 127.0.0.9[127.0.0.9]:2: Connection refused"), ("servers", "+EHLO mx2.lab.test")):
        assert f"--- {aspect}: Postfix    +++ {aspect}: ours" in said and line in said, (aspect, said)
    assert any(line.startswith("+postfix/") and "127.0.0.9]:2" in line for line in said)


SAME = dict.fromkeys(("replies", "files", "queue", "servers", "log"), "one\ntwo\n")


@pytest.mark.parametrize("verdict, theirs, ours, good", [
    ("", "one\ntwo\n", "one\ntwo\n", True),
    ("", "one\ntwo\n", "one\n", False),
    ("[compare replies]", "one\ntwo\n", "one\n", True),
    ("[ignore log two comes later]\n^two", "one\ntwo\n", "one\n", True),
    ("[differs log two is Postfix's alone]\n-two", "one\ntwo\n", "one\n", True),
    ("[differs log two is Postfix's alone]\n-two", "one\ntwo\n", "one\ntwo\n", False),
    ("[differs log two is Postfix's alone]\n-two", "one\ntwo\n", "one\nthree\n", False),
])
def test_verdict(tmp_path, verdict, theirs, ours, good):
    """What may differ must differ, and exactly so."""
    scenario = a_scenario(tmp_path, f"Title\n[run]\ntrue\n{verdict}\n")
    assert (scenarios.differences(scenario, [dict(SAME, log=theirs), dict(SAME, log=ours)]) == []) is good


@pytest.mark.parametrize("text", ["Title\n[ignore log]\nx\n[run]\ntrue\n", "Title\nnothing\n", "Title\n", "Title\n[differs words none]\nx\n[run]\ntrue\n"])
def test_malformed_scenario_is_refused(tmp_path, text):
    with pytest.raises(ValueError):
        a_scenario(tmp_path, text)
