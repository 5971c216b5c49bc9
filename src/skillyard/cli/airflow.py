"""A local Airflow."""

import typer

app = typer.Typer(help="A local Airflow with the project's DAGs.", no_args_is_help=True)


@app.command("up")
def airflow_up() -> None:
    """Start Airflow on http://127.0.0.1:8080 and leave it running; prints the login."""
    from skillyard.local.up import up

    up()


@app.command("down")
def airflow_down() -> None:
    """Stop what ``up`` started."""
    from skillyard.local.up import down

    down()


@app.command("setup")
def airflow_setup() -> None:
    """Make the pools, and unpause ingestion, attribution and the enabled skills."""
    from skillyard.local.setup import setup

    setup()


@app.command("demo")
def airflow_demo() -> None:
    """Run the main job on the samples, from documents to the bill, through a real Airflow."""
    from skillyard.local.demo import demo

    raise typer.Exit(demo())
