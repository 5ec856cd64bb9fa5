"""Run by Airflow's own Python: `python -m unittest tests.provider.under_airflow.checks`, the provider installed there.

For Airflow 3.3 and 2.11 alike. Connections come by the environment, as `AIRFLOW_CONN_…`.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import tempfile
import unittest
import warnings
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from unittest import mock

if "AIRFLOW_HOME" not in os.environ:
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="qd-airflow-")
    atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
warnings.simplefilter("ignore")

from airflow.providers.common.compat.sdk import (  # noqa: E402
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from quarterdeck_airflow import handoff  # noqa: E402
from quarterdeck_airflow.files.choice import NoStore  # noqa: E402
from quarterdeck_airflow.hooks.quarterdeck import QuarterdeckHook  # noqa: E402
from quarterdeck_airflow.hooks.s3 import S3Hook  # noqa: E402
from quarterdeck_airflow.sensors.freshness import FreshnessSensor  # noqa: E402
from quarterdeck_airflow.triggers import freshness as triggers  # noqa: E402
from quarterdeck_airflow.triggers.freshness import FreshnessTrigger  # noqa: E402

from tests.provider.made import TOKEN, FakeConsole  # noqa: E402

CUTOFF = "2026-11-22T00:00:00Z"


class WithConsole(unittest.TestCase):
    def setUp(self) -> None:
        self.console = FakeConsole()
        self.addCleanup(self.console.stop)
        self.connect(TOKEN)

    def connect(self, token: str) -> None:
        connection = {"conn_type": "quarterdeck", "host": self.console.url, "password": token}
        patch = mock.patch.dict(os.environ, {"AIRFLOW_CONN_QUARTERDECK_DEFAULT": json.dumps(connection)})
        patch.start()
        self.addCleanup(patch.stop)

    def sensor(self, **more: object) -> FreshnessSensor:
        return FreshnessSensor(**{"task_id": "wait", "tables": "orders", "cutoff": CUTOFF, "poke_interval": 1, **more})


class TheSensor(WithConsole):
    def test_its_fields_are_templates_and_its_cutoff_the_end_of_the_interval(self) -> None:
        assert set(FreshnessSensor.template_fields) == {"tables", "cutoff", "conn_id"}
        sensor = FreshnessSensor(task_id="wait", tables="orders")
        assert sensor.cutoff == "{{ data_interval_end }}"
        sensor.render_template_fields({"data_interval_end": datetime(2026, 11, 22, tzinfo=UTC)})
        self.console.verdicts["orders"] = "complete"
        assert sensor.poke({})
        assert self.console.bodies[0]["items"][0]["cutoff"] == CUTOFF

    def test_a_poke_that_finds_it_complete_brings_the_proof(self) -> None:
        self.console.verdicts["orders"] = "complete"
        found = self.sensor().poke({})
        assert found.is_done
        assert found.xcom_value[0]["proof_id"] == "88-7"

    def test_it_goes_on_poking_through_an_outage(self) -> None:
        self.console.fail = 503
        assert not self.sensor().poke({})
        self.console.stop()
        assert not self.sensor().poke({})

    def test_pokes_are_spread(self) -> None:
        sensor = self.sensor(poke_interval=100)
        found = {sensor._get_next_poke_interval(0, lambda: 0.0, n) for n in range(20)}
        assert len(found) > 15
        assert all(90 <= interval <= 110 for interval in found)

    def test_blocked_fails_or_waits(self) -> None:
        self.console.verdicts["orders"] = "blocked"
        assert not self.sensor().poke({})
        with self.assertRaisesRegex(AirflowFailException, "A person is needed first: orders blocked"):
            self.sensor(on_blocked="fail").poke({})

    def test_a_wrong_question_fails_at_once(self) -> None:
        self.console.untracked = {"orders"}
        with self.assertRaisesRegex(AirflowFailException, "is not tracked"):
            self.sensor(deferrable=True).execute({})
        with self.assertRaisesRegex(AirflowFailException, "without an offset"):
            self.sensor(cutoff="2026-11-22T00:00:00").poke({})
        with self.assertRaises(AirflowSkipException):
            self.sensor(deferrable=True, soft_fail=True).execute({})
        for bad in ({"basis": "rows"}, {"proof": "none"}, {"on_blocked": "cry"}):
            with self.assertRaisesRegex(Exception, "give one of"):
                self.sensor(**bad)

    def test_what_is_there_already_needs_no_trigger(self) -> None:
        self.console.verdicts["orders"] = "complete"
        assert self.sensor(deferrable=True).execute({})[0]["table"] == "orders"

    def test_it_defers_with_a_moment_as_deadline(self) -> None:
        with self.assertRaises(TaskDeferred) as caught:
            self.sensor(deferrable=True, timeout=600).execute({})
        deferred = caught.exception
        path, arguments = deferred.trigger.serialize()
        assert path == "quarterdeck_airflow.triggers.freshness.FreshnessTrigger"
        json.dumps(arguments)
        left = datetime.fromisoformat(arguments["deadline"]) - datetime.now(UTC)
        assert timedelta(seconds=590) < left <= timedelta(seconds=600)
        assert deferred.timeout > left
        assert deferred.method_name == "execute_complete"

    def test_what_the_trigger_says_becomes_the_tasks_end(self) -> None:
        sensor = self.sensor()
        assert sensor.execute_complete({}, {"state": "done", "proof": [1]}) == [1]
        for state, kind in (("timeout", AirflowSensorTimeout), ("blocked", AirflowFailException),
                            ("refused", AirflowFailException)):  # fmt: skip
            with self.assertRaisesRegex(kind, "orders is late"):
                sensor.execute_complete({}, {"state": state, "text": "orders is late"})

    def test_it_defers_by_default_where_the_configuration_says_so(self) -> None:
        from airflow.providers.common.compat.sdk import conf

        default = conf.getboolean("operators", "default_deferrable", fallback=False)
        assert self.sensor().deferrable == default


class TheTrigger(WithConsole):
    def setUp(self) -> None:
        super().setUp()
        self.short = mock.patch("quarterdeck_airflow.freshness.board.GATHER_S", 0.05)
        self.short.start()
        self.addCleanup(self.short.stop)

    def trigger(self, within_s: float = 20, **more: object) -> FreshnessTrigger:
        deadline = (datetime.now(UTC) + timedelta(seconds=within_s)).isoformat()
        return FreshnessTrigger(
            **{"tables": ["orders"], "cutoff": CUTOFF, "conn_id": "quarterdeck_default", "deadline": deadline,
               "interval_s": 1, **more}
        )  # fmt: skip

    def fired(self, *made: FreshnessTrigger, then: object = None) -> list[dict]:
        """What each fires. They run from their serialized arguments, as after a restart."""

        async def one(trigger: FreshnessTrigger) -> dict:
            _, arguments = trigger.serialize()
            again = FreshnessTrigger(**json.loads(json.dumps(arguments)))
            async for event in again.run():
                return event.payload
            raise AssertionError("it never fired")

        async def all_of_them() -> list[dict]:
            tasks = [asyncio.create_task(one(trigger)) for trigger in made]
            if then:
                await asyncio.sleep(1.5)
                then()
            return await asyncio.gather(*tasks)

        return asyncio.run(all_of_them())

    def test_it_fires_with_the_proof_once_the_table_is_complete(self) -> None:
        found = self.fired(self.trigger(), then=lambda: self.console.verdicts.update(orders="complete"))
        assert found[0]["state"] == "done"
        assert found[0]["proof"][0]["epoch"] == 3

    def test_two_hundred_of_them_share_one_request(self) -> None:
        triggers_ = [self.trigger(tables=[f"t{n}"]) for n in range(200)]
        self.console.verdicts = {f"t{n}": "complete" for n in range(200)}
        with mock.patch.object(
            QuarterdeckHook, "aget_endpoint", autospec=True, side_effect=QuarterdeckHook.aget_endpoint
        ) as reads:
            found = self.fired(*triggers_)
        assert {event["state"] for event in found} == {"done"}
        assert [items for _, items in self.console.requests] == [200]
        assert reads.call_count == 1

    def test_its_deadline_holds_even_while_the_console_is_away(self) -> None:
        assert self.fired(self.trigger(within_s=1.2))[0]["state"] == "timeout"
        assert "held up by task task1" in self.fired(self.trigger(within_s=1.2))[0]["text"]
        self.console.stop()
        assert self.fired(self.trigger(within_s=0.5))[0]["state"] == "timeout"
        assert self.fired(self.trigger(within_s=-5))[0]["state"] == "timeout"

    def test_blocked_and_refused_fire_at_once(self) -> None:
        self.console.verdicts["orders"] = "blocked"
        assert self.fired(self.trigger(on_blocked="fail"))[0]["state"] == "blocked"
        self.console.untracked = {"orders"}
        assert self.fired(self.trigger())[0]["state"] == "refused"

    def test_a_token_that_stays_refused_fires_an_error_without_it(self) -> None:
        self.connect("qd_wrong")
        found = self.fired(self.trigger())[0]
        assert found["state"] == "error"
        assert "qd_wrong" not in json.dumps(found)

    def test_a_connection_that_is_missing_waits_until_the_deadline(self) -> None:
        found = self.fired(self.trigger(within_s=1, conn_id="nowhere"))[0]
        assert found["state"] == "timeout"

    def test_every_loop_has_its_own_board(self) -> None:
        async def one() -> object:
            return triggers.board("a", triggers.Manner())

        assert asyncio.run(one()) is not asyncio.run(one())


class TheFiles(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="qd-files-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def configure(self, **values: str) -> S3Hook:
        """The section [quarterdeck] and the connection, by the environment as Airflow reads it."""
        environ = {f"AIRFLOW__QUARTERDECK__{name.upper()}": value for name, value in values.items() if name != "conn"}
        if "conn" in values:
            environ["AIRFLOW_CONN_QUARTERDECK_FILES"] = values["conn"]
        patch = mock.patch.dict(os.environ, environ)
        patch.start()
        self.addCleanup(patch.stop)
        return S3Hook()

    def test_without_a_connection_it_is_the_local_twin(self) -> None:
        hook = self.configure(environment="development", local_folder=self.folder)
        hook.put("a/b", b"1")
        assert hook.read("a/b") == b"1"
        assert [info.key for info in hook.list()] == ["a/b"]
        assert os.path.exists(f"{self.folder}/quarterdeck_files/a/b")
        assert "on this machine" in hook.test_connection()[1]
        with self.assertRaisesRegex(NoStore, "has no local twin"):
            hook.get_conn()

    def test_production_refuses_the_twin(self) -> None:
        with self.assertRaisesRegex(NoStore, "in production"):
            self.configure(local_folder=self.folder).put("a", b"1")

    def test_with_a_connection_it_is_s3(self) -> None:
        connection = {
            "conn_type": "quarterdeck_s3", "schema": "bucket", "login": "key", "password": "very-secret",
            "extra": {"endpoint_url": "http://127.0.0.1:9", "region_name": "eu-north-1"},
        }  # fmt: skip
        hook = self.configure(environment="development", local_folder=self.folder, conn=json.dumps(connection))
        link = hook.link("a/b", timedelta(minutes=5))
        assert link.startswith("http://127.0.0.1:9/bucket/a/b?"), link
        assert "very-secret" not in link
        good, text = hook.test_connection()
        assert not good
        assert "can't be reached" in text
        assert os.listdir(self.folder) == []

    def test_a_hand_off_is_by_the_running_task(self) -> None:
        self.configure(environment="development", local_folder=self.folder)
        ti = mock.Mock(dag_id="dag", run_id="manual__1", task_id="write", map_index=-1)
        where = "airflow.providers.common.compat.sdk.get_current_context"
        with mock.patch(where, return_value={"ti": ti}):
            reference = handoff.put(b"1,2", "orders.csv")
            json.dumps(reference)
        reader = mock.Mock(dag_id="dag", run_id="manual__1", task_id="mail", map_index=-1)
        with mock.patch(where, return_value={"ti": reader}):
            assert handoff.read("write", "orders.csv") == handoff.read(reference) == b"1,2"


class TheProvider(WithConsole):
    def test_airflow_finds_it_and_its_connection_types(self) -> None:
        found = [
            point.load()() for point in entry_points(group="apache_airflow_provider") if "quarterdeck" in point.value
        ]
        assert [info["package-name"] for info in found] == ["quarterdeck-airflow-provider"]
        from airflow.providers_manager import ProvidersManager

        manager = ProvidersManager()
        assert "quarterdeck-airflow-provider" in manager.providers
        assert manager.hooks["quarterdeck"].hook_name == "Quarterdeck"
        assert manager.hooks["quarterdeck_s3"].hook_name == "Quarterdeck files (S3)"
        assert "API token" in json.dumps(manager.field_behaviours["quarterdeck"])

    def test_the_connections_test_button_tells_the_truth(self) -> None:
        assert QuarterdeckHook().test_connection() == (True, "Quarterdeck answers.")
        self.connect("qd_wrong")
        good, text = QuarterdeckHook().test_connection()
        assert not good
        assert "qd_wrong" not in text


if __name__ == "__main__":
    unittest.main()
