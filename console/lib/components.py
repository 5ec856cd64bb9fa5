"""Quarterdeck's components, as templates call them: plain values in, HTML of templates/partials/ out."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.forms import BoundField, CheckboxInput, Select
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from jinja2 import pass_context
from jinja2.runtime import Context

from console.lib import marks, words
from console.lib.templates import draw
from console.lib.vocabulary import canonical, look


# ---- icons and states ----
@lru_cache(maxsize=1024, typed=True)  # the same words give the same drawing: a page has a hundred, of some thirty kinds
def icon(name: str, size: str = "", tone: str = "", css: str = "", label: str = "") -> SafeString:
    """`{{ icon("rocket") }}`: an icon of the sprite; size sm or lg, tone colours it, label names it."""
    classes = " ".join(filter(None, ["qd-i", f"qd-i-{size}" if size else "", f"qd-fg-{tone}" if tone else "", css]))
    fill = SafeString(" data-fill") if name.endswith("-f") else ""
    spoken = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="{}"{} {}><use href="{}#i-{}"></use></svg>',
        classes,
        fill,
        spoken,
        static("img/icons.svg"),
        name,
    )


def state_icon(status: object, size: str = "", label: str = "") -> SafeString:
    """The icon of a state in its colour, spoken as the state's word (or `label`)."""
    tone, name = look(status)
    return icon(name, size=size, tone=tone, label=label or canonical(status))


def tone(status: object) -> str:
    """`{{ status|tone }}`: ok, warn, bad, unk, drain, pause, work or mute."""
    return look(status).tone


@lru_cache(maxsize=1024, typed=True)
def pill(status: object, word: object = "") -> SafeString:
    """`{{ pill(status) }}` or `{{ pill(status, "2 at risk") }}`: icon, word and colour together."""
    tone_, name = look(status)
    return draw("partials/_pill.html", tone=tone_, symbol=name, word=word or _said(status))


@lru_cache(maxsize=1024, typed=True)
def state(status: object, word: object = "") -> SafeString:
    """The same words in a table cell: a coloured icon and the word, without the pill."""
    tone_, name = look(status)
    return draw("partials/_state.html", tone=tone_, symbol=name, word=word or _said(status))


def _said(status: object) -> str:
    return str(status).replace("_", " ") if status not in (None, "") else "unknown"


# ---- time ----
@pass_context
def age(
    context: Context,
    as_of: dt.datetime | None,
    now: dt.datetime | None = None,
    limit_s: float = 60,
    every_s: float | None = None,
) -> SafeString:
    """`{{ age(as_of, now, limit_s, every_s) }}`: how old the figures around it are.

    Put it inside the `[data-live]` block that it dates: past `limit_s` that block turns unknown, also in the
    browser.
    `now` may be left out (or empty): then the page's own moment is used. None as `as_of` reads "never seen".
    """
    now = now or page_now(context)
    seconds = None if as_of is None else max(0.0, (now - as_of).total_seconds())
    part = 1.0 if seconds is None else min(1.0, seconds / limit_s if limit_s > 0 else 1.0)
    return draw(
        "partials/_age.html",
        at_ms=None if as_of is None else round(as_of.timestamp() * 1000),
        limit_s=f"{limit_s:g}",
        word="never seen" if seconds is None else ("stale, " if part >= 1 else "") + whole(seconds),
        dash=max(4, round(part * 100)),
        mood="is-stale" if part >= 1 else "is-old" if part > 0.75 else "",
        title=(f"updates every {words.duration(every_s)}, " if every_s else "")
        + f"unknown after {words.duration(limit_s)}",
    )


def page_now(context: Context) -> dt.datetime:
    """The moment the page is about: `now` or `shell.now` of the context, else the clock."""
    shell = context.get("shell")
    found = context.get("now") or getattr(shell, "now", None)
    return found if isinstance(found, dt.datetime) else timezone.now()


