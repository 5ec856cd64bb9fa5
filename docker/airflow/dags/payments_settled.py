"""Started by the console's asset event: every payment and customer before a cutoff is in the warehouse, proven (queue io).

No sensor waits: while a cutoff is not met there is no event, and without an event no run. Cutoffs that are met at the same
time (replication was paused) may come to one run, so the task goes through all events that it was started by.
"""

from datetime import datetime, timedelta, timezone

from airflow.sdk import Asset, dag, task

PAYMENTS = Asset(name="shop_payments", uri="warehouse://shop/payments")
"""The name or the URI stands in platform.yaml, at the cutoffs of the tables that belong to it."""


@dag(
    schedule=[PAYMENTS],
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=2,
    tags=["shop", "assets", "freshness"],
    default_args={"queue": "io", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def payments_settled():
    @task
    def settle(triggering_asset_events=None):
        """What each event says, once it is checked: against the console, and payments also against the source.

        Fails where a proof does not hold (any more), or the warehouse lacks a payment that the source has.
        """
        from datetime import datetime as moment

        from quarterdeck_airflow.freshness.question import Manner, Question
        from quarterdeck_airflow.hooks.quarterdeck import QuarterdeckHook
        from shop_source import arrived_before

        told = [event.extra for event in triggering_asset_events[PAYMENTS] if "quarterdeck" in event.extra]
        if not told:
            raise ValueError("no event of the console's: this DAG is not to be triggered by hand")
        settled = []
        for extra in sorted(told, key=lambda each: each["cutoff"]):
            cutoff, proofs = moment.fromisoformat(extra["cutoff"].replace("Z", "+00:00")), extra["proofs"]
            asked = [Question(table, cutoff) for table in extra["tables"]]
            answers = QuarterdeckHook().check(asked, Manner())
            unproven = [
                answer.sentence
                for question, answer in answers.items()
                if answer.verdict != "complete" or answer.proof_id != proofs.get(question.table)
            ]
            if unproven:
                raise ValueError(f"told that {extra['quarterdeck']} is complete, but {'; '.join(unproven)}")
            payments = arrived_before("payments", "updated_at", cutoff)
            settled.append({"cutoff": extra["cutoff"], "proofs": proofs, "payments": payments})
        return settled

    settle()


payments_settled()
