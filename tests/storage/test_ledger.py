"""A listing alone tells hand-offs, their readers and their expiry; what the provider writes is what is read."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from console.platform.files import FolderFiles
from console.platform.readings import FileReading, FilesReading
from console.sandbox.home import REPOSITORY
from console.storage.ledger import LISTED, SHARES, Handoff, Stage, Survey, expiry, folder_of, past, survey
from tests.storage.made import HOUR, handed, listing

sys.path.insert(0, str(REPOSITORY / "docker" / "airflow" / "provider"))

from quarterdeck_airflow import handoff
from quarterdeck_airflow.files import ledger as written
from quarterdeck_airflow.files.ledger import Place
from quarterdeck_airflow.files.local import LocalStore


def stages(found: Survey) -> dict[str, int]:
    return {stage.value: number for stage, number in found.stages if number}


def one(found: Survey) -> Handoff:
    [(_, each)] = found.listed
    return each


def test_it_reads_what_the_provider_writes(tmp_path: Path) -> None:
    store, now = LocalStore(tmp_path), datetime.now(UTC)
    place = Place("revenue/report", "manual__2026-11-26T15:00:00+00:00", "a b", "über.csv", 3)
    reference = handoff.put(b"12345", place.name, expires_in=2 * HOUR, store=store, place=place)
    look = survey(FolderFiles(str(tmp_path)).files(), now)
    found = one(look)
    assert (found.dag_id, found.run_id, found.task_id) == (place.dag_id, place.run_id, place.task_id)
    assert (found.map_index, found.name, found.size, found.folder) == (3, "über.csv", 5, place.folder)
    assert found.expires_at.isoformat() == reference["expires_at"]
    assert stages(look) == {"waiting": 1}
    handoff.read(reference, store=store)
    look = survey(FolderFiles(str(tmp_path)).files(), datetime.now(UTC))
    assert one(look).read_at is not None
    assert stages(look) == {"fetched": 1}
    handoff.put(b"123456", place.name, store=store, place=place)  # the retried task hands over anew
    assert stages(survey(FolderFiles(str(tmp_path)).files(), datetime.now(UTC))) == {"waiting": 1}
    assert stages(survey(FolderFiles(str(tmp_path)).files(), now + timedelta(days=2))) == {"missed": 1}


def test_the_stages(now: datetime) -> None:
    at = now - 2 * HOUR
    found = survey(
        listing(
            handed("waits", now - HOUR / 2),
            handed("late", at),
            handed("fetched", at, read_at=now),
            handed("missed", at, kept=HOUR),
            handed("expired", at, kept=HOUR, read_at=now - HOUR),
            handed("archive", at, kept=HOUR),
        ),
        now,
        unread_after_s=3600,
        readers_optional=("archive",),
    )
    assert {each.dag_id: stage.value for stage, each in found.listed} == {
        "waits": "waiting", "late": "late", "fetched": "fetched", "missed": "missed", "expired": "expired",
        "archive": "expired",
    }  # fmt: skip
    assert [stage for stage, _ in found.listed][:2] == [Stage.MISSED, Stage.LATE]
    assert (found.past, found.past_bytes, found.left) == (3, 3000, 0)


def test_without_a_declared_time_a_reader_has_until_the_expiry(now: datetime) -> None:
    assert stages(survey(listing(handed("dag", now - 5 * HOUR)), now)) == {"waiting": 1}


def test_a_receipt_of_the_file_before_counts_for_nothing(now: datetime) -> None:
    assert stages(survey(listing(handed("dag", now - HOUR, read_at=now - 2 * HOUR)), now)) == {"waiting": 1}
    assert stages(survey(listing(handed("dag", now - HOUR, read_at=now - HOUR)), now)) == {"fetched": 1}


def test_what_should_have_been_removed(now: datetime) -> None:
    at = now - timedelta(days=4)
    found = survey(listing(handed("old", at, kept=HOUR), handed("new", at, kept=timedelta(days=3))), now)
    assert (found.past, found.left, found.left_bytes) == (2, 1, 1000)


def test_a_handoff_in_whose_midst_the_look_ended_is_not_judged(now: datetime) -> None:
    """Its receipt lies behind the end: it must not be told as one that nobody fetched."""
    files = listing(handed("a", now - 9 * HOUR, kept=HOUR, read_at=now), handed("b", now - 9 * HOUR, kept=HOUR)).files
    for end in (4, 5):
        found = survey(FilesReading(files[:end], complete=False), now)
        assert [each.dag_id for _, each in found.listed] == ["a"]
        assert (found.files, found.complete) == (end, False)
        assert [each.folder.split("/")[1] for each in past(FilesReading(files[:end], complete=False), now)] == ["a"]
    assert stages(survey(FilesReading(files[:2], complete=False), now)) == {}


def test_a_note_without_its_file_is_no_handoff(now: datetime) -> None:
    files = [file for file in handed("dag", now) if "/data/" not in file.key]
    found = survey(listing(files), now)
    assert (found.files, found.listed) == (1, ())
    assert [(share.kind, share.name, share.handoffs) for share in found.shares] == [("dag", "dag", 0)]


def test_other_files_are_counted_and_taken_for_nothing_else(now: datetime) -> None:
    keys = ["partners/north.csv", "top", "handoff/x", "handoff/a/b/c/d/else.txt", "handoff/a/b/c/d/data/99-xyz"]
    found = survey(FilesReading(tuple(FileReading(key, 10, now) for key in keys), True), now + timedelta(days=99))
    assert (found.files, found.past, found.listed) == (5, 0, ())
    assert {(share.kind, share.name, share.files) for share in found.shares} == {
        ("folder", "partners/", 1), ("folder", "", 1), ("folder", "handoff/", 3),
    }  # fmt: skip


def test_the_lists_are_bounded_and_the_sums_are_not(now: datetime) -> None:
    groups = [handed(f"dag{number}", now, size=number + 1) for number in range(SHARES + 150)]
    found = survey(listing(*groups), now)
    assert (len(found.listed), len(found.shares)) == (LISTED, SHARES + 1)
    assert found.shares[0].name == f"dag{SHARES + 149}"
    rest = found.shares[-1]
    assert (rest.kind, rest.handoffs) == ("rest", 150)
    assert sum(share.bytes for share in found.shares) == found.bytes
    assert stages(found) == {"waiting": SHARES + 150}


@given(st.text(max_size=60), st.text(st.sampled_from("handof/dt0123456789-a.jsonre"), max_size=90))
def test_no_name_breaks_it_and_expiry_agrees_with_the_provider(any_text: str, likely: str) -> None:
    for key in (any_text, likely, f"handoff/{likely}", f"handoff/a/b/c/d/data/{likely}"):
        at = expiry(key)
        assert at is None or (at == written.expiry(key) and folder_of(key) is not None)
        survey(FilesReading((FileReading(key, 1, datetime.now(UTC)),), True), datetime.now(UTC))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-90, 90), st.integers(1, 90), st.booleans()), max_size=8))
def test_every_handoff_is_in_one_stage_and_in_one_share(made: list[tuple[str, int, int, bool]]) -> None:
    now = datetime(2026, 11, 22, 3, tzinfo=UTC)
    groups = [
        handed(
            dag, now - timedelta(hours=at), run=str(number), kept=timedelta(hours=kept), read_at=now if read else None
        )
        for number, (dag, at, kept, read) in enumerate(made)
    ]
    found = survey(listing(*groups), now)
    assert sum(number for _, number in found.stages) == len(found.listed) == len(made)
    assert sum(share.handoffs for share in found.shares) == len(made)
    assert sum(share.bytes for share in found.shares) == found.bytes
    assert found.left <= found.past == sum(stage in (Stage.EXPIRED, Stage.MISSED) for stage, _ in found.listed)
