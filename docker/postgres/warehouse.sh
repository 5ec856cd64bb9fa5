#!/bin/bash
set -euo pipefail
psql -v ON_ERROR_STOP=1 -q -U postgres -v loader="$LOADER_PASSWORD" <<'SQL'
CREATE ROLE loader LOGIN PASSWORD :'loader';
CREATE DATABASE warehouse OWNER loader;
GRANT pg_read_all_stats TO loader;
SQL
