"""Airflow's `[celery] celery_config_options`: the default, and a worker that has imported what every task needs.

Each task runs in a process forked from the worker. What the worker imported before, all of them share; what it did not,
each imports again: about half a second and 30 MB per process.
"""

import gc
from importlib import import_module

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.signals import worker_before_create_process, worker_init, worker_ready

CELERY_CONFIG = {
    **DEFAULT_CELERY_CONFIG,
    "worker_proc_alive_timeout": 30.0,
    # A pool process that ran a task keeps about 30 MB of its own for ever after. A fresh fork shares all but 14.
    "worker_max_tasks_per_child": 1,
}

NEEDED_BY_TASKS = (
    "airflow.executors.workloads",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.serialization.serialized_objects",
    "airflow.models.dagbag",
    "airflow.models.pool",
    "airflow.models.renderedtifields",
    "airflow.models.serialized_dag",
    "airflow.models.trigger",
    "airflow.sdk.bases.operatorlink",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.definitions.connection",
    "airflow.sdk.definitions.decorators",
    "airflow.dag_processing.dagbag",
    "airflow.dag_processing.bundles.local",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.sensors.python",
    "airflow.providers.standard.sensors.time_delta",
    "platform_host",
    "psycopg2.extras",
    "quarterdeck_airflow.handoff",
    "quarterdeck_airflow.hooks.s3",
    "shop_source",
)


@worker_init.connect
def import_what_tasks_need(**_):
    for name in NEEDED_BY_TASKS:
        try:
            import_module(name)
        except ImportError:
            pass  # another version of Airflow has it elsewhere: then the task imports it
    # The collector must not touch, and thereby copy, what is shared. Airflow's provider freezes before the pool starts
    # and unfreezes when the worker is ready: from then on the first full collection would copy everything.
    from airflow.providers.celery.executors import celery_executor_utils as provider

    worker_ready.disconnect(getattr(provider, "on_celery_worker_ready", None))
    gc.collect()
    gc.freeze()


@worker_before_create_process.connect
def freeze_again(**_):
    """Celery collects before it forks: what the worker has made since must be frozen too."""
    gc.freeze()
