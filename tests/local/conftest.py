"""The Airflow fixture for this folder's tests."""

from tests.local.server import airflow_server

__all__ = ["airflow_server"]
