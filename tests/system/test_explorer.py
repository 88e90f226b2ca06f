"""The replay explorer (tests/explorer): every state of the disk after a crash at any operation, and the real recovery on it."""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "explorer"))
import cycle  # noqa: E402
import mutations  # noqa: E402
import record  # noqa: E402
from explorer import Explorer  # noqa: E402

pytestmark = pytest.mark.skipif(not os.path.exists(cycle.SHIM), reason="the recorder was not built (sanitizers)")


@pytest.fixture(scope="module")
def recorded():
    """recorded(cycle, ordered, engine): the operations of one cycle, recorded once."""
    made = {}

    def get(name="reduced", ordered=True, engine="log"):
        key = name, ordered, engine
        if key not in made:
            made[key] = read_and_close(cycle.Recording(getattr(cycle, name), ordered, engine))
        return made[key]
    return get


def read_and_close(recording):
    operations = record.read(recording.path)
    recording.close()
    return operations


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


def test_every_state_where_names_are_not_ordered_is_recovered(recorded):
    explore(recorded("short", False), models=("unordered",))


def test_every_state_of_messages_synced_by_themselves_is_recovered(recorded):
    explore(recorded("short", True, "file"))
    explore(recorded("short", False, "file"), models=("unordered",))


# --- the explorer can fail: a program with one thing taken out is caught ---

QUICK_DROPPED = {"the sync of a batch of the log", "the sync of the directory of segments", "the sync of the directory of a queue"}
QUICK_PATCHES = {"recover_no_checksum.patch", "recover_no_notes.patch", "recover_no_restore_of_spoiled.patch"}


def some(names, quick):
    return [pytest.param(name, marks=() if name in quick else pytest.mark.soak) for name in names]


@pytest.mark.parametrize("name", some([mutation.name for mutation in mutations.DROPPED], QUICK_DROPPED))
def test_a_missing_sync_is_caught(recorded, name):
    mutation = next(mutation for mutation in mutations.DROPPED if mutation.name == name)
    found = mutations.explore_without(recorded(*mutation.record), mutation)
    assert found, f"nothing is wrong without {name}"
    print(found[0].text.split("\n")[0])


@pytest.mark.parametrize("patch", some(mutations.patches("recover"), QUICK_PATCHES))
def test_a_missing_step_of_recovery_is_caught(recorded, tmp_path, patch):
    recover = mutations.build(mutations.patch_path(patch), "recover", str(tmp_path))
    found = mutations.explore_with(recorded(), recover)
    assert found, f"nothing is wrong with {patch}"
    print(found[0].text.split("\n")[0])


@pytest.mark.soak
@pytest.mark.parametrize("patch, what", [("cleanup_late_stamp.patch", cycle.crowd),
                                         ("cleanup_names_what_is_written_over.patch", cycle.reduced)])
def test_a_wrong_step_of_acceptance_is_caught(patch, what):
    directory = tempfile.mkdtemp(prefix="mutant-", dir=os.path.join(mutations.ROOT, "build"))
    try:
        programs = mutations.programs_with(mutations.patch_path(patch), "cleanup", directory)
        operations = read_and_close(cycle.Recording(what, programs=programs))
    finally:
        shutil.rmtree(directory)
    found = mutations.explore_with(operations, mutations.RECOVER, 20000)
    assert found, f"nothing is wrong with {patch}"
    print(found[0].text.split("\n")[0])


# --- more, with time ---

@pytest.mark.soak
@pytest.mark.parametrize("seed", range(int(os.environ.get("TESTS", "3"))))
def test_larger_cycles_are_recovered(seed):
    """Each recording is another interleaving of the processes."""
    explore(read_and_close(cycle.Recording(cycle.crowd if seed % 3 == 2 else cycle.reduced)))


@pytest.mark.soak
def test_every_state_of_the_reduced_cycle_without_order_of_names_is_recovered(recorded):
    explore(recorded("reduced", False), models=("unordered",))
