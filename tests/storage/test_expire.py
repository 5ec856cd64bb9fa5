"""Removing expired hand-offs: what the preflight says, what goes, what stays, how it ends when it is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from console.accounts.roles import Role
from console.operations import engine
from console.operations.models import Operation
from console.operations.rules import Ledger, Orders, State, StepSeen, StepState
from console.platform.files import FolderFiles
from console.platform.ports import PlatformError, Ports
from console.platform.readings import FileReading, FilesReading
from console.storage import expire_rules
from console.storage.expire_kind import remove_expired
from console.storage.expire_rules import BATCH, Expire
from console.storage.ledger import Past, past, removable
from tests.api.asking import bearer, token_for, user_of
from tests.operations.conftest import pass_time
from tests.storage.made import HOUR, SUM, handed, listing, polled

Write = Callable[..., Path]


class Storage:
    """A folder of hand-offs behind the ports that an operation gets."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.before_delete: Callable[[], None] = lambda: None
        self.refuses = ""

    def files(self, storage: str) -> Any:
        assert storage == "files"
        outer, real = self, FolderFiles(str(self.root))

        class Files:
            files = staticmethod(real.files)

            @staticmethod
            def delete(keys: Any) -> None:
                if keys:
                    outer.before_delete()
                if keys and outer.refuses:
                    raise PlatformError(
                        "AWS S3", outer.refuses, "AWS S3 refused", permanent=outer.refuses == "forbidden"
                    )
                real.delete(keys)

        return Files()

    def put(self, dag: str, expires_at: datetime, name: str = "f", body: bytes = b"12345") -> Path:
        folder = self.root / "handoff" / dag / "run" / "task" / name
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "data" / f"{int(expires_at.timestamp())}-{SUM}").write_bytes(body)
        (folder / "note.json").write_text("{}")
        (folder / "read.json").write_text("{}")
        return folder

    def left(self) -> set[str]:
        return {each.key.split("/")[1] for each in FolderFiles(str(self.root)).files().files}

    def look(self) -> None:
        """The poll's own look."""
        polled(timezone.now(), list(FolderFiles(str(self.root)).files().files))


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


