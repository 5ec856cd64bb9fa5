"""Each hazard of the watermark and its remedy, by itself; all of them together are in test_simulator."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from console.freshness.watermark import (
    ALLOWED_LATENESS_S,
    Basis,
    Beat,
    Condition,
    Leg,
    TaskTrack,
    advance,
    attest,
    complete,
    hold_back,
    see,
    see_source,
    watermark,
)

ZERO = datetime.fromisoformat("2026-11-22T00:00:00+00:00")
DONE = Condition("Table completed")


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def beat(seq: int, *, safe_s: float | None = None, prepared: int | None = 0, epoch: int = 1) -> Beat:
    """Beat `seq` is written at 10 × seq seconds, by transaction 100 × seq; nothing else runs."""
    return Beat(
        epoch=epoch,
        seq=seq,
        beat_at=at(10 * seq),
        row_safe_before=at(10 * seq if safe_s is None else safe_s),
        prepared_count=prepared,
        own_xid=100 * seq,
        xmin=100 * seq,
    )


def follow(*beats: Beat, run: str = "r", overlap: int = 0, track: TaskTrack | None = None) -> TaskTrack:
    track = track or TaskTrack()
    for each in beats:
        track = see(track, each, run, overlap=overlap)
    return track


# --- Beats ---


def test_the_newest_beat_proves_nothing_and_the_one_before_it_does() -> None:
    assert follow(beat(1), beat(2)).commit_at is None
    assert follow(beat(1), beat(2), beat(3)).commit_at == at(20)


def test_the_same_beat_seen_again_is_not_another_one() -> None:
    assert follow(beat(1), beat(2), beat(2), beat(2)).commit_at is None


def test_the_beat_that_stood_there_at_first_may_be_left_of_a_batch_that_never_ended() -> None:
    assert follow(beat(1), beat(2), beat(3)).seen == (beat(2), beat(3))


def test_batches_that_overlap_hold_back_one_beat_more() -> None:
    beats = [beat(seq) for seq in range(1, 5)]
    assert hold_back(1) == 2
    assert follow(*beats[:3], overlap=1).commit_at is None
    assert follow(*beats, overlap=1).commit_at == at(20)


def test_an_older_beat_of_a_batch_that_overlaps_changes_nothing() -> None:
    track = follow(beat(1), beat(2), beat(3), beat(4), overlap=1)
    again = follow(beat(3), beat(2), overlap=1, track=track)
    assert (again.seen, again.commit_at, again.row_at) == (track.seen, track.commit_at, track.row_at)


def test_a_beat_that_was_overtaken_still_counts_once_a_newer_one_is_proven() -> None:
    """Beat 4 comes before beat 3; while beat 4 was written a transaction was prepared, during beat 3 none was."""
    track = follow(beat(1), beat(2), beat(4, prepared=1), beat(3), beat(5), beat(6), overlap=1)
    assert (track.commit_at, track.row_at) == (at(40), at(30))


def test_an_open_transaction_holds_rows_back_and_commits_not() -> None:
    track = follow(beat(1), beat(2, safe_s=3), beat(3, safe_s=3))
    assert (track.commit_at, track.row_at) == (at(20), at(3))
    assert follow(beat(4), beat(5), track=track).row_at == at(40)


def test_where_sessions_can_not_be_seen_the_row_basis_is_withheld() -> None:
    blind = [replace(beat(seq), row_safe_before=None) for seq in (1, 2, 3)]
    track = follow(*blind)
    assert (track.commit_at, track.row_at) == (at(20), None)
    found = watermark([("t", advance(Leg(), track, DONE))], Basis.ROW)
    assert (found.at, found.steady) == (None, False)
    assert "which transactions are open" in found.held


def test_while_transactions_are_prepared_the_row_watermark_stands_still() -> None:
    track = follow(beat(1), beat(2), beat(3), beat(4, prepared=1), beat(5, prepared=1), beat(6))
    assert (track.commit_at, track.row_at) == (at(50), at(30))
    assert follow(beat(7), track=track).row_at == at(60)


def test_a_transaction_that_no_list_shows_is_caught_by_its_id() -> None:
    """xmin says that a transaction from before beat 3 still runs."""
    hidden = [replace(beat(seq), xmin=250) for seq in (3, 4, 5)]
    assert follow(beat(1), beat(2), *hidden).row_at == at(20)


def test_without_a_beat_old_enough_to_check_by_the_row_watermark_stands_still() -> None:
    hidden = [replace(beat(seq), xmin=50) for seq in (1, 2, 3)]
    assert follow(*hidden).row_at is None


def test_a_source_without_transaction_ids_goes_by_its_open_transactions() -> None:
    plain = [replace(beat(seq, safe_s=5), own_xid=None, xmin=None) for seq in (1, 2, 3)]
    assert follow(*plain).row_at == at(5)


# --- Runs and epochs ---


def test_a_restart_forgets_what_was_seen_of_the_run_before() -> None:
    track = follow(beat(1), beat(2), beat(3))
    again = follow(beat(3), beat(4), run="next", track=track)
    assert again.commit_at == at(20)
    assert follow(beat(5), run="next", track=again).commit_at == at(40)


def test_changes_that_are_applied_again_prove_nothing_new_and_take_nothing_back() -> None:
    track = follow(beat(1), beat(2), beat(3), beat(4))
    again = follow(beat(2), beat(3), beat(4), run="next", track=track)
    assert again.commit_at == at(30)
    assert not again.unsettled


def test_a_new_epoch_freezes_until_an_operator_attests() -> None:
    track = follow(beat(1), beat(2), beat(3), beat(4, epoch=2))
    assert "epoch 2" in track.unsettled
    assert follow(beat(5, epoch=2), beat(6, epoch=2), track=track) == track
    fresh = follow(*(beat(seq, epoch=2) for seq in (5, 6, 7)), track=attest(2))
    assert (fresh.epoch, fresh.commit_at, fresh.unsettled) == (2, at(60), "")


def test_the_log_before_an_attested_failover_may_be_applied_once_more_and_proves_nothing() -> None:
    track = follow(beat(5, epoch=2), beat(6, epoch=2), track=attest(2))
    again = follow(beat(3), track=track)
    assert (again.unsettled, again.seen, again.commit_at) == ("", (), track.commit_at)
    assert follow(beat(7, epoch=2), track=again).proof == track.proof
    assert follow(beat(7, epoch=2), beat(8, epoch=2), track=again).commit_at == at(70)


def test_a_console_that_knows_of_no_failover_does_not_take_a_later_epoch_for_the_first() -> None:
    assert follow(beat(1, epoch=2)).unsettled
    assert see_source(TaskTrack(), beat(1, epoch=2)).unsettled


def test_a_source_that_goes_back_without_saying_so_freezes_too() -> None:
    track = see_source(follow(beat(1), beat(2), beat(3)), beat(9))
    assert "went back from 9 to 7" in see_source(track, beat(7)).unsettled


def test_a_clock_that_goes_back_further_than_is_allowed_freezes() -> None:
    track = follow(beat(1), beat(2), beat(3))
    assert follow(replace(beat(4), beat_at=at(29)), track=track).unsettled == ""
    assert "clock went back by 20 s" in follow(replace(beat(4), beat_at=at(10)), track=track).unsettled


# --- Tables ---

PROVEN = follow(beat(1), beat(2), beat(3))


def test_a_steady_table_follows_its_task() -> None:
    leg = advance(Leg(), PROVEN, DONE)
    assert (leg.commit_at, leg.row_at, leg.steady) == (at(20), at(20), True)


def test_stamps_may_be_late_by_what_is_allowed() -> None:
    leg = advance(Leg(), PROVEN, DONE)
    assert watermark([("t", leg)], Basis.ROW).at == at(20 - ALLOWED_LATENESS_S)
    assert watermark([("t", leg)], Basis.ROW, allowed_lateness_s=5).at == at(15)


def test_a_table_in_error_or_suspended_freezes_at_its_last_proof_until_it_is_loaded_anew() -> None:
    leg = advance(Leg(), PROVEN, DONE)
    later = follow(beat(4), beat(5), track=PROVEN)
    for condition in (Condition("Table error"), Condition("Table completed", None, at(25))):
        frozen = advance(leg, later, condition)
        assert (frozen.commit_at, frozen.steady) == (at(20), False)
        assert not advance(frozen, later, DONE).steady
        loaded = advance(frozen, later, Condition("Table completed", at(100), condition.suspended_at))
        assert (loaded.broken, loaded.commit_at) == ("", None)


def test_a_load_takes_the_watermark_away_until_a_beat_from_after_it_has_come_through() -> None:
    leg = advance(Leg(), PROVEN, DONE)
    loading = advance(leg, PROVEN, Condition("Table is being reloaded"))
    assert (loading.commit_at, loading.loads, loading.steady) == (None, 1, False)
    loaded = Condition("Table completed", at(32))
    early = follow(beat(4), track=PROVEN)
    assert advance(loading, early, loaded).commit_at is None
    late = follow(beat(5), track=early)
    assert advance(loading, late, loaded).commit_at == at(40)


def test_a_load_that_no_poll_saw_is_seen_by_its_end() -> None:
    leg = advance(Leg(), PROVEN, Condition("Table completed", at(0)))
    assert leg.commit_at == at(20)
    again = advance(leg, PROVEN, Condition("Table completed", at(22)))
    assert (again.commit_at, again.loads) == (None, leg.loads + 1)


def test_a_load_whose_end_is_not_told_proves_nothing() -> None:
    leg = advance(Leg(), PROVEN, Condition("Table completed", at(0)))
    loading = advance(leg, PROVEN, Condition("Full load", at(0)))
    late = follow(beat(4), beat(5), beat(6), track=PROVEN)
    assert advance(loading, late, Condition("Table completed", at(0))).commit_at is None


def test_what_was_not_seen_changes_nothing_and_is_not_steady() -> None:
    leg = advance(Leg(), PROVEN, DONE)
    unseen = advance(leg, follow(beat(4), beat(5), track=PROVEN), None)
    assert (unseen.commit_at, unseen.steady) == (at(20), False)


def test_an_unsettled_epoch_freezes_the_table_and_an_attested_one_begins_anew() -> None:
    leg = advance(Leg(), PROVEN, DONE)
    broken = follow(beat(4, epoch=2), track=PROVEN)
    assert advance(leg, broken, DONE).commit_at == at(20)
    assert not advance(leg, broken, DONE).steady
    assert advance(leg, attest(2), DONE).commit_at is None


def test_a_table_of_several_tasks_is_as_far_as_the_last_of_them() -> None:
    ahead = advance(Leg(), follow(*(beat(seq) for seq in range(1, 7))), DONE)
    found = watermark([("a", ahead), ("b", advance(Leg(), PROVEN, DONE))], Basis.COMMIT)
    assert (found.at, found.task, found.steady) == (at(18), "b", True)
    undefined = watermark([("a", ahead), ("b", Leg())], Basis.COMMIT)
    assert (undefined.at, undefined.task, undefined.steady) == (None, "b", False)
    assert watermark([], Basis.ROW).at is None


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 40))
def test_another_task_never_raises_a_tables_watermark(ends: list[int], end: int) -> None:
    legs = [(str(n), advance(Leg(), follow(*(beat(seq) for seq in range(1, n + 1))), DONE)) for n in [*ends, end]]
    fewer, more = watermark(legs[:-1], Basis.ROW), watermark(legs, Basis.ROW)
    assert more.at is None or (fewer.at is not None and more.at <= fewer.at)
    assert fewer.steady or not more.steady


def test_complete_needs_a_steady_table_and_a_watermark_past_the_cutoff() -> None:
    found = watermark([("t", advance(Leg(), PROVEN, DONE))], Basis.ROW)
    assert complete(found, at(18))
    assert not complete(found, at(18.001))
    assert not complete(replace(found, steady=False), at(10))
    assert not complete(replace(found, at=None), at(10))
