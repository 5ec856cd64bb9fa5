"""The statements on incidents that say more than the ORM can."""

from __future__ import annotations

# What is said of a key is looked up for the loudest ones only: most of the window's incidents told nobody, or once. A
# key's incidents are counted through by `generation`, so those of the window are one stretch of its index.
NOISE = """
WITH loud AS (
    SELECT key, sum(triggers) AS told, count(*) AS incidents, max(opened_at) AS last,
           min(generation) AS first, max(generation) AS newest
    FROM incidents_incident WHERE opened_at >= %(since)s
    GROUP BY key HAVING sum(triggers) > 0 ORDER BY told DESC, key LIMIT %(most)s)
SELECT key, (SELECT title FROM incidents_incident one WHERE one.key = loud.key AND generation = newest),
       told, incidents, (
           SELECT count(DISTINCT incident_id)
           FROM incidents_incident one JOIN incidents_incidentevent event ON event.incident_id = one.id
           WHERE one.key = loud.key AND generation BETWEEN first AND newest
           AND kind = ANY(%(acted)s) AND by <> '') AS helped, last
FROM loud ORDER BY told DESC, key
"""
