"""Load the heavy packages once in the process that forks the tasks, so that a task starts with them in memory.

litellm costs 4–6 s of CPU to import and great-expectations 6–9 s; a forked task gets both for nothing.
"""

import importlib
import logging
import os
import sys
import threading
import time

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

PRELOADED = (
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.decorators.short_circuit",
    "pandas",
    "pyarrow.dataset",
    "great_expectations",
    "litellm",
    "litellm.proxy._types",  # this and the next are 0.5 s of litellm's first call
    "openai.resources",
    "skillyard.running.plan",
    "skillyard.running.shard",
    "skillyard.running.publish",
    "skillyard.running.ingest",
)


@hookimpl
def on_starting(component: object) -> None:
    """Preload in a scheduler whose LocalExecutor is about to fork its workers; nothing anywhere else.

    A starting ``Job`` does not know its own kind yet in Airflow 3.3, so the command line tells which component this is; a task,
    forked with that same command line, passes a marker of another class.
    """
    if type(component).__name__ == "Job" and is_forking_scheduler(sys.argv):
        preload()


def join_celery_worker(argv: list[str]) -> None:
    """Preload in ``airflow celery worker`` before it forks its pool.

    No listener is told when a worker starts, and its first process loads plug-ins only with ``[core] lazy_load_plugins = False``.
    """
    if argv[1:3] == ["celery", "worker"]:
        from celery.signals import worker_init  # type: ignore[import-untyped]

        worker_init.connect(lambda **_: preload(), weak=False)


def is_forking_scheduler(argv: list[str]) -> bool:
    """Say whether this process is ``airflow scheduler`` with a LocalExecutor that forks."""
    import multiprocessing

    from airflow.configuration import conf

    is_scheduler = argv[1:2] == ["scheduler"]
    return is_scheduler and "LocalExecutor" in conf.get("core", "executor") and multiprocessing.get_start_method() == "fork"


def preload() -> None:
    """Import the heavy packages; one that is missing is left to the task that needs it."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # else 250 lines about its own decorators
    began = time.monotonic()
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            log.warning("could not preload %s", name, exc_info=True)
    log.info("preloaded %d packages in %.1f s", len(PRELOADED), time.monotonic() - began)
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        log.warning("threads are running before tasks are forked, which may hang one: %s", ", ".join(others))
