"""Quarterdeck: the operations console of a data platform on Apache Airflow.

Imports nothing: the agents and the sandbox's supervisor are packages of it that need no Django.
"""
