"""What opens, stays, ends and is told, one rule at a time."""

from __future__ import annotations

from dataclasses import replace

from console.incidents.findings import Report, Severity
from console.incidents.rules import (
    CLEAR_S,
    DISMISSED_S,
    FLAP_WINDOW_S,
    LINGER_S,
    REPAGE_S,
    Changes,
    Held,
    Signal,
    State,
    Why,
    Window,
    matches,
    reconcile,
)
from tests.incidents.made import T0, after, finding, report

CPU = finding()
HELD = Held(CPU.key, State.OPEN, CPU.severity, CPU.target, T0, paged_at=T0)
THERE = Signal(CPU.key, True, T0, None, (T0,))


def look(
    found: Report, held: Held | None = None, signal: Signal | None = None, at: float = 0.0, **more: object
) -> Changes:
    memory = {signal.key: signal} if signal else {}
    windows = more.get("windows", ())
    return reconcile(found, memory, {held.key: held} if held else {}, windows, after(at))  # type: ignore[arg-type]


def test_a_finding_opens_an_incident_and_tells_somebody() -> None:
    (one,) = look(report(CPU)).opened
    assert (one.finding, one.page, one.severity) == (CPU, Why.OPENED, Severity.ERROR)


def test_it_opens_only_after_its_patience() -> None:
    slow = finding(after_s=60)
    first = look(report(slow))
    assert not first.opened
    signal = first.signals[slow.key]
    assert signal is not None
    assert not look(report(slow), signal=signal, at=59).opened
    assert look(report(slow), signal=signal, at=60).opened


def test_the_same_again_changes_nothing() -> None:
    changes = look(report(CPU), HELD, THERE, at=5)
    assert (changes.opened, changes.ended, changes.signals) == ((), (), {})
    assert [one.page for one in changes.kept] == [None]


def test_it_is_over_once_it_was_seen_to_be_gone_for_a_while() -> None:
    gone = look(report(), HELD, THERE, at=5)
    assert not gone.ended
    signal = gone.signals[CPU.key]
    assert not look(report(), HELD, signal, at=5 + CLEAR_S - 1).ended
    assert look(report(), HELD, signal, at=5 + CLEAR_S).ended


def test_what_cannot_be_seen_is_not_over() -> None:
    hidden = report(unseen=frozenset({"fleets."}))
    assert not look(hidden, HELD, THERE, at=3600).ended
    gone = Signal(CPU.key, False, T0, T0, (T0,))
    blind = look(hidden, HELD, gone, at=10)
    assert not blind.ended
    # Time without sight does not count: the clock of being gone starts anew.
    again = look(report(), HELD, blind.signals[CPU.key], at=20)
    assert not again.ended
    assert look(report(), HELD, again.signals[CPU.key], at=20 + CLEAR_S).ended


def test_blindness_to_another_section_hides_nothing() -> None:
    gone = Signal(CPU.key, False, T0, T0, (T0,))
    assert look(report(unseen=frozenset({"freshness."})), HELD, gone, at=CLEAR_S).ended


def test_what_flaps_must_be_gone_for_the_whole_window() -> None:
    flapped = Signal(CPU.key, False, after(30), after(30), (T0, after(10), after(20), after(30)))
    assert not look(report(), HELD, flapped, at=30 + FLAP_WINDOW_S - 1).ended
    assert look(report(), HELD, flapped, at=30 + FLAP_WINDOW_S).ended


def test_it_is_told_again_while_nobody_acknowledges() -> None:
    later = REPAGE_S[Severity.ERROR]
    assert look(report(CPU), HELD, THERE, at=later - 1).kept[0].page is None
    assert look(report(CPU), HELD, THERE, at=later).kept[0].page is Why.REPEATED
    taken = replace(HELD, state=State.ACKNOWLEDGED)
    assert look(report(CPU), taken, THERE, at=later).kept[0].page is None


def test_a_warning_is_told_once() -> None:
    mild = finding(severity=Severity.WARNING)
    held = replace(HELD, severity=Severity.WARNING)
    assert look(report(mild), held, THERE, at=86400).kept[0].page is None


def test_what_gets_worse_is_told_even_when_it_was_acknowledged() -> None:
    worse = finding(severity=Severity.CRITICAL)
    taken = replace(HELD, state=State.ACKNOWLEDGED)
    (kept,) = look(report(worse), taken, THERE, at=5).kept
    assert (kept.state, kept.severity, kept.page) == (State.OPEN, Severity.CRITICAL, Why.RAISED)


def test_it_does_not_get_milder_while_it_is_open() -> None:
    (kept,) = look(report(finding(severity=Severity.INFO)), HELD, THERE, at=5).kept
    assert kept.severity is Severity.ERROR


def test_a_snooze_ends_and_is_told() -> None:
    asleep = replace(HELD, state=State.SNOOZED, snoozed_until=after(60))
    assert look(report(CPU), asleep, THERE, at=59).kept[0].state is State.SNOOZED
    (kept,) = look(report(CPU), asleep, THERE, at=60).kept
    assert (kept.state, kept.page) == (State.OPEN, Why.WOKE)


WINDOW = Window(7, ("fleets",), T0, after(600))


