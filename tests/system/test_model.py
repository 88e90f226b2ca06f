"""The spin model of the queue (model/queue.pml): no state of it loses an acknowledged message, and each fault put into it is found."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "model"))
import check_model  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("spin") is None, reason="spin is not installed")

ONE_CUT = ("DEATHS=0",)
TWO_CUTS = ("DEATHS=0", "CUTS=2")
FAULTS = [("NO_SYNC", ONE_CUT), ("STAMP_BEFORE_FILE", ONE_CUT), ("NOTE_BEFORE_DELIVERY", ONE_CUT), ("LATE_CHECKPOINT_STAMP", ONE_CUT),
          ("NO_SYNC_OF_ALL", ONE_CUT), ("NO_NOTES_READ", ONE_CUT), ("NO_RESTORE", ONE_CUT), ("NO_SYNC_BEFORE_FORGETTING", TWO_CUTS),
          ("FORGET_ONE_BY_ONE", TWO_CUTS), ("NO_WAIT_FOR_NAMES", ONE_CUT), ("NAMES_NOT_SYNCED", ONE_CUT), ("COVERED_STAYS", ONE_CUT),
          ("SLOTS_EMPTIED_LATE", TWO_CUTS)]


def holds(*macros):
    errors, states, depth = check_model.check(*macros)
    print(f"{' '.join(macros)}: {errors} errors, {states} states, depth {depth}")
    assert errors == 0 and states > 1000


def test_the_model_holds_with_a_power_cut():
    holds(*ONE_CUT)


@pytest.mark.parametrize("fault, bounds", FAULTS)
def test_a_fault_in_the_model_is_found(fault, bounds):
    assert check_model.check(fault, *bounds)[0] == 1


@pytest.mark.soak
@pytest.mark.parametrize("bounds", [(), TWO_CUTS], ids=["a power cut and a death", "two power cuts"])
def test_the_model_holds_with_more(bounds):
    holds(*bounds)
