"""Files by key, in S3 or in a local folder. Imports no Airflow but in `fallback`."""
