"""What Airflow loads from this folder: the listener, and nothing heavy."""

import sys

from airflow.plugins_manager import AirflowPlugin

from skillyard_airflow import listener


class SkillyardPlugin(AirflowPlugin):
    """Registers the listener that loads the heavy packages once, before tasks are forked."""

    name = "skillyard"
    listeners = [listener]


listener.join_celery_worker(sys.argv)
