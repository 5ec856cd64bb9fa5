"""What a sensor asks, how it reads the answer, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quarterdeck_airflow.freshness import client
from quarterdeck_airflow.freshness.question import (
    Manner,
    NotAllowed,
    Question,
    Refused,
    Unavailable,
    body_of,
    conclude,
    cutoff_of,
    read,
    tables_of,
)

CUTOFF = datetime(2026, 11, 22, tzinfo=UTC)
ORDERS, LINES = Question("app.public.orders", CUTOFF), Question("app.public.lines", CUTOFF)


def item(key: str, verdict: str, **more: object) -> dict[str, Any]:
    return {"key": key, "verdict": verdict, **more}


def answers(*verdicts: str, **more: object) -> Any:
    items = [item(str(n), verdict, **more) for n, verdict in enumerate(verdicts)]
    questions = [Question(f"t{n}", CUTOFF) for n in range(len(verdicts))]
    return read(200, {}, {"generation": 1, "items": items}, questions).values()


def test_the_question_is_asked_as_the_api_wants_it() -> None:
    assert body_of([ORDERS], Manner()) == {
        "items": [{"key": "0", "table": "app.public.orders", "cutoff": "2026-11-22T00:00:00Z"}],
        "basis": "row", "proof": "heartbeat", "wait": 0,
    }  # fmt: skip


def test_answers_belong_to_their_questions_whatever_their_order() -> None:
    body = {"generation": 1, "items": [item("1", "complete"), item("0", "pending")]}
    found = read(200, {}, body, [ORDERS, LINES])
    assert {question.table: str(answer.verdict) for question, answer in found.items()} == {
        "app.public.orders": "pending", "app.public.lines": "complete",
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [None, [], "complete", {}, {"items": []}, {"items": [{"key": "0"}]}, {"items": [item("1", "complete")]},
     {"items": [item("0", "finished")]}, {"items": [item("0", "complete", lag_s="much")]}],
)  # fmt: skip
def test_an_answer_that_cant_be_read_is_no_answer(body: Any) -> None:
    with pytest.raises(Unavailable):
        read(200, {}, body, [ORDERS])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_nothing_that_a_proxy_may_say_reads_as_complete(body: Any) -> None:
    with pytest.raises(Unavailable):
        read(200, {}, body, [ORDERS])


def test_each_status_has_its_meaning() -> None:
    for status in (500, 502, 503, 504, 429, 408):
        with pytest.raises(Unavailable):
            read(status, {}, None, [ORDERS])
    for status in (401, 403):
        with pytest.raises(NotAllowed):
            read(status, {}, None, [ORDERS])
    for status in (400, 404, 422, 302):
        with pytest.raises(Refused):
            read(status, {}, None, [ORDERS])
    with pytest.raises(Unavailable) as caught:
        read(503, {"retry-after": "7"}, {"detail": "blind"}, [ORDERS])
    assert caught.value.retry_after_s == 7


def test_a_refusal_names_what_the_console_named() -> None:
    body = {
        "detail": "Not tracked.",
        "errors": {"items.1.table": ["is not tracked"], "items.7.table": ["no"], "basis": []},
    }
    with pytest.raises(Refused, match=r"Not tracked\. items\.1\.table: is not tracked") as caught:
        read(404, {}, body, [ORDERS, LINES])
    assert caught.value.items == (1,)
    with pytest.raises(Refused) as caught:
        read(404, {}, {"detail": "no", "tables": {"app.public.lines": ["app.public.line"]}}, [ORDERS, LINES])
    assert caught.value.items == (1,)


def test_a_transaction_that_holds_it_up_is_named_with_its_user() -> None:
    holder = {"kind": "transaction", "id": "4711", "user": "batch", "since": "2026-11-21T22:00:00+00:00", "task": "t1"}
    found = list(answers("pending", limiting=holder))
    assert "held up by transaction 4711 (user batch, since 2026-11-21T22:00:00+00:00)" in found[0].sentence


def test_done_only_where_every_table_is_complete() -> None:
    done = conclude(answers("complete", "complete", proof_id="9"), "wait")
    assert done.state == "done"
    assert [proof["proof_id"] for proof in done.proof] == ["9", "9"]
    for verdicts in (("complete", "pending"), ("unknown",), ("complete", "blocked"), ()):
        assert conclude(answers(*verdicts), "wait").state == "wait"
        assert conclude(answers(*verdicts), "wait").proof == ()


def test_blocked_fails_only_where_it_is_asked_to() -> None:
    found = list(answers("pending", "blocked", limiting={"kind": "task", "id": "task1"}))
    assert conclude(found, "wait").state == "wait"
    assert conclude(found, "fail").state == "blocked"
    assert "held up by task task1" in conclude(found, "fail").text
    assert "t0" not in conclude(found, "fail").text  # only what blocks is told


def test_it_comes_back_when_the_slowest_table_may_be_there() -> None:
    found = [*answers("pending", retry_after_s=10), *answers("pending", retry_after_s=45), *answers("complete")]
    assert conclude(found, "wait").retry_after_s == 45


def test_a_cutoff_needs_its_offset() -> None:
    east = datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=-5)))
    assert cutoff_of(east) == cutoff_of("2026-11-22T05:00:00Z") == cutoff_of("2026-11-22 00:00:00-05:00")
    for bad in ("2026-11-22T00:00:00", datetime(2026, 11, 22), "yesterday", "", "None", None):  # noqa: DTZ001
        with pytest.raises(ValueError, match="cutoff is"):
            cutoff_of(bad)


def test_tables_come_as_a_list_or_as_text() -> None:
    assert tables_of("a, b\na") == tables_of(["a", " b "]) == ("a", "b")
    for bad in ("", " , ", [], [1], 3, None):
        with pytest.raises(ValueError, match="tables"):
            tables_of(bad)


def test_an_address_comes_from_a_connections_fields() -> None:
    assert client.address("console.internal") == "https://console.internal"
    assert client.address("http://127.0.0.1:8000/") == "http://127.0.0.1:8000"
    assert client.address("console", "http", 8000) == "http://console:8000"
    for bad in ("", "ftp://console", "https://", "https://me@console", "https://console/?x=1"):
        with pytest.raises(ValueError, match="host"):
            client.address(bad)


def test_the_token_shows_nowhere() -> None:
    endpoint = client.Endpoint("http://127.0.0.1:9", "qd_secret", timeout_s=1)
    assert "qd_secret" not in repr(endpoint)
    with pytest.raises(Unavailable) as caught:
        client.check(endpoint, [ORDERS], Manner())
    assert "qd_secret" not in str(caught.value)
