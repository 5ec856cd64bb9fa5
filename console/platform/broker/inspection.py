"""Asking named Celery workers: all questions at once, replies read in batches, nothing left behind on the broker."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from typing import Any

import redis

from console.platform.broker.wire import (
    CANARY,
    CANARY_QUEUE,
    CONTROL,
    SEPARATOR,
    command,
    identity,
    opened,
    reply_key,
)
from console.platform.readings import TaskIdentity, WorkerReading

QUESTIONS = ("active_queues", "active", "reserved", "scheduled", "stats")
REPLIES = "reply.quarterdeck.pidbox"
"""The exchange of the replies. Always the same: workers remember each exchange that they ever replied to."""
FORGOTTEN_S = 600
"""A reply queue of a process that was killed in the middle is swept after this long."""
LATE_S = 60
"""A reply that was on its way when we stopped waiting may still arrive; with its queue it is gone after this long."""
LOOK_EVERY_S = 0.02


def ask(client: redis.Redis, prefix: str, nodes: list[str], timeout_s: float) -> tuple[WorkerReading, ...]:
    """The answers of exactly these nodes, as far as they come within `timeout_s`; returns as soon as all have come."""
    key = reply_key()
    queue, table = f"{prefix}{key}.{REPLIES}", f"{prefix}_kombu.binding.{REPLIES}"
    member = SEPARATOR.join((key, "", f"{key}.{REPLIES}"))
    database = client.connection_pool.connection_kwargs.get("db") or 0
    channel = f"{prefix}/{database}.{CONTROL}"
    tickets = {str(uuid.uuid4()): question for question in QUESTIONS}
    answers: dict[str, dict[str, Any]] = {}
    try:
        _bind(client, table, member, queue, timeout_s)
        pipe = client.pipeline(transaction=False)
        for ticket, question in tickets.items():
            pipe.publish(channel, command(question, {}, nodes, ticket, REPLIES, key))
        pipe.execute()
        answers = _collect(client, queue, tickets, set(nodes), timeout_s)
    finally:
        _unbind(client, table, member, queue, late=sum(map(len, answers.values())) < len(nodes) * len(tickets))
    return tuple(_reading(node, answers[node]) for node in nodes if node in answers)


def _bind(client: redis.Redis, table: str, member: str, queue: str, timeout_s: float) -> None:
    """Announce the reply queue as kombu does. It holds a stopper, so that Redis lets it expire if we are killed now."""
    lifetime_s = int(timeout_s) + FORGOTTEN_S
    pipe = client.pipeline(transaction=True)
    pipe.rpush(queue, b"")
    pipe.expire(queue, lifetime_s)
    pipe.sadd(table, member)
    pipe.expire(table, lifetime_s)
    pipe.smembers(table)
    members = pipe.execute()[-1]
    stale = [other for other in members if _age_s(other) > lifetime_s]
    if stale:
        client.srem(table, *stale)


def _age_s(member: bytes) -> float:
    stamp = member.split(b"-", 1)[0]
    return time.time() - int(stamp) if stamp.isdigit() else 0.0


def _unbind(client: redis.Redis, table: str, member: str, queue: str, *, late: bool) -> None:
    """No new replies. Where some are `late` the stopper stays for a while, and they expire with it: without it they
    would make the queue anew and stay for ever, token and all."""
    pipe = client.pipeline(transaction=False)
    pipe.srem(table, member)
    if late:
        pipe.ltrim(queue, -1, -1)
        pipe.expire(queue, LATE_S)
    else:
        pipe.delete(queue)
    try:
        pipe.execute()
    except redis.RedisError:  # what was asked has failed already, or is answered; both keys expire by themselves
        return


def _collect(
    client: redis.Redis, queue: str, tickets: dict[str, str], nodes: set[str], timeout_s: float
) -> dict[str, dict[str, Any]]:
    """Replies by node and question, already without task arguments."""
    answers: dict[str, dict[str, Any]] = defaultdict(dict)
    missing = len(nodes) * len(tickets)
    end = time.monotonic() + timeout_s
    while missing and time.monotonic() < end:
        pipe = client.pipeline(transaction=True)
        pipe.lrange(queue, 0, -2)  # all but the stopper
        pipe.ltrim(queue, -1, -1)
        messages = pipe.execute()[0]
        for message in reversed(messages):
            reply = opened(message)
            if reply is None or not isinstance(reply[0], dict):
                continue
            question = tickets.get(str(reply[1].get("ticket")))
            for node, answer in reply[0].items():
                if question and node in nodes and question not in answers[node]:
                    answers[node][question] = _distilled(question, answer)
                    missing -= 1
        if not messages:
            time.sleep(min(LOOK_EVERY_S, max(end - time.monotonic(), 0)))
    return answers


def _distilled(question: str, answer: Any) -> Any:
    """What is kept of an answer; None where the worker could not give one (`{"error": …}`)."""
    if question == "stats":
        return _stats(answer)
    if not isinstance(answer, list):
        return None
    if question == "active_queues":
        names = (str(row["name"]) for row in answer if isinstance(row, dict) and "name" in row)
        return tuple(name for name in names if not name.startswith(CANARY_QUEUE))  # our own, and no work of Airflow's
    if question == "scheduled":  # each wrapped with its time
        return tuple(identity(row.get("request")) if isinstance(row, dict) else identity(None) for row in answer)
    return tuple(identity(request) for request in answer)


def _stats(answer: Any) -> tuple[int | None, int | None, int | None, int | None] | None:
    """Process id, concurrency, tasks processed, and how many of these were canaries."""
    if not isinstance(answer, dict) or "error" in answer:
        return None
    pool, totals = answer.get("pool"), answer.get("total")
    size = pool.get("max-concurrency") if isinstance(pool, dict) else None
    done = sum(each for each in totals.values() if isinstance(each, int)) if isinstance(totals, dict) else None
    canaries = totals.get(CANARY, 0) if isinstance(totals, dict) else None
    pid = answer.get("pid")
    return (
        pid if isinstance(pid, int) else None,
        size if isinstance(size, int) else None,
        done,
        canaries if isinstance(canaries, int) else None,
    )


def _reading(node: str, answers: dict[str, Any]) -> WorkerReading:
    pid, concurrency, processed, canaries = answers.get("stats") or (None, None, None, None)
    active: tuple[TaskIdentity, ...] | None = answers.get("active")
    return WorkerReading(
        node=node,
        pid=pid,
        concurrency=concurrency,
        queues=answers.get("active_queues"),
        active=active,
        reserved=answers.get("reserved"),
        processed=processed,
        scheduled=answers.get("scheduled"),
        canaries=canaries,
    )
