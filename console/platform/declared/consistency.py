"""What the shape can't see: secrets, references, URLs, duplicates, names that lead nowhere.

Each check yields (path, what is wrong, what to do), and says all it can even where other lines are malformed.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from console.platform import mysql_url
from console.platform.declared import cutoffs, shape
from console.platform.declared.source import REFERENCE, Findings, Path, leaves, value_at
from console.platform.slo import floor, floor_s

SECRETS = {"password", "token", "routing_key", "secret"}
PASSWORD = re.compile(r"://[^/?#@\s]*:([^@\s]+)@|[?&]password=([^&\s]+)")
SCHEMES: dict[str, tuple[str, ...]] = {
    "airflow": ("http", "https"),
    "broker": ("redis", "rediss"),
    "warehouse": ("postgresql", "postgres"),
    "lease": ("postgresql", "postgres"),
    "pagers": ("http", "https"),
    "dead_man": ("http", "https"),
}


def references(data: Any, environ: Mapping[str, str]) -> Findings:
    """Secrets are references, and every reference leads somewhere."""
    for path, text in leaves(data):
        key = str(path[-1]) if path else ""
        variable = _SECRET_URLS.get(_kind(data, path)) if key == "url" else None
        if key in SECRETS and text and not REFERENCE.fullmatch(text):
            name = f"{str(path[0]).rstrip('s')}_{key}".upper()
            yield path, "holds a secret as a value", f"Put it in the environment and write ${{{name}}} here."
        elif variable and text and not REFERENCE.search(text):
            yield path, "holds a secret as a value", f"Put it in the environment and write ${{{variable}}} here."
        elif _has_password(text):
            yield (
                path,
                "holds a password in its URL",
                "Put the whole URL in the environment and write ${NAME} here.",
            )
        missing = [name for name in REFERENCE.findall(text) if not environ.get(name)]
        if missing:
            names = " and ".join(missing)
            yield (
                path,
                f"refers to {names}, which is not set",
                f"Set {names} in the environment of every console process.",
            )


_SECRET_URLS = {"slack": "SLACK_WEBHOOK_URL", "apprise": "APPRISE_URL", "dead_man": "DEAD_MAN_URL"}
"""Whose URL is the secret itself."""


def _kind(data: Any, path: Path) -> str:
    if path[0] == "pagers":
        return str(value_at(data, (*path[:2], "kind")))
    return str(path[0])


def _has_password(text: str) -> bool:
    return any(found and not REFERENCE.search(found) for pair in PASSWORD.findall(text) for found in pair)


def urls(raw: dict[str, Any], data: dict[str, Any]) -> Findings:
    """Each URL has a scheme that its system speaks. Values are not repeated: they may hold a password."""
    for path, text in leaves(data):
        if not path or path[-1] != "url" or REFERENCE.search(text) or not text:
            continue
        schemes = None if _kind(data, path) == "apprise" else SCHEMES.get(str(path[0]))
        if path[0] == "sources":
            engine = value_at(data, (*path[:-1], "engine"))
            schemes = ("mysql",) if engine == "mysql" else ("postgresql", "postgres")
        if not schemes:
            continue
        references = REFERENCE.findall(str(value_at(raw, path)))
        subject = f"(from {', '.join(references)}) " if references else ""
        hint = f"Expected {schemes[0]}://…" + (f", in {references[0]}." if references else ".")
        try:
            parts = urlsplit(text)
            bad = not parts.hostname and path[0] not in {"warehouse", "lease", "sources"}
            _ = parts.port
        except ValueError:
            yield path, f"{subject}is not a URL", hint
            continue
        if schemes == ("mysql",) and parts.scheme == "mysql":
            try:
                mysql_url.parse(text)
            except ValueError as error:
                yield path, f"{subject}{error}", hint
            continue
        if parts.scheme not in schemes:
            scheme = repr(parts.scheme) if "://" in text else "no scheme"
            yield path, f"{subject}starts with {scheme}", hint
        elif bad:
            yield path, f"{subject}names no host", hint
        elif path[0] in _CALLED and _is_private(parts.hostname or "") and not _allowed(data, path):
            yield path, f"{subject}is a private address, which is refused", "If it is meant, add allow_private: true."


_CALLED = {"pagers", "dead_man"}
"""Whose URL the console sends to on its own. A name is looked up when it is sent to; here only what can be read."""


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().endswith((".localhost", ".internal"))


def _allowed(data: Any, path: Path) -> bool:
    return value_at(data, (*path[:-1], "allow_private")) is True


def sign_in(data: dict[str, Any]) -> Findings:
    airflow = data.get("airflow")
    if not isinstance(airflow, dict):
        return
    token, user, password = (bool(airflow.get(key)) for key in ("token", "username", "password"))
    remedy = "Give either username and password, or token."
    if token and (user or password):
        yield ("airflow", "token"), "is given beside a user", remedy
    elif not token and not (user and password):
        absent = "password" if user else "username"
        yield ("airflow", absent), "is missing: the console can't sign in", remedy


def region(data: dict[str, Any]) -> Findings:
    on_aws = [section for section in ("fleets", "tasks", "datastores") if data.get(section)]
    on_aws += ["buckets of storage"] if any(item.get("bucket") for _, item in _items(data, "storage")) else []
    if on_aws and not data.get("region"):
        yield ("region",), f"is missing, but {on_aws[0]} are declared", "Add AWS' region, such as eu-north-1."


def _good(data: dict[str, Any], section: str) -> list[tuple[Path, Any]]:
    """The well-formed items of a section, so that one bad line does not hide the faults of others."""
    adapter: TypeAdapter[Any] = TypeAdapter(shape.SECTIONS[section])
    good = []
    for path, item in _items(data, section):
        try:
            good.append((path, adapter.validate_python(item)))
        except ValidationError:
            continue
    return good


def _items(data: dict[str, Any], section: str) -> list[tuple[Path, dict[str, Any]]]:
    """Every item of a section that is a mapping at all."""
    items = data.get(section)
    found = enumerate(items if isinstance(items, list) else [])
    return [((section, index), item) for index, item in found if isinstance(item, dict)]


def _names(data: dict[str, Any], section: str, key: str) -> dict[str, Path]:
    """Where each name is first declared, malformed items included."""
    found: dict[str, Path] = {}
    for path, item in _items(data, section):
        if isinstance(item.get(key), str):
            found.setdefault(item[key], path)
    return found


def consistency(data: dict[str, Any]) -> Findings:
    yield from _duplicates(data)
    for path, fleet in _good(data, "fleets"):
        if fleet.baseline > fleet.max:
            yield (
                (*path, "baseline"),
                f"is {fleet.baseline}, more than max ({fleet.max})",
                "Lower baseline or raise max.",
            )
        for index, hours in enumerate(fleet.autoscaling.hours if fleet.autoscaling else ()):
            if hours.baseline > fleet.max:
                yield (
                    (*path, "autoscaling", "hours", index, "baseline"),
                    f"is {hours.baseline}, more than max ({fleet.max})",
                    "Lower it or raise max.",
                )
            if hours.begins == hours.ends:
                yield (
                    (*path, "autoscaling", "hours", index, "ends"),
                    "is when the hours begin",
                    "Write another time; for the whole day set the fleet's own baseline.",
                )
        if fleet.hardware == "cpu-bound":
            if fleet.concurrency not in (None, fleet.vcpus):
                yield (
                    (*path, "concurrency"),
                    f"is {fleet.concurrency}, but a cpu-bound fleet runs one task per core ({fleet.vcpus})",
                    f"Write {fleet.vcpus}, leave it out, or change hardware.",
                )
        elif fleet.concurrency is None:
            yield (
                (*path, "concurrency"),
                "is missing",
                "Add how many tasks a worker of this fleet runs at once.",
            )
    sources, tasks = _names(data, "sources", "name"), _names(data, "tasks", "name")
    reads: dict[str, str] = {}
    for path, task in _items(data, "tasks"):
        source = task.get("source")
        if isinstance(source, str):
            reads.setdefault(str(task.get("name")), source)
            if source not in sources:
                yield (*path, "source"), f"{source!r} is not declared", _nearest(source, sources, "sources")
    for path, table in _items(data, "tables"):
        name, named = table.get("task"), str(table.get("name")).split(".")[0]
        if not isinstance(name, str):
            continue
        if name not in tasks:
            yield (*path, "task"), f"{name!r} is not declared", _nearest(name, tasks, "tasks")
        elif reads.get(name, named) != named:
            yield (
                (*path, "name"),
                f"begins with {named!r}, but its task reads {reads[name]!r}",
                "A table is named source.schema.table, by its task's source.",
            )
    yield from _routes(data)
    yield from _promises(data)
    yield from _storage(data)
    if data.get("tables") and not data.get("warehouse"):
        yield (
            ("warehouse",),
            "is missing, but tables are declared",
            'Add warehouse: {url: "${WAREHOUSE_URL}"}.',
        )


BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
SWEPT_LEAST_S = 86400.0
"""The provider's sweep leaves a hand-off for a day, so that who comes too late is told so."""


