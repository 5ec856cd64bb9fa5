"""What is remembered: incidents, what happened to each, the memory of each signal, announced work, and the outbox.

An incident's change and the page that tells it are one transaction (`console.incidents.store`, `actions`).
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, When
from django.db.models.functions import Now

from console.incidents.findings import Severity
from console.incidents.rules import UNRESOLVED, Action, Held, Signal, State, Window

_UNRESOLVED = [str(state) for state in UNRESOLVED]


class Origin(models.TextChoices):
    CONSOLE = "console"  # found by the console: resolved by its evidence
    OUTSIDE = "outside"  # told by another system (Alertmanager): resolved by that system, or by a person


class IncidentQuerySet(models.QuerySet["Incident"]):
    def unresolved(self) -> IncidentQuerySet:
        return self.filter(state__in=_UNRESOLVED)

    def worst_first(self) -> IncidentQuerySet:
        """What waits for somebody before what is in hand, then by severity, then the newest."""
        handled = Case(When(state=State.OPEN, then=0), default=1, output_field=models.IntegerField())
        weight = Case(*(When(severity=one, then=one.weight) for one in Severity), output_field=models.IntegerField())
        return self.order_by(handled, weight.desc(), "-pk")


class Incident(models.Model):
    """Something that is wrong until it is over; at most one that is not over per key.

    `evidence` is frozen at the opening, `latest` is the same of now: {"sentence", "facts": [{"label", "value",
    "status"}], "series": [name], "impact": [name]}. `recommended` is {"text", "url", "button", "operation",
    "parameters"}, or {}. `children` are {"key", "title", "url"} of the findings that are part of it, the first 50;
    `folded` is how many there are. Alerts from outside are all there, with {"severity", "state"}: firing or resolved.
    """

    key = models.CharField(max_length=400)
    generation = models.PositiveIntegerField(default=1)  # the how manieth incident of this key
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.CONSOLE)
    detector = models.CharField(max_length=60)  # its runbook is docs/runbooks/DETECTOR.md
    severity = models.CharField(max_length=10, choices=[(s, s) for s in Severity])
    state = models.CharField(max_length=12, choices=[(s, s) for s in State], default=State.OPEN)
    title = models.CharField(max_length=300)
    sentence = models.TextField(default="", blank=True)
    section = models.CharField(max_length=40)
    target = models.CharField(max_length=400)
    url = models.CharField(max_length=1000, default="/")
    own = models.BooleanField(default=False)

    opened_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # when the finding was last there
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, default="", blank=True)
    snoozed_until = models.DateTimeField(null=True)
    snoozed_by = models.CharField(max_length=200, default="", blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, default="", blank=True)  # "" by evidence
    outcome = models.TextField(default="", blank=True)
    part_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="parts")

    evidence = models.JSONField(default=dict)
    latest = models.JSONField(default=dict)
    recommended = models.JSONField(default=dict)
    children = models.JSONField(default=list)
    folded = models.PositiveIntegerField(default=0)

    paged_at = models.DateTimeField(null=True)  # the last trigger
    triggers = models.PositiveIntegerField(default=0)
    owed = models.BooleanField(default=False)  # a window kept quiet what should have been told
    quiet_by = models.ForeignKey("Maintenance", models.SET_NULL, null=True, related_name="+")

    objects = IncidentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("key", name="one_open_incident_per_key", condition=Q(state__in=_UNRESOLVED)),
            models.UniqueConstraint("key", "generation", name="incident_generation_once"),
            models.CheckConstraint(
                condition=Q(state__in=_UNRESOLVED, resolved_at=None) | Q(state="resolved", resolved_at__isnull=False),
                name="incident_is_resolved_or_not",
            ),
        ]
        indexes = [
            models.Index(F("opened_at").desc(), name="incident_newest"),
            models.Index("state", name="incident_unresolved", condition=Q(state__in=_UNRESOLVED)),
        ]

    def __str__(self) -> str:
        return f"INC-{self.pk} {self.title}"

    def held(self) -> Held:
        return Held(
            key=self.key,
            state=State(self.state),
            severity=Severity(self.severity),
            target=self.target,
            opened_at=self.opened_at,
            own=self.own,
            snoozed_until=self.snoozed_until,
            paged_at=self.paged_at,
            owed=self.owed,
        )


class IncidentTally(models.Model):
    """How many incidents there are of a kind. The database keeps it (`console.lib.tallies`): nothing here writes it."""

    state = models.CharField(max_length=12)
    severity = models.CharField(max_length=10)
    section = models.CharField(max_length=40)
    number = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["state", "severity", "section"], name="incident_tally_once")]

    def __str__(self) -> str:
        return f"{self.number} {self.severity} {self.state} in {self.section}"


class IncidentEvent(models.Model):
    """One line of an incident's timeline; only ever appended."""

    class Kind(models.TextChoices):
        OPENED = "opened"
        RAISED = "raised"
        FOLDED = "folded"
        ACKNOWLEDGED = "acknowledged"
        SNOOZED = "snoozed"
        WOKE = "woke"
        NOTE = "note"
        PAGED = "paged"
        RESOLVED = "resolved"

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="events")
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=12, choices=Kind.choices)
    text = models.TextField()
    by = models.CharField(max_length=200, default="", blank=True)  # "" the console itself

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.text


