"""A stand-in for the `airflow` package, in a folder of its own: a scheduler that beats, and can be stopped or hung.

The agent's own behaviour is what these tests look at; `tests/journeys` runs it with Airflow itself.
"""

from __future__ import annotations

from pathlib import Path

MAIN = """
import os, signal, sys, time
import psycopg2

def main():
    url, host = os.environ["FAKE_METADATA"], os.environ["FAKE_HOST"]
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("INSERT INTO job (job_type, state, hostname, latest_heartbeat) "
                   "VALUES ('SchedulerJob', 'running', %s, clock_timestamp()) RETURNING id", (host,))
    job = cursor.fetchone()[0]
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    while not stop:
        cursor.execute("INSERT INTO beat (host, pid, at) VALUES (%s, %s, clock_timestamp())", (host, os.getpid()))
        if not os.path.exists(os.environ["FAKE_HANG"]):
            cursor.execute("UPDATE job SET latest_heartbeat = clock_timestamp() WHERE id = %s", (job,))
        time.sleep(0.1)
    cursor.execute("UPDATE job SET state = 'success' WHERE id = %s", (job,))
"""

TABLES = """
CREATE TABLE job (id serial PRIMARY KEY, job_type text, state text, hostname text, latest_heartbeat timestamptz,
    end_date timestamptz);
CREATE TABLE beat (host text, pid integer, at timestamptz);
"""

FILES = {
    "__init__.py": '__version__ = "3.3.0-fake"',
    "__main__.py": MAIN,
    "configuration.py": "class conf:\n    getsection = staticmethod(lambda name: {'x': '1'})\n",
    "cli/__init__.py": "",
    "cli/commands/__init__.py": "",
    "cli/commands/scheduler_command.py": "",
    "jobs/__init__.py": "",
    "jobs/scheduler_job_runner.py": "",
    "executors/__init__.py": "",
    "executors/executor_loader.py": "class ExecutorLoader:\n    init_executors = staticmethod(lambda: None)\n",
}


def write(folder: Path) -> Path:
    """The folder to put on PYTHONPATH."""
    for name, text in FILES.items():
        path = folder / "airflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
