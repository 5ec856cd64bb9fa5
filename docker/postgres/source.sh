#!/bin/bash
# The shop: tables and first rows made by their owner; others' open transactions bound what can be called complete.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -q -U postgres -v shop="$SHOP_PASSWORD" <<'SQL'
CREATE ROLE shop LOGIN PASSWORD :'shop';
CREATE DATABASE shop OWNER shop;
GRANT pg_read_all_stats TO shop;
SQL
psql -v ON_ERROR_STOP=1 -q -U shop -d shop -f /seed/shop.sql
