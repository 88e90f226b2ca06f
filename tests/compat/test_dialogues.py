"""Every reply of every dialogue (dialogue/*.txt) is Postfix's: code, enhanced code and text."""
import pytest
import dialogues
from reference import Ours, Reference

ALL, _ = dialogues.groups()


@pytest.fixture(scope="module")
def servers():
    made = []
    try:
        for kind in (Reference, Ours):
            made.append(dialogues.start(kind, ALL))
        print(f"reference: Postfix {made[0].version}")
        yield made
    finally:
        for server in made:
            server.destroy()


@pytest.mark.parametrize("group", ALL, ids=lambda group: group.name)
def test_replies_are_postfixs(servers, group):
    heard, differences = dialogues.compare(servers, ALL, group)
    assert heard and not any(reply == "<nothing>" and "more" not in said for _, said, reply in heard)
    assert differences == []


def test_the_dialogue_is_long_enough():
    """At least 80 exchanges were asked for."""
    assert sum(word in ("C:", "R:") for group in ALL for _, word, _ in group.steps) >= 200
