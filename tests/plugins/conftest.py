"""The plug-ins' folder on the path, as Airflow puts it; Airflow's own state in a folder that ends with the tests."""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="skillyard-airflow-"))