class SignalRow(models.Model):
    """The memory of one key (`rules.Signal`): for patience, and against flapping."""

    key = models.CharField(max_length=400, primary_key=True)
    present = models.BooleanField()
    since = models.DateTimeField()
    clear_from = models.DateTimeField(null=True)
    changes = models.JSONField(default=list)  # ISO times
    dismissed = models.CharField(max_length=10, default="", blank=True)
    dismissed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key

    def signal(self) -> Signal:
        return Signal(
            key=self.key,
            present=self.present,
            since=self.since,
            clear_from=self.clear_from,
            changes=tuple(datetime.fromisoformat(at) for at in self.changes),
            dismissed=Severity(self.dismissed) if self.dismissed else None,
            dismissed_at=self.dismissed_at,
        )

    @classmethod
    def of(cls, signal: Signal) -> SignalRow:
        return cls(
            key=signal.key,
            present=signal.present,
            since=signal.since,
            clear_from=signal.clear_from,
            changes=[at.isoformat() for at in signal.changes],
            dismissed=signal.dismissed or "",
            dismissed_at=signal.dismissed_at,
        )


class MaintenanceQuerySet(models.QuerySet["Maintenance"]):
    def current(self, now: datetime) -> MaintenanceQuerySet:
        """Those in force at `now`."""
        return self.filter(starts_at__lte=now, ends_at__gt=now, cancelled_at=None)

    def ahead(self, now: datetime) -> MaintenanceQuerySet:
        """Those in force or still to come."""
        return self.filter(ends_at__gt=now, cancelled_at=None)


