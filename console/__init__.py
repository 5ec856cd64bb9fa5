"""Quarterdeck: the operations console of a data platform on Apache Airflow."""

from console.celery import app as celery_app

__all__ = ["celery_app"]
