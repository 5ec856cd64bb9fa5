"""What is remembered of operations: the operation, the targets it holds, its steps, its notes, people's orders."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from console.operations.rules import ACTIVE, FINAL, Ledger, Level, State, StepSeen, StepState


class LostLease(Exception):
    """Another executor has taken this operation over: leave it, and write nothing more."""


class OperationQuerySet(models.QuerySet["Operation"]):
    def active(self) -> OperationQuerySet:
        return self.filter(state__in=ACTIVE)

    def due(self) -> OperationQuerySet:
        """Those that want a tick now and that nobody works on, by the database's clock."""
        free = Q(leased_until=None) | Q(leased_until__lte=Now())
        return self.active().filter(free, next_tick_at__lte=Now()).order_by("next_tick_at")

    def claim(self, pk: int, lease_s: float) -> Operation | None:
        """Take a due operation for `lease_s` seconds of the database's clock, with a fence one higher.

        A compare-and-set: of any number of executors at the same moment exactly one gets it; the others get None.
        """
        token = uuid.uuid4()
        taken = (
            self.due()
            .order_by()
            .filter(pk=pk)
            .update(
                fence=F("fence") + 1,
                executor=token,
                leased_until=Now() + timedelta(seconds=lease_s),
                started_at=models.functions.Coalesce(F("started_at"), Now()),
                state=models.Case(
                    models.When(state=State.QUEUED, then=models.Value(State.RUNNING)), default=F("state")
                ),
            )
        )
        return self.filter(pk=pk, executor=token).first() if taken == 1 else None


class Operation(models.Model):
    """One change of the platform: what, of what, why, who asked, how far it is."""

    kind = models.CharField(max_length=40)
    target = models.CharField(max_length=400)
    parameters = models.JSONField(default=dict)
    reason = models.TextField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_by_name = models.CharField(max_length=200)
    idempotency_key = models.CharField(max_length=200, null=True)
    plan_id = models.CharField(max_length=64, default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    state = models.CharField(max_length=10, choices=[(s, s) for s in State], default=State.QUEUED)
    held = models.BooleanField(default=False)  # a person paused it; `state` is paused too while it asks a question
    aborting = models.BooleanField(default=False)
    question = models.JSONField(null=True)  # {"text", "choices"}: a person must choose
    memory = models.JSONField(default=dict)  # the rule's own state
    memory_version = models.PositiveIntegerField(default=1)
    progress = models.JSONField(default=dict)
    outcome = models.TextField(default="", blank=True)

    fence = models.PositiveBigIntegerField(default=0)
    executor = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    next_tick_at = models.DateTimeField(db_default=Now())
    failures = models.PositiveIntegerField(default=0)  # ticks in a row that could not see or change the platform

    objects = OperationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("requested_by_name", "idempotency_key", name="operation_once_per_idempotency_key"),
            models.CheckConstraint(condition=~Q(reason=""), name="operation_has_a_reason"),
            models.CheckConstraint(
                condition=Q(state__in=[str(s) for s in ACTIVE], finished_at=None)
                | Q(state__in=[str(s) for s in FINAL], finished_at__isnull=False),
                name="operation_is_finished_or_not",
            ),
        ]
        indexes = [
            models.Index("next_tick_at", name="operation_due", condition=Q(state__in=[str(s) for s in ACTIVE])),
            models.Index(F("created_at").desc(), name="operation_newest"),
            models.Index("target", F("created_at").desc(), name="operation_of_target"),
            models.Index("finished_at", name="operation_failed", condition=Q(state="failed")),
            models.Index("kind", F("id").desc(), name="operation_of_kind"),
        ]

    def __str__(self) -> str:
        return f"OP-{self.pk} {self.kind} {self.target}"

    @property
    def url(self) -> str:
        """Its page; a deploy has one of its own."""
        return f"/deploys/{self.pk}/" if self.kind == "deploy" else f"/operations/{self.pk}/"

    def write(self, **fields: object) -> None:
        """Change this row under the fence; LostLease when a later executor holds it."""
        changed = Operation.objects.filter(pk=self.pk, fence=self.fence, state__in=ACTIVE).update(**fields)
        if changed != 1:
            raise LostLease(str(self))

    def ledger(self, refused: dict[str, str] | None = None) -> Ledger:
        return Ledger(
            steps={
                step.key: StepSeen(step.key, StepState(step.state), step.called_at, step.error)
                for step in self.steps.only("operation", "key", "state", "called_at", "error")
            },
            held=frozenset(self.targets.filter(released_at=None).values_list("target", flat=True)),
            refused=refused or {},
        )


class OperationTally(models.Model):
    """How many operations there are of each. The database keeps it (`console.lib.tallies`), no code here."""

    state = models.CharField(max_length=10)
    kind = models.CharField(max_length=40)
    by_console = models.BooleanField()  # asked for by nobody who has an account
    number = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["state", "kind", "by_console"], name="operation_tally_once")]

    def __str__(self) -> str:
        return f"{self.number} {self.kind} {self.state}"


class Target(models.Model):
    """A thing that an operation holds alone. Held while `released_at` is empty: at most one holder, by constraint."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="targets")
    target = models.CharField(max_length=400)
    taken_at = models.DateTimeField(db_default=Now())
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("target", name="one_active_operation_per_target", condition=Q(released_at=None))
        ]

    def __str__(self) -> str:
        return self.target


class Step(models.Model):
    """One call to the platform: INTENT before it, CALLED after it, VERIFIED when its effect was seen."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="steps")
    key = models.CharField(max_length=400)
    action = models.CharField(max_length=60)
    title = models.TextField()
    args = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=[(s, s) for s in StepState], default=StepState.INTENT)
    once = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    intended_at = models.DateTimeField(db_default=Now())
    not_after = models.DateTimeField()
    called_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    error = models.TextField(default="", blank=True)

    class Meta:
        ordering = ("pk",)
        constraints = [models.UniqueConstraint("operation", "key", name="one_step_per_key")]

    def __str__(self) -> str:
        return f"{self.title} ({self.state})"


class Note(models.Model):
    """One line of an operation's log; never changed, never deleted."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="notes")
    at = models.DateTimeField(db_default=Now())
    level = models.CharField(max_length=10, choices=[(level, level) for level in Level], default=Level.INFO)
    text = models.TextField()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.text


class Order(models.Model):
    """What a person told a running operation: a choice, or words of its kind. Handed to the rule exactly once."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="orders")
    at = models.DateTimeField(db_default=Now())
    by = models.CharField(max_length=200)
    choice = models.CharField(max_length=40)
    args = models.JSONField(default=dict)
    reason = models.TextField()
    taken_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.choice} by {self.by}"
