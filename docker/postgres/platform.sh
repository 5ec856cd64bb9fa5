#!/bin/bash
# The console's, Airflow's and the lease's databases, each with an owner that can do no more than own it.
set -euo pipefail
as() { psql -v ON_ERROR_STOP=1 -q -U postgres "$@"; }
as -v console="$QUARTERDECK_PASSWORD" -v airflow="$AIRFLOW_PASSWORD" <<'SQL'
CREATE ROLE quarterdeck LOGIN PASSWORD :'console';
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE DATABASE quarterdeck OWNER quarterdeck;
CREATE DATABASE lease OWNER quarterdeck;
CREATE DATABASE airflow OWNER airflow;
SQL
