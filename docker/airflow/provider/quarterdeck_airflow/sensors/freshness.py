"""Waits until the console proves that tables of the warehouse are complete up to a cutoff."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from quarterdeck_airflow.freshness.question import (
    BASES,
    ON_BLOCKED,
    PROOFS,
    Manner,
    Outcome,
    Question,
    Refused,
    Unavailable,
    conclude,
    cutoff_of,
    one_of,
    tables_of,
    told,
)
from quarterdeck_airflow.hooks.quarterdeck import QuarterdeckHook
from quarterdeck_airflow.triggers.freshness import FreshnessTrigger

BACKSTOP = timedelta(seconds=60)
"""Airflow's own deadline, after the trigger's: the trigger says what it waited for, Airflow only that it waited."""


class FreshnessSensor(BaseSensorOperator):
    """Done when everything before `cutoff` is in the warehouse, proven, for every one of `tables`.

    Its XCom is the proof: a list of `{table, cutoff, watermark, epoch, proof_id, generation}`.

    :param tables: a table's name as the console tracks it (`shop.public.orders`), several with commas, or a list.
    :param cutoff: a time with its offset; the end of the run's data interval by default.
    :param conn_id: a connection of the type `quarterdeck`.
    :param basis: `row` (nothing stamped before the cutoff is still to come) or `commit`.
    :param proof: `heartbeat`, or `estimated` to be content with what the replication says of itself.
    :param on_blocked: what to do where a person is needed first: `wait` for them, or `fail` at once.
    :param deferrable: wait in the triggerer; `[operators] default_deferrable` by default.
    """

    template_fields: Sequence[str] = ("tables", "cutoff", "conn_id")
    ui_color = "#dbe9f6"

    def __init__(
        self,
        *,
        tables: str | Sequence[str],
        cutoff: str | datetime = "{{ data_interval_end }}",
        conn_id: str = QuarterdeckHook.default_conn_name,
        basis: str = "row",
        proof: str = "heartbeat",
        on_blocked: str = "wait",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 30,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.tables = tables
        self.cutoff = cutoff
        self.conn_id = conn_id
        self.basis = one_of("basis", basis, BASES)
        self.proof = one_of("proof", proof, PROOFS)
        self.on_blocked = one_of("on_blocked", on_blocked, ON_BLOCKED)
        self.deferrable = deferrable

    def poke(self, context: Any) -> PokeReturnValue:
        outcome = self._look()
        if outcome.state == "blocked":
            raise AirflowFailException(f"A person is needed first: {outcome.text}")
        return PokeReturnValue(outcome.state == "done", xcom_value=list(outcome.proof) or None)

    def execute(self, context: Any) -> Any:
        if not self.deferrable:
            return super().execute(context)
        try:
            done = self.poke(context)  # mostly the data is there: no need to wait, and a wrong table fails here
        except AirflowException as error:
            if self.soft_fail or getattr(self, "never_fail", False):
                raise AirflowSkipException(str(error)) from error
            raise
        if done:
            return done.xcom_value
        left = timedelta(seconds=self.timeout)
        self.defer(
            trigger=FreshnessTrigger(
                tables=tables_of(self.tables),
                cutoff=told(cutoff_of(self.cutoff)),
                conn_id=self.conn_id,
                deadline=told(datetime.now(UTC) + left),
                basis=self.basis,
                proof=self.proof,
                on_blocked=self.on_blocked,
                interval_s=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=left + BACKSTOP,
        )
        return None  # never reached: defer raises

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """The trigger has fired. The base class turns failures into skips where soft_fail asks for it."""
        state, text = event["state"], event.get("text", "")
        if state == "done":
            self.log.info("Complete: %s", event["proof"])
            return event["proof"]
        if state == "timeout":
            raise AirflowSensorTimeout(f"Not complete within {self.timeout:.0f} s: {text}")
        if state == "blocked":
            raise AirflowFailException(f"A person is needed first: {text}")
        if state == "refused":
            raise AirflowFailException(text)
        raise AirflowException(text)

    def _look(self) -> Outcome:
        try:
            questions = [Question(table, cutoff_of(self.cutoff)) for table in tables_of(self.tables)]
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        try:
            answers = QuarterdeckHook(self.conn_id).check(questions, Manner(self.basis, self.proof))
        except Unavailable as error:
            self.log.warning("%s Asked again later.", error)
            return Outcome("wait", str(error))
        except (Refused, ValueError) as error:
            raise AirflowFailException(str(error)) from error
        outcome = conclude(answers.values(), self.on_blocked)
        self.log.info("%s: %s", told(questions[0].cutoff), outcome.text)
        return outcome

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """A tenth more or less: those that began to wait at one cutoff don't all ask at one moment."""
        return super()._get_next_poke_interval(*args, **kwargs) * random.uniform(0.9, 1.1)
