"""What becomes of the alerts of one notification: incidents of their own, or parts of one that stands for many. Pure.

Alertmanager groups alerts, and tells a whole group each time. A group with many alerts is one incident, as it is one
notification; and of many groups at once the first ones are told, the rest are parts of one more incident. So a storm is
a bounded number of pages, and nothing is dropped: whatever fires is an incident, or a part that can be seen in one, and
a part that is worse than all before it is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from console.incidents.findings import Fact, Finding, Recommended, Severity, worst
from console.incidents.hook_rules import LABELS, Alert, AlertmanagerHook, web

EACH = 5
"""With more firing alerts than these in one notification, they are parts of the group's incident."""
AN_HOUR = 20
"""So many incidents are opened from outside in an hour; what fires beyond them is part of one more."""
STORM = "outside.alertmanager.storm"


@dataclass(frozen=True)
class Part:
    """One alert that is part of an incident; `over`: Alertmanager has said so."""

    key: str
    title: str
    url: str
    severity: Severity
    over: bool = False

    @staticmethod
    def of(alert: Alert) -> Part:
        told = alert.finding()
        return Part(alert.key, told.title[:200], told.url, told.severity, alert.status == "resolved")


@dataclass(frozen=True)
class Whole:
    """An incident that stands for many alerts. One that is not `open` any more says which were told and closed."""

    key: str
    open: bool
    parts: Mapping[str, Part]

    @property
    def firing(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts.values() if not part.over)


@dataclass(frozen=True)
class Taking:
    """What to do: `told` are incidents of their own, `ended` keys of such; `wholes` are opened, brought up to date, or,
    where nothing of them fires, over."""

    told: tuple[Alert, ...] = ()
    ended: tuple[str, ...] = ()
    wholes: tuple[Whole, ...] = ()


def group_key(hook: AlertmanagerHook) -> str:
    """The key of the group's incident: Alertmanager's own name of the group can be of any length."""
    return f"outside.alertmanager.group:{hashlib.sha256(hook.groupKey.encode()).hexdigest()[:32]}"


def take(hook: AlertmanagerHook, own: Mapping[str, bool], wholes: Iterable[Whole], opened: int) -> Taking:
    """`own`: alerts that are or were incidents of their own, by key, and whether they are open. `opened`: how many
    incidents were opened from outside in the last hour."""
    wholes = tuple(wholes)
    closed = {key for whole in wholes if not whole.open for key in whole.parts}
    current = {whole.key: dict(whole.parts) for whole in wholes if whole.open}
    told, ended, new = [], [], []
    for alert in {one.key: one for one in hook.alerts}.values():
        holder = next((parts for parts in current.values() if alert.key in parts), None)
        if alert.key in own:
            if own[alert.key] and alert.status == "resolved":
                ended.append(alert.key)
            elif own[alert.key]:
                told.append(alert)
        elif holder is not None:
            holder[alert.key] = Part.of(alert)
        elif alert.status == "firing" and alert.key not in closed:
            # What is over here stays so: Alertmanager repeats what fires until it sees the end itself.
            new.append(alert)
    place = _place(hook, current, len(new), opened)
    if place is None:
        told += new
    elif new:
        current.setdefault(place, {}).update({alert.key: Part.of(alert) for alert in new})
    before = {whole.key: whole.parts for whole in wholes if whole.open}
    changed = (Whole(key, True, parts) for key, parts in current.items() if before.get(key) != parts)
    return Taking(tuple(told), tuple(ended), tuple(one if one.firing else replace(one, open=False) for one in changed))


def _place(hook: AlertmanagerHook, current: Mapping[str, object], new: int, opened: int) -> str | None:
    """The incident that new alerts are part of; None: they are incidents of their own."""
    group = group_key(hook)
    many = sum(alert.status == "firing" for alert in hook.alerts) + hook.truncatedAlerts > EACH
    if group in current:
        return group
    if opened + (1 if many else new) > AN_HOUR:
        return STORM
    return group if many else None


def finding_of(whole: Whole, hook: AlertmanagerHook) -> Finding:
    """As the incident tells it. `hook` is what was just told; of a group it is the group's."""
    firing = whole.firing
    severity = worst([part.severity for part in firing])
    first = "; ".join(part.title for part in firing[:3])
    if whole.key == STORM:
        return Finding(
            key=STORM,
            detector="outside",
            severity=severity,
            title=f"Alertmanager: {len(firing)} more alert{'s' * (len(firing) != 1)} fire{'s' * (len(firing) == 1)}",
            sentence=f"More than {AN_HOUR} incidents came from Alertmanager within an hour; the rest are parts of this "
            f"one, the first of them: {first}.",
            target="outside/alertmanager",
            url=web(hook.externalURL) or "/",
        )
    labels = {**hook.commonLabels, **hook.groupLabels}
    name = labels.get("alertname") or " ".join(hook.groupLabels.values()) or "Alertmanager"
    said = hook.commonAnnotations.get("summary") or hook.commonAnnotations.get("description") or ""
    more = f" Alertmanager left {hook.truncatedAlerts:,} more out of its message." if hook.truncatedAlerts > 0 else ""
    runbook = web(hook.commonAnnotations.get("runbook_url", ""))
    return Finding(
        key=whole.key,
        detector="outside",
        severity=severity,
        title=f"{name[:200]}: {len(firing)} alert{'s' * (len(firing) != 1)} fire{'s' * (len(firing) == 1)}",
        sentence=(said[:4000] or f"Alertmanager has them in one group, the first of them: {first}.") + more,
        target=f"outside/{name}"[:400],
        url=web(hook.externalURL) or "/",
        facts=tuple(
            Fact(label[:100], labels[label][:500])
            for label in sorted(labels)[:LABELS]
            if label not in ("alertname", "severity")
        ),
        recommended=Recommended(f"Follow the runbook of {name[:200]}.", runbook, "Open its runbook")
        if runbook
        else None,
    )
