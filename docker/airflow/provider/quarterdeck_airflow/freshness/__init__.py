"""The question "is this table complete up to then?": asked of the console, many at once. Imports no Airflow."""
