"""What the shape refuses, in words: each of pydantic's errors as (path, what is wrong, what to do)."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from console.platform.declared import shape
from console.platform.declared.source import Findings, Path, value_at

_DURATIONS = {
    "slo",
    "visibility_timeout",
    "repage",
    "every",
    "batch",
    "allowed_lateness",
    "target_wait",
    "cooldown",
    "boot",
    "quiet_after",
    "unread_after",
    "swept_within",
}
_KINDS = {
    "string_type": ("text", "Put quotes around it."),
    "int_type": ("a whole number", "Write digits without quotes."),
    "int_from_float": ("a whole number", "Write digits without a fraction."),
    "float_type": ("a number", "Write digits without quotes."),
    "float_parsing": ("a number", "Write digits, such as 0.09."),
    "bool_type": ("true or false", "Write true or false, without quotes."),
    "tuple_type": ("a list", "Write each item on a line of its own after a dash, or [a, b]."),
    "model_type": ("a mapping of keys to values", "Write `key: value` lines below it."),
    "model_attributes_type": ("a mapping of keys to values", "Write `key: value` lines below it."),
    "dict_type": ("a mapping of keys to values", "Write `key: value` lines below it."),
}


def shape_faults(error: ValidationError, data: Any) -> Findings:
    for detail in error.errors(include_url=False, include_input=False):
        yield _shape_fault(detail, data)


def _shape_fault(detail: ErrorDetails, data: Any) -> tuple[Path, str, str]:
    path = _plain(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return path, "is missing", _meaning(path, data)
    if kind == "extra_forbidden":
        nearest = difflib.get_close_matches(str(path[-1]), sorted(_fields(path[:-1], data)), 1)
        known = ", ".join(sorted(_fields(path[:-1], data)))
        return (
            path,
            "is not a known key",
            f"Did you mean {nearest[0]}?" if nearest else f"Known are: {known}.",
        )
    if kind == "string_type" and path[-1] in _DURATIONS:
        return path, "has no unit", f"Write a number and one of s, m, h, d, such as {value_at(data, path)}m."
    if kind in _KINDS:
        expected, hint = _KINDS[kind]
        return path, f"is {_type_word(value_at(data, path))} where {expected} is expected", hint
    if kind == "literal_error":
        return path, f"is {value_at(data, path)!r}", f"It must be {context['expected']}."
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return (*path, "kind"), "names no kind of pager", f"Known are: {', '.join(sorted(_PAGERS))}."
    if kind in {"greater_than_equal"}:
        return path, f"is {value_at(data, path)}", f"It must be at least {context['ge']}."
    if kind in {"string_too_short", "too_short"}:
        return path, "is empty", _meaning(path, data)
    if kind == "string_pattern_mismatch":
        what, example = shape.FORMS[context["pattern"]]
        return path, f"{value_at(data, path)!r} is not {what}", f"Write it like {example}."
    return path, detail["msg"], _meaning(path, data)


def _plain(loc: tuple[int | str, ...]) -> Path:
    """Pydantic's place without the tag that it adds for a pager's kind."""
    if len(loc) > 2 and loc[0] == "pagers":
        return (*loc[:2], *loc[3:])
    return loc


_MAPPINGS: dict[str, type[shape.Shape]] = {
    "airflow": shape.Airflow,
    "broker": shape.Broker,
    "warehouse": shape.Database,
    "lease": shape.Database,
    "dead_man": shape.DeadMan,
    "hooks": shape.Hooks,
}
_ITEMS: dict[str, type[shape.Shape]] = {
    "fleets": shape.Fleet,
    "sources": shape.Source,
    "tasks": shape.Task,
    "tables": shape.Table,
    "datastores": shape.Datastore,
    "storage": shape.Storage,
    "routes": shape.Route,
}
_PAGERS: dict[str, type[shape.Shape]] = {
    "pagerduty": shape.PagerDuty,
    "slack": shape.Slack,
    "webhook": shape.Webhook,
    "email": shape.Email,
    "sns": shape.Sns,
    "apprise": shape.Apprise,
}
_HOOKS: dict[str, type[shape.Shape]] = {"pagerduty": shape.PagerDutyHook, "alertmanager": shape.AlertmanagerHook}


def _model(path: Path, data: Any) -> type[shape.Shape] | None:
    """The shape of the mapping at `path`."""
    if not path:
        return shape.Platform
    if path[0] == "pagers" and len(path) == 2:
        return _PAGERS.get(str(value_at(data, (*path, "kind"))))
    if path[0] == "hooks" and len(path) == 2:
        return _HOOKS.get(str(path[1]))
    if len(path) == 2:
        return _ITEMS.get(str(path[0]))
    return _MAPPINGS.get(str(path[0])) if len(path) == 1 else None


def _fields(path: Path, data: Any) -> dict[str, Any]:
    model = _model(path, data)
    return dict(model.model_fields) if model else {}


def _meaning(path: Path, data: Any) -> str:
    field = _fields(path[:-1], data).get(str(path[-1])) if path else None
    described = field.description if field else None
    return f"Add it: {described}" if described else f"Add `{path[-1] if path else 'version'}: …` there."


def _type_word(value: Any) -> str:
    if value is None:
        return "empty"
    words = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a mapping",
    }
    return words.get(type(value), f"a {type(value).__name__}")
