"""Pieces of a worker's row that are the same in many rows: drawn once, then remembered. A page has fifty rows."""

from __future__ import annotations

from functools import lru_cache

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from console.lib.templatetags import qd

register = template.Library()


@register.simple_tag
def state_pill(state: str, overdue: bool = False) -> SafeString:
    """`{% state_pill worker.state worker.overdue %}`: the pill of a worker's state."""
    return _pill("degraded", "overdue") if overdue else _pill(str(state), "")


@register.simple_tag
def slots_bar(used: int, slots: int) -> SafeString:
    """`{% slots_bar 3 8 %}`: how many of a worker's slots are taken."""
    return _bar(used, slots)


@lru_cache(maxsize=64)
def _pill(status: str, word: str) -> SafeString:
    return render_to_string("partials/_pill.html", qd.pill(status, word))


@lru_cache(maxsize=1024)
def _bar(used: int, slots: int) -> SafeString:
    return render_to_string("partials/_bar.html", qd.bar(used, slots, label=f"{used} of {slots} slots used"))
