"""The statements on incidents that say more than the ORM can."""

from __future__ import annotations

# Only of the loudest keys it is looked up who acted: most of the window's incidents told nobody, or once.
NOISE = """
WITH loud AS (
    SELECT key, sum(triggers) AS told, count(*) AS incidents, max(opened_at) AS last, max(title) AS title,
           array_agg(id) AS ids
    FROM incidents_incident WHERE opened_at >= %(since)s
    GROUP BY key HAVING sum(triggers) > 0 ORDER BY told DESC, key LIMIT %(most)s)
SELECT key, title, told, incidents, (
           SELECT count(DISTINCT incident_id) FROM incidents_incidentevent
           WHERE incident_id = ANY(ids) AND kind = ANY(%(acted)s) AND by <> '') AS helped, last
FROM loud ORDER BY told DESC, key
"""