def _storage(data: dict[str, Any]) -> Findings:
    """Each storage is one place, named as its system names it."""
    for path, storage in _good(data, "storage"):
        if storage.bucket and storage.folder:
            yield (*path, "folder"), "is given beside a bucket", "Keep one of the two: a storage is one place."
        elif not storage.bucket and not storage.folder:
            yield (*path, "bucket"), "is missing", "Give a bucket, or the folder of a local twin."
        if storage.bucket and not REFERENCE.search(storage.bucket) and not BUCKET.fullmatch(storage.bucket):
            yield (
                (*path, "bucket"),
                f"{storage.bucket!r} is not a bucket's name",
                "Write the name alone, such as platform-files; what follows it is `prefix`.",
            )
        if storage.folder and not REFERENCE.search(storage.folder) and not storage.folder.startswith("/"):
            yield (*path, "folder"), f"{storage.folder!r} is not an absolute path", "Begin it with a slash."
        if storage.prefix and not storage.bucket:
            yield (*path, "prefix"), "is given without a bucket", "Put it into `folder`, or leave it out."
        if any(part in {"", ".", ".."} for part in storage.prefix.strip("/").split("/")) and storage.prefix.strip("/"):
            yield (*path, "prefix"), f"{storage.prefix!r} is not a prefix of keys", "Write it like team/files."
        if shape.seconds(storage.swept_within) < SWEPT_LEAST_S:
            yield (
                (*path, "swept_within"),
                f"is {storage.swept_within}, less than the day for which housekeeping leaves what has expired",
                "Write 1d or more.",
            )


