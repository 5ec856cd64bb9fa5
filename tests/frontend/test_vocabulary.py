"""Words for states: each word has one look, and what nobody declared is never green."""

from __future__ import annotations

import pytest

from console.fleets.rules import State as WorkerState
from console.incidents.rules import State as IncidentState
from console.lib.status import Status
from console.lib.vocabulary import canonical, look
from console.operations.rules import State as OperationState


@pytest.mark.parametrize("status", Status)
def test_every_status_of_the_console_is_its_own_word(status: Status) -> None:
    assert canonical(status) == status.value


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("in service", "healthy"),
        ("At Risk", "failing"),
        ("rolled-back", "degraded"),
        ("planned switchover", "draining"),
        ("needs approval", "paused"),
        ("launching", "running"),
        ("queued", "waiting"),
        ("stale", "unknown"),
    ],
)
def test_an_alias_looks_as_the_word_it_stands_for(said: str, word: str) -> None:
    assert canonical(said) == word
    assert look(said) == look(word)


@pytest.mark.parametrize("said", [None, "", "levitating", "HEALTHY!"])
def test_what_nobody_declared_looks_unknown(said: str | None) -> None:
    assert look(said).tone == "unk"


def test_no_two_states_share_an_icon() -> None:
    words = ["healthy", "degraded", "failing", "unknown", "draining", "paused", "running", "waiting"]
    assert len({look(word).icon for word in words}) == len(words)
    assert len({look(word).tone for word in words}) == len(words)


@pytest.mark.parametrize("state", [*OperationState, *IncidentState, *(one for one in WorkerState if one != "unknown")])
def test_no_state_of_the_contract_looks_unknown(state: str) -> None:
    assert canonical(state) != "unknown"


def test_a_worker_in_trouble_looks_bad_and_one_that_is_over_does_not() -> None:
    assert {canonical(state) for state in (WorkerState.LOST, WorkerState.STUCK)} == {"failing"}
    assert {canonical(state) for state in (WorkerState.STOPPED, WorkerState.TERMINATED)} == {"waiting"}