def test_a_window_keeps_it_quiet_and_it_is_told_when_the_window_ends() -> None:
    (one,) = look(report(CPU), windows=(WINDOW,)).opened
    assert (one.page, one.quiet) == (None, 7)
    owed = replace(HELD, paged_at=None, owed=True)
    (during,) = look(report(CPU), owed, THERE, at=599, windows=(WINDOW,)).kept
    assert (during.page, during.owed) == (None, True)
    (then,) = look(report(CPU), owed, THERE, at=600, windows=(WINDOW,)).kept
    assert (then.page, then.owed) == (Why.QUIET_ENDED, False)


def test_what_gets_worse_in_a_window_is_told_after_it() -> None:
    worse = finding(severity=Severity.CRITICAL)
    (kept,) = look(report(worse), HELD, THERE, at=5, windows=(WINDOW,)).kept
    assert (kept.page, kept.owed) == (None, True)


def test_no_window_silences_the_consoles_own_blindness() -> None:
    blind = finding("console.blind:aws", target="console/aws", own=True)
    everything = Window(7, ("*", "console"), T0, after(600))
    assert look(report(blind), windows=(everything,)).opened[0].page is Why.OPENED


def test_targets() -> None:
    assert matches("fleets", "fleets/cpu")
    assert matches("fleets/cpu", "fleets/cpu")
    assert matches("*", "fleets/cpu")
    assert not matches("fleets/c", "fleets/cpu")
    assert not matches("fleets/cpu", "fleets")


TASK = finding("freshness.task:shop", target="freshness/shop", detector="replication-broken")
TABLES = [
    finding(f"freshness.table:t{number}", target=f"freshness/t{number}", causes=(TASK.key,)) for number in range(500)
]


def test_what_follows_from_a_cause_is_part_of_it() -> None:
    (one,) = look(report(TASK, *TABLES)).opened
    assert (one.finding.key, len(one.children)) == (TASK.key, 500)


def test_a_cause_does_not_keep_what_follows_from_it_waiting() -> None:
    slow = replace(TASK, after_s=600)
    first = look(report(slow, TABLES[0]))
    assert [(one.finding.key, len(one.children)) for one in first.opened] == [(TASK.key, 1)]
    assert not look(report(slow)).opened


def test_an_open_incident_is_never_lost_to_a_cause_that_is_still_waited_for() -> None:
    slow, table = replace(TASK, after_s=600), replace(TABLES[0], after_s=60)
    held = Held(table.key, State.OPEN, table.severity, table.target, T0, paged_at=T0)
    flapped = Signal(table.key, False, after(95), after(95), (T0, after(95)))
    changes = look(report(slow, table), held, flapped, at=100)
    assert [one.into for one in changes.ended] == [TASK.key]
    assert [one.finding.key for one in changes.opened] == [TASK.key]


def test_a_cause_that_comes_later_takes_the_incident_over() -> None:
    table = TABLES[0]
    held = Held(table.key, State.OPEN, table.severity, table.target, T0, paged_at=T0)
    changes = look(report(TASK, table), held, Signal(table.key, True, T0))
    assert [(one.key, one.into) for one in changes.ended] == [(table.key, TASK.key)]
    assert [one.finding.key for one in changes.opened] == [TASK.key]


def test_a_cause_that_is_over_stays_open_until_what_followed_recovers_but_not_for_ever() -> None:
    held = Held(TASK.key, State.OPEN, TASK.severity, TASK.target, T0, paged_at=T0)
    gone = Signal(TASK.key, False, T0, T0, (T0,))
    changes = look(report(*TABLES[:3]), held, gone, at=60)
    assert (changes.opened, changes.ended) == ((), ())
    assert look(report(), held, gone, at=60).ended
    late = look(report(*TABLES[:3]), held, gone, at=LINGER_S)
    assert [one.key for one in late.ended] == [TASK.key]


def test_a_circle_of_causes_hides_nothing() -> None:
    one = finding("a.x", causes=("a.y",))
    other = finding("a.y", causes=("a.x",))
    assert {opening.finding.key for opening in look(report(one, other)).opened} == {"a.x", "a.y"}


def test_blindness_is_not_folded_into_what_a_window_may_silence() -> None:
    blind = finding("console.blind:aws", target="console/aws", own=True, causes=(CPU.key,))
    assert {one.finding.key for one in look(report(CPU, blind)).opened} == {blind.key, CPU.key}


def test_the_incident_is_as_bad_as_its_worst_part() -> None:
    bad = replace(TABLES[0], severity=Severity.CRITICAL)
    assert look(report(TASK, bad)).opened[0].severity is Severity.CRITICAL


def test_what_a_person_called_over_is_left_alone_unless_it_gets_worse_or_lasts() -> None:
    signal = replace(THERE, dismissed=Severity.ERROR, dismissed_at=T0)
    assert not look(report(CPU), signal=signal, at=60).opened
    assert look(report(finding(severity=Severity.CRITICAL)), signal=signal, at=60).opened
    assert look(report(CPU), signal=signal, at=DISMISSED_S).opened
    gone = replace(signal, present=False, clear_from=T0)
    cleared = look(report(), signal=gone, at=CLEAR_S).signals[CPU.key]
    assert cleared is not None
    assert cleared.dismissed is None
