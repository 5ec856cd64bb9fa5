"""The engine: what is killed at any line goes on where it was, and calls nothing twice that must not be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.operations.models import LostLease, Operation, Target
from console.operations.rules import State, StepState
from console.operations.submit import NotNow, answer, order
from tests.operations.conftest import JONAS, MIRA, pass_time, run, tick
from tests.operations.toy import PERMANENT, TEMPORARY, Killed, Lamps

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[..., Operation]


def test_it_lights_every_lamp_and_says_so(ask: Ask, lamps: Lamps) -> None:
    operation = run(ask())
    assert (operation.state, operation.outcome) == (State.SUCCEEDED, "All lit.")
    assert lamps.calls == ["a", "b"]
    assert [step.state for step in operation.steps.all()] == [StepState.VERIFIED] * 2
    texts = [note.text for note in operation.notes.all()]
    assert texts == ["Asked for by mira: it is dark", "lighting a", "lighting b", "succeeded: All lit."]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_process_killed_around_a_call_costs_one_tick(ask: Ask, lamps: Lamps, when: str, number: int) -> None:
    (lamps.faults if when == "before" else lamps.after)[number] = Killed()
    assert run(ask()).state == State.SUCCEEDED
    assert lamps.lit == {"a", "b"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_call_that_must_be_made_once_is_never_made_again(ask: Ask, lamps: Lamps, when: str) -> None:
    (lamps.faults if when == "before" else lamps.after)[0] = Killed()
    operation = run(ask(lamps=["a"], once=True))
    assert lamps.calls == ["a"]
    assert operation.state == (State.FAILED if when == "before" else State.SUCCEEDED)


def test_an_operation_is_worked_on_by_one_executor(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    assert Operation.objects.claim(operation.pk, 60) is not None
    assert Operation.objects.claim(operation.pk, 60) is None
    assert not tick(operation)


def test_an_executor_that_was_taken_over_writes_nothing_more(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    old = Operation.objects.claim(operation.pk, 60)
    assert old is not None
    pass_time(operation, lease=True)
    assert Operation.objects.claim(operation.pk, 60) is not None
    with pytest.raises(LostLease):
        old.write(outcome="from the dead")


def test_a_platform_that_does_not_answer_is_asked_again(ask: Ask, lamps: Lamps) -> None:
    lamps.faults[0] = TEMPORARY
    operation = run(ask())
    assert operation.state == State.SUCCEEDED
    assert lamps.calls == ["a", "a", "b"]
    assert any("tried again" in note.text for note in operation.notes.all())


def test_a_refusal_is_remembered_with_its_reason(ask: Ask, lamps: Lamps) -> None:
    lamps.faults[0] = PERMANENT
    operation = ask(lamps=["a"])
    tick(operation)
    [step] = operation.steps.all()
    assert (step.state, step.error) == (StepState.FAILED, "That lamp is not yours.")


def test_pause_takes_effect_between_steps_and_resume_goes_on(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    tick(operation)
    order(operation.pk, "pause", reason="wait for Jonas", by=JONAS)
    pass_time(operation)
    tick(operation)
    operation.refresh_from_db()
    assert (operation.state, lamps.calls) == (State.PAUSED, ["a"])
    with pytest.raises(NotNow, match="paused already"):
        order(operation.pk, "pause", reason="again", by=JONAS)
    order(operation.pk, "resume", reason="he is here", by=JONAS)
    assert run(operation).state == State.SUCCEEDED


def test_abort_ends_it_and_frees_its_targets(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    tick(operation)
    order(operation.pk, "abort", reason="wrong room", by=MIRA)
    assert run(operation).state == State.ABORTED
    assert not Target.objects.filter(released_at=None).exists()
    assert ask().pk != operation.pk


def test_a_question_waits_for_a_person_and_takes_the_answer_once(ask: Ask, lamps: Lamps) -> None:
    operation = ask(ask=True)
    tick(operation)
    operation.refresh_from_db()
    assert operation.state == State.PAUSED
    assert operation.question == {"text": "Shall it go on?", "choices": [["go", "light them"]]}
    answer(operation.pk, "go", reason="yes", by=MIRA)
    assert run(operation).state == State.SUCCEEDED
    assert operation.orders.filter(taken_at=None).count() == 0


def test_an_ended_operation_takes_no_orders(ask: Ask, lamps: Lamps) -> None:
    operation = run(ask())
    with pytest.raises(NotNow, match="ended already: succeeded"):
        order(operation.pk, "abort", reason="too late", by=MIRA)


def test_a_further_target_that_is_taken_is_told_to_the_rule(ask: Ask, lamps: Lamps) -> None:
    other = ask(room="attic", lamps=["z"], also=["lamp:a"])
    operation = ask(lock=True)
    tick(operation)
    operation.refresh_from_db()
    assert operation.progress["refused"] == {"lamp:a": f"OP-{other.pk} lamps room:attic"}
