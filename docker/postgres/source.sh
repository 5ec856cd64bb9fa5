#!/bin/bash
# Two sources, their tables and first rows made by their owners (no superuser, no other right).
set -euo pipefail
for name in shop billing; do
  psql -v ON_ERROR_STOP=1 -q -U postgres -v name="$name" -v password="$SOURCE_PASSWORD" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
  psql -v ON_ERROR_STOP=1 -q -U "$name" -d "$name" -f "/seed/$name.sql"
done
