"""Quarterdeck for Airflow: a sensor for proven data, and files handed from task to task."""

__version__ = "0.1.0"
