"""A file goes from task to task, lasts its time, and says clearly when it is not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from quarterdeck_airflow import handoff
from quarterdeck_airflow.files import ledger
from quarterdeck_airflow.files.ledger import HandoffError, HandoffExpired, HandoffMissing, Place
from quarterdeck_airflow.files.local import LocalStore
from quarterdeck_airflow.files.store import FileDamaged, FileError

NOW = datetime.now(UTC).replace(microsecond=0)
PLACE = Place("revenue/report", "manual__2026-11-26T15:00:00+00:00", "extract", "orders.csv")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "files")


def put(store: LocalStore, contents: bytes = b"1,2\n", place: Place = PLACE, **more: object) -> dict[str, object]:
    return handoff.put(contents, place.name, store=store, place=place, **{"now": NOW, **more})  # type: ignore[arg-type]


def test_another_task_gets_what_was_put(store: LocalStore, tmp_path: Path) -> None:
    reference = put(store)
    path = handoff.get(reference, into=tmp_path, store=store)
    assert path == tmp_path / "orders.csv"
    assert path.read_bytes() == handoff.read(reference, store=store) == b"1,2\n"


def test_it_is_kept_apart_by_run_task_and_map_index(store: LocalStore) -> None:
    dag, run = PLACE.dag_id, PLACE.run_id
    places = [
        PLACE,
        Place(dag, "other", "extract", "orders.csv"),
        Place(dag, run, "other", "orders.csv"),
        Place(dag, run, "extract", "orders.csv", 0),
        Place(dag, run, "extract", "orders.csv", 1),
    ]
    references = [put(store, str(number).encode(), place) for number, place in enumerate(places)]
    assert [handoff.read(reference, store=store) for reference in references] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_name_cant_lead_out_of_its_run(store: LocalStore, tmp_path: Path) -> None:
    place = Place("dag", "../../other", "..", "../../../etc/passwd")
    reference = put(store, b"1", place)
    assert handoff.read(reference, store=store) == b"1"
    assert all(info.key.startswith("handoff/dag/") for info in store.list())
    assert handoff.get(reference, into=tmp_path, store=store).parent == tmp_path


def test_a_retried_task_replaces_what_it_put(store: LocalStore) -> None:
    first = put(store, b"first")
    put(store, b"second", now=NOW + timedelta(seconds=5))
    assert handoff.read(first, store=store) == b"second"
    assert len([info for info in store.list() if "/data/" in info.key]) == 1
    put(store, b"second", now=NOW + timedelta(seconds=5))  # the very same again: it must not delete itself
    assert handoff.read(first, store=store) == b"second"


def test_what_was_never_put_says_so(store: LocalStore, tmp_path: Path) -> None:
    reference = {**put(store), "name": "other.csv"}
    with pytest.raises(HandoffMissing, match=r"other\.csv of task extract in revenue/report.*was not handed over"):
        handoff.get(reference, into=tmp_path, store=store)
    with pytest.raises(HandoffError, match="no reference"):
        handoff.get({"path": "/etc/passwd"}, into=tmp_path, store=store)


def test_past_its_time_it_is_refused_and_then_swept(store: LocalStore, tmp_path: Path) -> None:
    reference = put(store, expires_in=timedelta(hours=1))
    assert handoff.read(reference, store=store, now=NOW + timedelta(minutes=59)) == b"1,2\n"
    late = NOW + timedelta(hours=1)
    for call in (lambda: handoff.get(reference, into=tmp_path, store=store, now=late),
                 lambda: handoff.read(reference, store=store, now=late),
                 lambda: handoff.link(reference, store=store, now=late)):  # fmt: skip
        with pytest.raises(HandoffExpired, match="clear the task extract"):
            call()
    assert list(tmp_path.glob("*.csv")) == []
    assert handoff.sweep(store=store, now=late) == 0, "for a day who comes too late is told so"
    assert handoff.sweep(store=store, now=late + ledger.GRACE) == 3  # file, note, receipt
    assert list(store.list()) == []


def test_a_sweep_leaves_what_is_still_wanted(store: LocalStore) -> None:
    put(store, expires_in=timedelta(days=30))
    put(store, b"old", Place("dag", "run", "task", "old"), expires_in=timedelta(hours=1))
    store.put("somebody/elses/file", b"1")
    handoff.sweep(store=store, now=NOW + timedelta(days=3))
    assert [info.key.split("/")[1] for info in store.list()] == ["revenue%2Freport", "revenue%2Freport", "elses"]


@pytest.mark.parametrize("bad", [timedelta(0), timedelta(seconds=59), timedelta(days=366), timedelta(days=-1)])
def test_it_lasts_between_a_minute_and_a_year(store: LocalStore, bad: timedelta) -> None:
    with pytest.raises(ValueError, match="expires_in"):
        put(store, expires_in=bad)
    assert list(store.list()) == []


class Dying(LocalStore):
    """Its writer dies before the call of that number."""

    dies_at, calls = -1, 0

    def _die(self) -> None:
        self.calls += 1
        if self.calls == self.dies_at:
            raise KeyboardInterrupt

    def put(self, key, source):  # type: ignore[no-untyped-def]
        self._die()
        return super().put(key, source)

    def delete(self, key: str) -> None:
        self._die()
        super().delete(key)


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_writer_that_dies_half_way_shows_the_old_or_the_new(store: LocalStore, dies_at: int) -> None:
    reference = put(store, b"old")
    dying = Dying(store.folder)
    dying.dies_at = dies_at
    with pytest.raises(KeyboardInterrupt):
        put(dying, b"new", now=NOW + timedelta(seconds=1))
    assert handoff.read(reference, store=store) == (b"old" if dies_at <= 2 else b"new")


def test_what_was_changed_behind_its_back_is_refused(store: LocalStore) -> None:
    reference = put(store)
    data = next(info.key for info in store.list() if "/data/" in info.key)
    store.put(data, b"9,9\n")  # a whole file with a checksum of its own: only the note tells
    with pytest.raises(FileDamaged):
        handoff.read(reference, store=store)


def test_dropping_twice_is_no_error(store: LocalStore) -> None:
    reference = put(store)
    handoff.drop(reference, store=store)
    handoff.drop(reference, store=store)
    assert list(store.list()) == []


def test_the_key_alone_says_until_when(store: LocalStore) -> None:
    put(store, expires_in=timedelta(hours=6))
    found = {ledger.expiry(info.key) for info in store.list()}
    assert found == {None, NOW + timedelta(hours=6)}
    assert ledger.expiry(f"elsewhere/data/123-{'a' * 16}") is None


def test_the_receipt_shows_that_somebody_came(store: LocalStore) -> None:
    reference = put(store)
    assert not store.exists(PLACE.receipt)
    handoff.read(reference, store=store)
    assert store.exists(PLACE.receipt)


def test_who_asks_for_a_link_is_its_reader(store: LocalStore) -> None:
    reference = put(store)
    handoff.link(reference, store=store)
    assert store.exists(PLACE.receipt)


def test_what_is_handed_over_anew_has_no_reader_yet(store: LocalStore) -> None:
    handoff.read(put(store), store=store)
    put(store, b"again", now=NOW + timedelta(seconds=5))
    assert not store.exists(PLACE.receipt)


class ReadOnly(LocalStore):
    """A role that may read and not write."""

    def put(self, key, source):  # type: ignore[no-untyped-def]
        raise FileError(f"{key} may not be written.")


def test_a_receipt_that_cant_be_written_fails_no_reader(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = put(store)
    readers = ReadOnly(store.folder)
    assert handoff.get(reference, into=tmp_path, store=readers).read_bytes() == b"1,2\n"
    assert handoff.read(reference, store=readers) == b"1,2\n"
    assert handoff.link(reference, store=readers)
    assert len([line for line in caplog.messages if "orders.csv of task extract" in line]) == 3
    assert not store.exists(PLACE.receipt)
