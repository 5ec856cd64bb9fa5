"""How many rows of a table there are of each kind, kept by the database itself: a count that does not grow with them.

A tally is a table with a column for each thing that is told apart and `number`. A trigger moves it within the statement
that inserts, changes or deletes rows, whoever runs it: the console of the version before, a hand in psql, a bulk load.
"""

from __future__ import annotations

from collections.abc import Mapping

_FORWARD = """
CREATE FUNCTION {tally}_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM {tally};
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO {tally} AS tally ({names}, number)
    SELECT {of_row}, count(*) FROM came GROUP BY {places} ORDER BY {places}
    ON CONFLICT ({names}) DO UPDATE SET number = tally.number + excluded.number;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO {tally} AS tally ({names}, number)
    SELECT {of_row}, -count(*) FROM gone GROUP BY {places} ORDER BY {places}
    ON CONFLICT ({names}) DO UPDATE SET number = tally.number + excluded.number;
  ELSE
    INSERT INTO {tally} AS tally ({names}, number)
    SELECT {names}, sum(change) FROM (
      SELECT {of_row}, 1 AS change FROM came UNION ALL SELECT {of_row}, -1 FROM gone) moved
    GROUP BY {places} HAVING sum(change) <> 0 ORDER BY {places}
    ON CONFLICT ({names}) DO UPDATE SET number = tally.number + excluded.number;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER {tally}_insert AFTER INSERT ON {table} REFERENCING NEW TABLE AS came
  FOR EACH STATEMENT EXECUTE FUNCTION {tally}_follow();
CREATE TRIGGER {tally}_update AFTER UPDATE ON {table} REFERENCING OLD TABLE AS gone NEW TABLE AS came
  FOR EACH STATEMENT EXECUTE FUNCTION {tally}_follow();
CREATE TRIGGER {tally}_delete AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION {tally}_follow();
CREATE TRIGGER {tally}_truncate AFTER TRUNCATE ON {table}
  FOR EACH STATEMENT EXECUTE FUNCTION {tally}_follow();
INSERT INTO {tally} ({names}, number) SELECT {of_row}, count(*) FROM {table} GROUP BY {places};
"""
_BACKWARD = """
DROP TRIGGER {tally}_insert ON {table};
DROP TRIGGER {tally}_update ON {table};
DROP TRIGGER {tally}_delete ON {table};
DROP TRIGGER {tally}_truncate ON {table};
DROP FUNCTION {tally}_follow();
"""


def statements(table: str, tally: str, columns: Mapping[str, str]) -> tuple[str, str]:
    """For a migration that has just made the table `tally`: what lets it follow `table`, and what ends that.

    `columns` are the tally's, each with what it is of a row; a unique constraint over them must be there. Writers wait
    from the first trigger to the commit, so that none of their rows is missed. The rows of a tally are locked in one
    order within a statement; a transaction with several of them has to be the only one of its kind (as `settle` is).
    """
    said = {
        "table": table,
        "tally": tally,
        "names": ", ".join(columns),
        "of_row": ", ".join(f"{of_row} AS {name}" for name, of_row in columns.items()),
        "places": ", ".join(str(place) for place in range(1, len(columns) + 1)),
    }
    return _FORWARD.format(**said), _BACKWARD.format(**said)