def whole(seconds: float) -> str:
    """An age in words: whole seconds, from a minute on whole minutes; it is read at a glance, not measured."""
    return words.duration(math.floor(seconds if seconds < 60 else seconds // 60 * 60))


@pass_context
def now_ms(context: Context) -> int:
    """The page's moment in milliseconds since 1970: what the browser counts ages from."""
    return round(page_now(context).timestamp() * 1000)


def duration(seconds: float | dt.timedelta | None) -> str:
    """Seconds (or a timedelta) in words: `14 min`; None is `unknown`."""
    return words.duration(seconds.total_seconds() if isinstance(seconds, dt.timedelta) else seconds)


@pass_context
def when(context: Context, at: dt.datetime | None, now: dt.datetime | None = None) -> SafeString:
    """`{{ when(at) }}`: the UTC time, with the day as soon as it is not today; the full moment on hover."""
    return moment(at, now or page_now(context))


def moment(at: dt.datetime | None, now: dt.datetime) -> SafeString:
    """The same where the page's moment is at hand: in rows."""
    if at is None:
        return format_html('<span class="qd-3">{}</span>', "never")
    at = at.astimezone(dt.UTC)
    today = now.astimezone(dt.UTC)
    text = at.strftime("%H:%M")
    if at.date() != today.date():
        text = at.strftime("%a %-d %b %H:%M" if abs((today - at).days) < 300 else "%-d %b %Y %H:%M")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        at.strftime("%a %-d %b %Y %H:%M:%S UTC"),
        text.replace(" ", words.NBSP),
    )


# ---- figures ----
def number(value: float | None) -> str:
    """`12 480`, `0.4`; None is `unknown`. Thousands are set apart by a narrow space."""
    if value is None:
        return "unknown"
    if float(value).is_integer() or abs(value) >= 100:
        return words.thousands(value)
    return f"{value:,.1f}"


def size(value: float | None) -> str:
    """Bytes in words: `4.2 MB`; None is `unknown`."""
    return words.size(value)


def initials(name: object) -> str:
    """`MO` of `Mira Okafor` or `mira.okafor`, for an avatar."""
    parts = [part for part in str(name).replace(".", " ").replace("-", " ").replace("_", " ").split() if part]
    return "".join(part[0] for part in parts[:2]).upper() or "?"


def control(field: BoundField) -> SafeString:
    """`{{ field|control }}`: a form field's widget in our looks, tied to its errors for those who can't see them."""
    widget = field.field.widget
    if isinstance(widget, CheckboxInput):
        css = "form-check-input"
    else:
        css = "form-select" if isinstance(widget, Select) else "form-control"
    attrs: dict[str, str | bool] = {"class": f"{widget.attrs.get('class', '')} {css}".strip()}
    return field.as_widget(attrs=attrs)


# ---- small drawings ----
def sparkline(points: Sequence[float | None], label: str, status: object = "healthy", width: int = 120) -> SafeString:
    """`{{ sparkline(points, "backlog of cpu, last 2 hours, now 41", status) }}`: None in points is a gap."""
    drawn = marks.spark(points, width)
    mood = look(status).tone if status else ""
    mood = mood if mood in ("warn", "bad") else ""
    return draw("partials/_sparkline.html", spark=drawn, label=label, mood=mood, width=width)


def fleetbar(
    in_service: int,
    launching: int = 0,
    draining: int = 0,
    lost: int = 0,
    baseline: int = 0,
    desired: int | None = 0,
    maximum: int = 0,
) -> SafeString:
    """One cell per worker up to the maximum; a grey tick at the baseline, a bright one at desired."""
    cells = marks.fleet_cells(in_service, launching, draining, lost, maximum)
    tick = marks.FLEET_STEP
    return draw(
        "partials/_fleetbar.html",
        cells=cells,
        width=max(tick, len(cells) * tick),
        baseline_x=baseline * tick - 4 if baseline else None,
        desired_x=desired * tick - 4 if desired else None,
        label=f"{in_service} in service, {launching} launching, {draining} draining, {lost} lost; "
        f"baseline {baseline}, desired {'unknown' if desired is None else desired}, max {maximum}",
    )


def slotbar(running: int, queued: int = 0, deferred: int = 0, total: int = 0, size: str = "") -> SafeString:
    """Slots of a pool or fleet: solid running, striped queued, dotted deferred, the rest open."""
    open_ = max(0, total - running - queued - deferred)
    amounts = [("mark", float(running)), ("queued", float(queued)), ("deferred", float(deferred))]
    return draw(
        "partials/_slotbar.html",
        parts=marks.parts(amounts, max(total, running + queued + deferred)),
        size=size,
        label=f"{running} running, {queued} queued, {deferred} deferred, {open_} open of {total}",
    )


@lru_cache(maxsize=1024, typed=True)
def bar(value: float, of: float, status: object = "", label: str = "", size: str = "") -> SafeString:
    """A meter: one quantity of a limit. Blue while it is only a quantity; give a status to colour it."""
    share = value / of * 100 if of else 0
    tone_ = look(status).tone if status else "mark"
    return draw(
        "partials/_bar.html",
        parts=marks.parts([(tone_, value)], of),
        size=size,
        label=label or f"{round(share)} %",
    )


def propbar(amounts: Sequence[Sequence[Any]], label: str = "") -> SafeString:
    """Parts of a whole, worst at the right end: `amounts` are (status, count) or (status, count, word)."""
    total = sum(float(row[1]) for row in amounts)
    said = ", ".join(f"{row[1]} {row[2] if len(row) > 2 else _said(row[0])}" for row in amounts)
    return draw(
        "partials/_bar.html",
        parts=marks.parts([(look(row[0]).tone, float(row[1])) for row in amounts], total, gap=0.3),
        size="lg",
        label=label or f"{said} of {total:g}",
    )


def segs(amounts: Sequence[Sequence[Any]], label: str = "") -> SafeString:
    """Countable progress, up to 24 segments: `amounts` are (status, count[, word]), in order."""
    tones = [look(row[0]).tone for row in amounts for _ in range(int(row[1]))]
    said = ", ".join(f"{row[1]} {row[2] if len(row) > 2 else _said(row[0])}" for row in amounts)
    return draw(
        "partials/_segs.html",
        parts=marks.parts([(tone_, 1.0) for tone_ in tones], len(tones), gap=0.9),
        label=label or said,
    )


def strip(cells: Sequence[object], label: str, size: str = "") -> SafeString:
    """A strip of periods, oldest first: each a status, `""` draws nothing; e.g. heartbeats of 24 hours."""
    return _strip(tuple(cells), label, size)


@lru_cache(maxsize=64, typed=True)  # 144 periods take a millisecond, and one of ten minutes is the same for ten minutes
def _strip(cells: tuple[object, ...], label: str, size: str) -> SafeString:
    step = 100 / len(cells) if cells else 100
    drawn = [
        marks.Part(look(cell).tone if cell != "standing_by" else "idle", round(i * step, 3), round(step * 0.72, 3))
        for i, cell in enumerate(cells)
        if cell != ""
    ]
    return draw("partials/_strip.html", parts=drawn, label=label, size=size)
