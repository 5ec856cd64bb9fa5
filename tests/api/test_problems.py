"""Every error of the API is problem+json, tells the caller what to do, and nothing about our insides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.api.failing_urls import SECRET

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.failing_urls")]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem of an answer, which must be one."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    return body


def post(client: Client, path: str, body: object) -> Any:
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("debug", [False, True])
def test_a_crash_tells_the_request_id_and_no_cause(client: Client, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    answer = client.get("/api/v1/crash")
    body = problem(answer, 500)
    assert body["request_id"] == answer["X-Request-ID"]
    assert SECRET not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()


def test_a_crash_is_in_the_log_with_its_cause(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/api/v1/crash")
    assert any(SECRET in record.exc_text for record in caplog.records if record.exc_text)


def test_a_database_that_is_away_is_503(client: Client) -> None:
    answer = client.get("/api/v1/database")
    assert SECRET not in str(problem(answer, 503))
    assert answer["Retry-After"]


@pytest.mark.parametrize("debug", [False, True])
def test_an_unknown_address_is_404(client: Client, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    assert problem(client.get("/api/v1/nowhere"), 404)["type"] == "urn:quarterdeck:problem:not-found"


def test_a_wrong_method_is_405_naming_the_right_one(client: Client) -> None:
    answer = client.delete("/api/v1/crash")
    problem(answer, 405)
    assert answer["Allow"] == "GET"


def test_a_missing_thing_is_404_with_the_views_words(client: Client) -> None:
    assert problem(client.get("/api/v1/missing"), 404)["detail"] == "There is no such worker."


def test_an_unknown_name_is_404_naming_the_nearest(client: Client) -> None:
    assert "Did you mean cpu?" in problem(client.get("/api/v1/fleets/cpuu"), 404)["detail"]


def test_a_name_like_no_other_is_404_naming_what_there_is(client: Client) -> None:
    assert "There is cpu, default and io." in problem(client.get("/api/v1/fleets/zzzzzz"), 404)["detail"]


def test_a_wrong_parameter_is_422_by_field(client: Client) -> None:
    assert list(problem(client.get("/api/v1/fleets/cpu?limit=x"), 422)["errors"]) == ["limit"]


@pytest.mark.parametrize("reason", ["", "   ", "\n\t"])
def test_a_blank_reason_is_422(client: Client, reason: str) -> None:
    body = problem(post(client, "resize", {"reason": reason, "slots": {"total": 1}}), 422)
    assert body["errors"] == {"reason": ["Say why: a reason is required and may not be blank."]}


def test_missing_and_unknown_fields_are_named(client: Client) -> None:
    body = problem(post(client, "resize", {"slots": {"total": "many"}, "resaon": "typo"}), 422)
    assert body["errors"]["reason"] == ["This field is required."]
    assert body["errors"]["resaon"] == ["This field is not known here."]
    assert "slots.total" in body["errors"]


def test_a_reason_is_trimmed(client: Client) -> None:
    answer = post(client, "resize", {"reason": "  night shift ", "slots": {"total": 1}})
    assert answer.json()["reason"] == "night shift"


def test_a_body_that_is_no_json_is_400(client: Client) -> None:
    answer = client.post("/api/v1/resize", "{", content_type="application/json")
    problem(answer, 400)


def test_no_body_at_all_is_a_problem_too(client: Client) -> None:
    assert client.post("/api/v1/resize").headers["Content-Type"] == "application/problem+json"


def test_a_conflict_names_what_is_in_the_way(client: Client) -> None:
    body = problem(client.post("/api/v1/conflict"), 409)
    assert body["operation"] == 7
    assert body["type"] == "urn:quarterdeck:problem:operation-active"


def test_times_are_utc_with_a_z(client: Client) -> None:
    body = client.get("/api/v1/remembered").json()
    assert body == {
        "status": "degraded",
        "reason": "one of two is late",
        "as_of": "2026-11-22T03:07:01.234Z",
        "age_s": 1.5,
    }


@pytest.mark.parametrize("path", ["naive", "nan"])
def test_what_json_or_a_reader_would_misread_is_never_sent(client: Client, path: str) -> None:
    problem(client.get(f"/api/v1/{path}"), 500)
