"""Celery fleet simulator: thousands of fake workers in one process (Redis broker).

It makes a Redis broker look as if N Celery workers were connected to it, so a
monitoring tool can be tested and measured at scale without running N workers.
No task is ever executed and no task queue is ever read or written.

What it puts on the wire is what Celery 5.6 / kombu 5.7 workers put there
(formats were copied from a real worker watched with MONITOR):

* ``worker-online`` / ``worker-heartbeat`` / ``worker-offline`` events, one
  PUBLISH each on ``/<db>.celeryev/worker.*``, every ``--heartbeat`` seconds per
  worker, phases spread evenly;
* ``task-sent`` (from a client) on ``task.sent``, and ``task-received``,
  ``task-started``, ``task-succeeded`` / ``task-failed`` (from workers) as lists
  on ``task.multi``, together ``--task-rate`` events per second;
* replies to remote control (``celery inspect ...`` / ``celery control ...``):
  broadcasts are read from ``/<db>.celery.pidbox``; replies are LPUSHed to the
  caller's reply queue, after looking its binding up, as kombu does.
  ``destination`` and ``pattern``/``matcher`` are honoured.

Known commands: ping, stats, active, reserved, scheduled, revoked, registered,
active_queues, conf, clock, report, query_task, hello, heartbeat, enable_events,
disable_events, revoke, terminate, rate_limit, time_limit, pool_grow,
pool_shrink, autoscale, pool_restart, add_consumer, cancel_consumer, shutdown.
State-changing ones change the simulated state (a revoked task leaves
``active``; a shut-down worker says goodbye and stops), so a console's actions
can be tested too. An unknown command answers ``{"error": "KeyError(...)"}``.

Differences from a real fleet, to keep in mind when reading measurements:

* one subscriber connection instead of N, so Redis fans a broadcast out once;
  gossip traffic (each worker listening to the others) does not exist;
* the reply-queue binding is looked up once per batch, not once per reply;
* replies come from one process: ~30 us of work each, so 5000 replies take
  ~0.2 s. Add realistic spread with ``--reply-delay``;
* all workers share one logical clock.

With ``--args airflow`` (default) task arguments look like those of Airflow 3's
``execute_workload``: a JSON string whose *first* key is ``"token"`` with a
JWT-shaped value. The tokens are random and worthless (``iss`` is
``fleet-simulator``); they exist to check that a tool does not show them.

Usage::

    python -m tests.bench.simulator --broker redis://127.0.0.1:7480/0 \\
        --workers 1000 --queues 20 --task-rate 200 --seconds 120

Needs only ``redis`` (redis-py). Use a broker of your own:
anything that consumes events there will see the simulated fleet. SIGINT or
SIGTERM ends it early, with goodbyes. Exit status 0; 2 if the broker cannot be
reached or is lost; 3 if the simulator fell behind by more than ``--max-late``
seconds (then the load was not the one asked for).
"""
