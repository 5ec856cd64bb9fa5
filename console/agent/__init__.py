"""What runs on the platform's hosts, beside Airflow: `python -m console.agent worker|scheduler …`.

It imports neither Django nor the console's apps, and needs only psycopg2: install this folder beside Airflow.
"""
