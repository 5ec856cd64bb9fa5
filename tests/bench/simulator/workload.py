"""Task arguments like Airflow's."""

from __future__ import annotations

import base64
import random
import time
import uuid


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_JWT_HEAD = _b64(b'{"alg": "HS512", "typ": "JWT"}')


def airflow_workload() -> str:
    """The JSON argument of Airflow 3's execute_workload; its token is random and opens nothing."""
    tid = str(uuid.UUID(int=random.getrandbits(128), version=4))
    now = int(time.time())
    claims = (
        f'{{"jti": "{random.getrandbits(128):032x}", "iss": "fleet-simulator", "aud": "urn:airflow.apache.org:task", '
        f'"nbf": {now}, "exp": {now + 600}, "iat": {now}, "sub": "{tid}", "scope": "workload"}}'
    )
    token = f"{_JWT_HEAD}.{_b64(claims.encode())}.{_b64(random.randbytes(64))}"
    dag, task = f"dag_{random.randrange(200):03d}", f"task_{random.randrange(20):02d}"
    run = "scheduled__2025-11-22T00:00:00+00:00"
    return (
        f'{{"token":"{token}","dag_rel_path":"{dag}.py","bundle_info":{{"name":"dags-folder","version":null}},'
        f'"log_path":"dag_id={dag}/run_id={run}/task_id={task}/attempt=1.log","ti":{{"id":"{tid}",'
        f'"dag_version_id":"{uuid.UUID(int=random.getrandbits(128), version=4)}","task_id":"{task}","dag_id":"{dag}",'
        f'"run_id":"{run}","try_number":1,"map_index":-1,"hostname":null,"context_carrier":{{}},"queue":"default",'
        f'"pool_slots":1,"priority_weight":1}},"sentry_integration":"","type":"ExecuteTask"}}'
    )