def post(role: Role = Role.OPERATOR, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = Client(headers=bearer(token_for(role))).post(
        "/api/v1/storage/files/expire", body, content_type="application/json"
    )
    return answer.status_code, answer.json()


def run(operation: Operation, storage: Storage, ticks: int = 20) -> Operation:
    for _ in range(ticks):
        pass_time(operation, lease=True)
        try:
            engine.tick(operation.pk, cast(Ports, storage))
        except KeyboardInterrupt:
            continue
        operation.refresh_from_db()
        if operation.finished_at:
            break
    return operation


def asked(storage: Storage) -> Operation:
    storage.look()
    status, told = post(reason="the disk is full")
    assert status == 202, told
    return Operation.objects.get(pk=told["id"])


@pytest.mark.django_db(transaction=True)
class TestTheOperation:
    def test_what_is_past_its_expiry_goes_and_nothing_else(self, storage: Storage) -> None:
        now = timezone.now()
        for number in range(BATCH + 5):
            storage.put(f"old{number:02}", now - HOUR)
        storage.put("fresh", now + HOUR)
        (storage.root / "partners").mkdir()
        (storage.root / "partners" / "north.csv").write_bytes(b"1")
        operation = run(asked(storage), storage)
        assert (operation.state, operation.target) == (State.SUCCEEDED, "storage:files")
        assert operation.outcome == f"{BATCH + 5}\N{NO-BREAK SPACE}hand-offs removed, 275\N{NO-BREAK SPACE}B."
        data = {each.key for each in FolderFiles(str(storage.root)).files().files if "/data/" in each.key}
        assert {key.split("/")[1] for key in data} == {"fresh"}
        assert (storage.root / "partners" / "north.csv").exists()
        assert [step.state for step in operation.steps.all()] == [StepState.VERIFIED] * 2

    def test_within_a_day_the_note_stays_and_after_it_nothing(self, storage: Storage) -> None:
        now = timezone.now()
        recent = storage.put("recent", now - HOUR)
        storage.put("old", now - timedelta(days=3))
        run(asked(storage), storage)
        assert storage.left() == {"recent"}
        assert sorted(path.name for path in recent.rglob("*.json")) == ["note.json", "read.json"]

    def test_what_is_handed_over_anew_meanwhile_stays_whole(self, storage: Storage) -> None:
        now = timezone.now()
        storage.put("old", now - timedelta(days=3))
        operation = asked(storage)
        storage.put("old", now + HOUR, body=b"new")
        assert run(operation, storage).outcome == "Nothing was past its expiry any more."
        assert len(list((storage.root / "handoff").rglob("*-*"))) == 2

    def test_a_note_that_was_written_anew_between_the_two_looks_stays(self, storage: Storage) -> None:
        now = timezone.now()
        folder = storage.put("old", now - timedelta(days=3))
        done: list[int] = []

        def again() -> None:
            if not done:
                done.append(1)
                storage.put("old", now + HOUR, body=b"new")

        operation = asked(storage)
        storage.before_delete = again
        run(operation, storage)
        assert (folder / "note.json").exists()
        assert [path.read_bytes() for path in (folder / "data").iterdir()] == [b"new"]

    def test_one_that_dies_half_way_is_taken_up_again(self, storage: Storage) -> None:
        for number in range(4):
            storage.put(f"old{number}", timezone.now() - timedelta(days=3))
        calls: list[int] = []

        def die() -> None:
            calls.append(1)
            if len(calls) in (2, 5):
                raise KeyboardInterrupt

        operation = asked(storage)
        storage.before_delete = die
        assert run(operation, storage).state == State.SUCCEEDED
        assert not list((storage.root / "handoff").rglob("data/*"))

    def test_a_right_that_is_missing_ends_it_and_is_named(self, storage: Storage) -> None:
        storage.put("old", timezone.now() - HOUR)
        operation = asked(storage)
        storage.refuses = "forbidden"
        run(operation, storage)
        assert operation.state == State.FAILED
        assert "AWS S3 refused" in operation.outcome
        assert storage.left() == {"old"}

    def test_where_nothing_is_past_its_expiry_it_is_refused(self, storage: Storage) -> None:
        storage.put("fresh", timezone.now() + HOUR)
        storage.look()
        status, told = post(reason="x")
        assert (status, "nothing to remove" in told["detail"]) == (409, True)

    def test_it_takes_a_reason_an_operator_and_a_storage_that_is_declared(self, storage: Storage) -> None:
        storage.put("old", timezone.now() - HOUR)
        storage.look()
        assert post(reason=" ")[0] == 422
        assert post(Role.VIEWER, reason="x")[0] == 403
        client = Client(headers=bearer(token_for(Role.OPERATOR)))
        answer = client.post("/api/v1/storage/fils/expire", {"reason": "x"}, content_type="application/json")
        assert answer.status_code == 422
        assert "Did you mean files?" in answer.content.decode()


@pytest.mark.django_db
def test_the_preflight_lists_what_how_many_and_how_much(client: Client) -> None:
    now = timezone.now()
    polled(
        now,
        handed("load", now - 9 * HOUR, kept=HOUR, size=7_000_000, name="lost.csv"),
        handed("report", now - 9 * HOUR, kept=HOUR, size=3_000_000, read_at=now - 9 * HOUR),
    )
    client.force_login(user_of(Role.OPERATOR))
    assert "/storage/files/expire/" in client.get("/storage/").content.decode()
    html = client.get("/storage/files/expire/").content.decode()
    assert "2\N{NO-BREAK SPACE}hand-offs past expiry, 10\N{NO-BREAK SPACE}MB in all." in html
    assert "1\N{NO-BREAK SPACE}hand-off among them nobody ever fetched." in html
    assert "lost.csv of load" in html
    client.force_login(user_of(Role.VIEWER))
    assert client.get("/storage/files/expire/").status_code == 403


def test_the_action_looks_again_at_each_just_before(storage: Storage) -> None:
    now = datetime.now(UTC)
    storage.put("fresh", now + HOUR)
    storage.put("old", now - HOUR)
    folders = [f"handoff/{dag}/run/task/f" for dag in ("fresh", "old", "gone")]
    remove_expired(cast(Ports, storage), {"storage": "files", "folders": folders, "before": now.isoformat()})
    assert [path.parent.parent.parent.parent.parent.name for path in storage.root.rglob("data/*")] == ["fresh"]


def test_only_what_is_plainly_expired_may_go(now: datetime) -> None:
    files = [*handed("dag", now - 9 * HOUR, kept=HOUR), FileReading("handoff/dag/x", 1, now - 99 * HOUR)]
    assert [key.rsplit("/", 2)[1] for key in removable(listing(files), now)] == ["data"]
    both = [*handed("dag", now - 9 * HOUR, kept=HOUR), *handed("dag", now)]
    assert removable(listing(both), now) == ()
    assert past(listing(both), now) == ()


@given(
    lying=st.integers(0, 130),
    dies=st.lists(st.sampled_from([None, StepState.INTENT, StepState.FAILED, StepState.CALLED]), max_size=12),
    abort_at=st.integers(0, 12),
)
def test_it_ends_whatever_becomes_of_its_calls(lying: int, dies: list[StepState | None], abort_at: int) -> None:
    """Some calls die, fail, or change nothing: each folder is named only while it lies there, and it ends."""
    now = datetime(2026, 11, 22, 3, tzinfo=UTC)
    there = {f"handoff/d/r/t/{number:03}" for number in range(lying)}
    state, steps, fates = expire_rules.start({}), dict[str, StepSeen](), list(dies)
    for tick in range(60):
        seen = tuple(Past(folder, 10) for folder in there)
        orders = Orders(aborting=tick >= abort_at > 8)
        decision = expire_rules.decide({"storage": "files"}, state, seen, Ledger(steps), orders, now)
        state = decision.state
        if decision.outcome:
            break
        [call] = decision.calls
        assert call.args["folders"]
        assert len(call.args["folders"]) <= BATCH
        fate = fates.pop(0) if fates else StepState.VERIFIED
        if fate is StepState.VERIFIED:
            there -= set(call.args["folders"])
        stage = StepState.CALLED if fate is StepState.VERIFIED else fate
        if stage is not None:
            steps[call.key] = StepSeen(call.key, stage, None, "")
    assert decision.outcome is not None
    if decision.outcome.state is State.SUCCEEDED:
        assert not there
    if not dies and abort_at <= 8:
        assert decision.outcome.state is State.SUCCEEDED


def test_the_state_survives_being_written_down() -> None:
    from console.storage.expire_kind import dump, load

    state = Expire("2026-11-22T03:00:00+00:00", 3, 30, 2, ("a", "b"), 1)
    assert load(dump(state), 1) == state
    assert load({}, 1) == Expire()


def test_a_listing_of_another_folder_is_not_touched(now: datetime) -> None:
    reading = FilesReading((FileReading(f"other/a/b/c/d/data/1-{SUM}", 1, now),), True)
    assert past(reading, now) == ()
    assert removable(reading, now) == ()
