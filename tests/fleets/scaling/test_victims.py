"""Who goes when fewer are needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.fleets.scaling.victims import Candidate, choose

workers = st.lists(
    st.builds(
        Candidate,
        instance_id=st.uuids().map(str),
        node=st.just("celery@x"),
        active=st.one_of(st.none(), st.integers(0, 4)),
        empty_in_s=st.one_of(st.none(), st.floats(0, 1000)),
        version=st.sampled_from(["", "9", "10", "abc"]),
        zone=st.sampled_from(["", "a", "b", "c"]),
        up_s=st.one_of(st.none(), st.floats(0, 1e6)),
    ),
    max_size=12,
    unique_by=lambda each: each.instance_id,
)


@given(workers, st.integers(0, 12))
def test_a_busy_one_never_goes_while_an_idle_one_is_there(candidates: list[Candidate], number: int) -> None:
    chosen = [victim.candidate for victim in choose(candidates, number)]
    left = [each for each in candidates if each not in chosen]
    assert not (any(not each.idle for each in chosen) and any(each.idle for each in left))


@given(workers, st.integers(0, 12), st.data())
def test_never_the_last_nor_an_unseen_nor_one_in_other_hands(
    candidates: list[Candidate], number: int, data: st.DataObject
) -> None:
    keep = data.draw(st.sets(st.sampled_from([each.instance_id for each in candidates]))) if candidates else set()
    chosen = [victim.candidate for victim in choose(candidates, number, keep=keep)]
    assert len(chosen) <= number
    assert len({each.instance_id for each in chosen}) == len(chosen)
    assert len(chosen) < len(candidates) or not candidates
    assert all(each.active is not None and each.instance_id not in keep for each in chosen)


def worker(
    name: str, active: int = 0, empty_in_s: float | None = None, version: str = "2", zone: str = "a"
) -> Candidate:
    return Candidate(name, f"celery@{name}", active, empty_in_s, version, zone, 100.0)


def order(*candidates: Candidate) -> list[str]:
    return [victim.candidate.instance_id for victim in choose([*candidates, worker("spare", 9)], len(candidates))]


def test_of_the_busy_the_one_that_is_empty_soonest() -> None:
    assert order(worker("long", 1, 900.0), worker("soon", 3, 20.0), worker("unknown", 1)) == ["soon", "long", "unknown"]


def test_of_the_idle_the_oldest_version_then_the_fullest_zone() -> None:
    assert order(worker("new", version="10"), worker("old", version="9"))[0] == "old"
    assert order(worker("b1", zone="b"), worker("c1", zone="c"), worker("c2", zone="c"))[0] in ("c1", "c2")


def test_why_is_said() -> None:
    assert choose([worker("a"), worker("b", 1)], 1)[0].why == "idle"
