"""A real Airflow on this machine, driven from outside by its command line and its REST API."""