class Maintenance(models.Model):
    """Announced work: what happens to its targets meanwhile is written down and pages nobody until it ends."""

    targets = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=200, default="", blank=True)

    objects = MaintenanceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="maintenance_ends_after_its_start"),
            models.CheckConstraint(condition=~Q(reason=""), name="maintenance_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"MW-{self.pk} {', '.join(self.targets)}"

    def window(self) -> Window:
        return Window(self.pk, tuple(self.targets), self.starts_at, self.ends_at)


class Delivery(models.TextChoices):
    """How far a page is."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up: permanent, or too many attempts
    SUPERSEDED = "superseded"  # not worth telling any more, or nobody is to be told


class PageQuerySet(models.QuerySet["Page"]):
    def due(self) -> PageQuerySet:
        """Those that want an attempt now, by the database's clock, oldest first."""
        return self.filter(state=Delivery.QUEUED, next_attempt_at__lte=Now()).order_by("next_attempt_at", "pk")

    def ready(self) -> PageQuerySet:
        """Those of them that no earlier page of the same key has to precede at the same pager.

        A page that is not routed yet waits for earlier ones that are not either; one that is, for both kinds.
        """
        before = Q(incident__lt=OuterRef("incident")) | Q(
            incident=OuterRef("incident"), sequence__lt=OuterRef("sequence")
        )
        same = Q(pager=None) | Q(pager=OuterRef("pager"))
        earlier = Page.objects.filter(before, same, incident__key=OuterRef("incident__key"), state=Delivery.QUEUED)
        return self.due().filter(~Exists(earlier))


class Page(models.Model):
    """One row of the outbox: tell `pager` (null: not routed yet) that the incident opened, was taken, or is over.

    `sequence` counts the pages of an incident in the order in which they must arrive; a page that goes to several
    pagers has one row for each. `level` is how often it was told before without being acknowledged. `why` is
    `rules.Why` of a trigger.
    """

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="pages")
    action = models.CharField(max_length=12, choices=[(a, a) for a in Action])
    sequence = models.PositiveIntegerField()
    level = models.PositiveIntegerField(default=0)
    why = models.CharField(max_length=12, default="", blank=True)
    pager = models.CharField(max_length=100, null=True)
    chain = models.JSONField(default=list)  # the pagers of its route that are asked next, where this one fails
    fell_to = models.CharField(max_length=100, null=True)  # the one that was, since this one failed
    state = models.CharField(max_length=10, choices=Delivery.choices, default=Delivery.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    routed_at = models.DateTimeField(null=True)  # from then on its pager has time
    finished_at = models.DateTimeField(null=True)

    objects = PageQuerySet.as_manager()

    class Meta:
        ordering = ("incident", "sequence", "pk")
        constraints = [
            models.UniqueConstraint(
                "incident", "sequence", "pager", name="one_page_per_step_and_pager", nulls_distinct=False
            ),
        ]
        indexes = [models.Index("next_attempt_at", name="page_due", condition=Q(state="queued"))]

    def __str__(self) -> str:
        return f"{self.action} of INC-{self.incident_id} to {self.pager or 'nobody yet'}"


class PageAttempt(models.Model):
    """One attempt to deliver a page: the delivery log. Written before anything is sent, and completed after it.

    `text` is what the other end said, or why it failed; no secret. `maybe_taken`: it failed, or its executor vanished,
    in a way that leaves open whether the pager has it. `took_s` is None while it is under way.
    """

    page = models.ForeignKey(Page, models.CASCADE, related_name="log")
    pager = models.CharField(max_length=100)
    at = models.DateTimeField(db_default=Now())
    ok = models.BooleanField()
    maybe_taken = models.BooleanField(default=False)
    text = models.TextField(default="", blank=True)
    took_s = models.FloatField(null=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.pager}: {self.text}"


class HookEvent(models.Model):
    """A webhook that was taken, by its sender's id: the same one again is a replay. Kept for a week."""

    sender = models.CharField(max_length=20)
    event_id = models.CharField(max_length=200)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint("sender", "event_id", name="hook_event_once")]

    def __str__(self) -> str:
        return f"{self.sender} {self.event_id}"


class DeadMan(models.Model):
    """The dead man's switch, one row: when the outside was last told that the console is well, and why it was not."""

    due_at = models.DateTimeField(db_default=Now())
    pinged_at = models.DateTimeField(null=True)
    attempted_at = models.DateTimeField(null=True)
    fault = models.TextField(default="", blank=True)  # why the last ping was left out, or failed

    def __str__(self) -> str:
        return self.fault or "well"


class ChangeNoticeQuerySet(models.QuerySet["ChangeNotice"]):
    def due(self) -> ChangeNoticeQuerySet:
        """Those that want an attempt now, oldest first: an end never overtakes its beginning at one pager for long."""
        return self.filter(state=Delivery.QUEUED, next_attempt_at__lte=Now()).order_by("pk")


class ChangeNotice(models.Model):
    """A deploy's beginning or end, told to a pager that takes changes (`console.incidents.changes`)."""

    class Phase(models.TextChoices):
        STARTED = "started"
        FINISHED = "finished"

    operation = models.ForeignKey("operations.Operation", models.CASCADE, related_name="+")
    phase = models.CharField(max_length=10, choices=Phase.choices)
    pager = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=Delivery.choices, default=Delivery.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    text = models.TextField(default="", blank=True)  # what the pager said, or why it failed

    objects = ChangeNoticeQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("operation", "phase", "pager", name="change_told_once")]
        indexes = [models.Index("next_attempt_at", name="change_due", condition=Q(state="queued"))]

    def __str__(self) -> str:
        return f"{self.phase} of OP-{self.operation_id} to {self.pager}"