def _routes(data: dict[str, Any]) -> Findings:
    """Every route leads to pagers that are declared, and what is critical reaches somebody."""
    pagers = _names(data, "pagers", "name")
    for path, route in _items(data, "routes"):
        named = route.get("pagers")
        named = named if isinstance(named, list) else []
        for index, name in enumerate(named):
            if isinstance(name, str) and name not in pagers:
                yield (*path, "pagers", index), f"{name!r} is not declared", _nearest(name, pagers, "pagers")
            elif name in named[:index]:
                yield (*path, "pagers", index), f"{name!r} is there twice", "Name each once."
    routes = _good(data, "routes")
    whole = routes and len(routes) == len(_items(data, "routes"))
    if whole and not any("critical" in route.severities for _, route in routes):
        yield ("routes",), "none takes critical incidents", "Add critical to a route's severities."


def _promises(data: dict[str, Any]) -> Findings:
    """Tables' further tasks, their calendars, and SLOs that can't be kept."""
    tasks = {task.name: task for _, task in _good(data, "tasks")}
    known = _names(data, "tasks", "name")
    for path, table in _good(data, "tables"):
        names = (table.task, *table.also)
        for index, name in enumerate(table.also):
            if name not in known:
                yield (*path, "also", index), f"{name!r} is not declared", _nearest(name, known, "tasks")
            elif name in names[: index + 1]:
                yield (*path, "also", index), f"{name!r} is there twice", "Name each task once."
            elif name in tasks and tasks[name].source != table.name.split(".")[0]:
                yield (
                    (*path, "also", index),
                    f"reads {tasks[name].source!r}, another source than the table's",
                    "A table is named source.schema.table, by its tasks' source.",
                )
        for index, text in enumerate(table.cutoffs):
            try:
                cutoffs.parse(text)
            except ValueError as error:
                yield (*path, "cutoffs", index), str(error), "Write it like every day 00:00 UTC, due by 02:30."
        slo_s = shape.seconds(table.slo)
        for task in (tasks[name] for name in names if name in tasks):
            batch_s = shape.seconds(task.batch)
            if slo_s < floor_s(batch_s, task.overlap):
                yield (
                    (*path, "slo"),
                    f"is {table.slo}, less than can be proven: {floor(task.name, batch_s, task.overlap)}",
                    f"Promise at least {floor_s(batch_s, task.overlap):.0f}s.",
                )
                break


def _nearest(name: str, known: Mapping[str, Path], section: str) -> str:
    nearest = difflib.get_close_matches(name, known, 1)
    if nearest:
        return f"Did you mean {nearest[0]}?"
    return f"Declared {section}: {', '.join(sorted(known))}." if known else f"No {section} are declared: add it there."


def _duplicates(data: dict[str, Any]) -> Findings:
    for section, key in (
        ("fleets", "queue"),
        ("fleets", "group"),
        ("sources", "name"),
        ("tasks", "name"),
        ("tasks", "identifier"),
        ("tables", "name"),
        ("datastores", "id"),
        ("storage", "id"),
        ("pagers", "name"),
    ):
        first = _names(data, section, key)
        for path, item in _items(data, section):
            value = item.get(key)
            if isinstance(value, str) and first[value] != path:
                yield (
                    (*path, key),
                    f"{value!r} is there twice, first at {section}[{first[value][1]}]",
                    "Each must be declared once.",
                )
