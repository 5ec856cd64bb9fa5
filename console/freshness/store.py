"""Tracks, courses and legs as JSON and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.freshness.follow import Course, Point
from console.freshness.watermark import Beat, Leg, Mark, TaskTrack

VERSION = 1
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
"""Made once: a poll writes thousands of legs."""


def _out(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _in(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _beat(beat: Beat) -> list[Any]:
    safe = _out(beat.row_safe_before)
    return [beat.epoch, beat.seq, _out(beat.beat_at), safe, beat.prepared_count, beat.own_xid, beat.xmin]


def _read_beat(row: list[Any]) -> Beat:
    epoch, seq, beat_at, safe, prepared, own_xid, xmin = row
    return Beat(epoch, seq, _at(beat_at), _in(safe), prepared, own_xid, xmin)


def dump_track(track: TaskTrack) -> str:
    return json.dumps(
        {
            "v": VERSION,
            "epoch": track.epoch,
            "run": track.run,
            "left": track.left,
            "seen": [_beat(beat) for beat in track.seen],
            "waiting": [_beat(beat) for beat in track.waiting],
            "marks": [[mark.own_xid, _out(mark.beat_at)] for mark in track.marks],
            "newest_at": _out(track.newest_at),
            "newest_seq": track.newest_seq,
            "source_seq": track.source_seq,
            "proof": _beat(track.proof) if track.proof else None,
            "commit_at": _out(track.commit_at),
            "row_at": _out(track.row_at),
            "unsettled": track.unsettled,
        },
        separators=(",", ":"),
    )


def load_track(text: str) -> TaskTrack:
    """What `dump_track` wrote; the first track of a task for an empty text."""
    if not text:
        return TaskTrack()
    kept = json.loads(text)
    return TaskTrack(
        epoch=kept["epoch"],
        run=kept["run"],
        left=kept["left"],
        seen=tuple(_read_beat(row) for row in kept["seen"]),
        waiting=tuple(_read_beat(row) for row in kept["waiting"]),
        marks=tuple(Mark(xid, _at(at)) for xid, at in kept["marks"]),
        newest_at=_in(kept["newest_at"]),
        newest_seq=kept["newest_seq"],
        source_seq=kept["source_seq"],
        proof=_read_beat(kept["proof"]) if kept["proof"] else None,
        commit_at=_in(kept["commit_at"]),
        row_at=_in(kept["row_at"]),
        unsettled=kept["unsettled"],
    )


def dump_course(course: Course) -> str:
    points = [[_out(point.seen_at), _out(point.commit_at), _out(point.row_at)] for point in course.points]
    ends = [_out(at) for at in (course.changed_at, course.watched_since, course.looked_at)]
    return json.dumps([points, *ends], separators=(",", ":"))


def load_course(text: str) -> Course:
    if not text:
        return Course()
    points, changed_at, watched_since, looked_at = json.loads(text)
    return Course(
        tuple(Point(_at(seen_at), _in(commit_at), _in(row_at)) for seen_at, commit_at, row_at in points),
        _in(changed_at),
        _in(watched_since),
        _in(looked_at),
    )


def dump_legs(legs: Mapping[str, Leg]) -> str:
    return _ENCODE(
        {
            name: [
                leg.epoch,
                _out(leg.commit_at),
                _out(leg.row_at),
                _out(leg.load_ended_at),
                leg.loading,
                leg.loads,
                leg.broken,
                leg.held,
            ]
            for name, leg in legs.items()
        }
    )


def load_legs(text: str, tasks: tuple[str, ...]) -> dict[str, Leg]:
    """The legs of a table through these tasks; one that was not followed before begins anew."""
    kept = json.loads(text) if text else {}
    found = {}
    for task in tasks:
        if task not in kept:
            found[task] = Leg()
            continue
        epoch, commit_at, row_at, load_ended_at, loading, loads, broken, held = kept[task]
        found[task] = Leg(epoch, _in(commit_at), _in(row_at), _in(load_ended_at), loading, loads, broken, held)
    return found
