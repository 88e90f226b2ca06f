"""The replay explorer (tests/explorer): every state of the disk after a crash at any operation, and the real recovery on it."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "explorer"))
import cycle  # noqa: E402
import record  # noqa: E402
from explorer import Explorer  # noqa: E402

pytestmark = pytest.mark.skipif(not os.path.exists(cycle.SHIM), reason="the recorder was not built (sanitizers)")


@pytest.fixture(scope="module")
def recorded():
    """recorded(ordered, engine): the operations of one reduced cycle, recorded once."""
    made = {}

    def get(ordered=True, engine="log"):
        if (ordered, engine) not in made:
            recording = cycle.Recording(cycle.reduced, ordered, engine)
            made[ordered, engine] = record.read(recording.path)
            recording.close()
        return made[ordered, engine]
    return get


def explore(operations, **options):
    explorer = Explorer(operations, **options)
    found = explorer.explore()
    print(explorer)
    assert not found, f"{len(found)} states, the first:\n{found[0].text}"
    return explorer


def test_every_state_after_a_crash_is_recovered(recorded):
    explorer = explore(recorded())
    messages = explorer.judge.messages.values()
    # The cycle is what it should be: all fates, both engines, and a checkpoint.
    assert len(messages) >= 12 and {message.logged for message in messages} == {True, False}
    assert sum(message.gone is None for message in messages) >= 4 and any(message.waits is not None for message in messages)
    assert any(op.kind == "SYNC_END" and op.program == "cleanup" and op.mode == "system" for op in explorer.operations)
    assert len(explorer.states) > 5000 and explorer.interrupted > 500
