"""One run of a pipeline per lake at a time: a lease in the state store that the Airflow edge and the CLI both honour."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete, insert, select, update

from skillyard.errors import RunLocked
from skillyard.gateway.owner import is_gone
from skillyard.gateway.state import LEASES

LEASE_TTL = timedelta(minutes=30)
"""A holder that has not been heard of for so long is taken for dead; the next run of the same DAG takes over at once."""


def take_lease(engine: Engine, name: str, owner: str) -> None:
    """Take or renew a lease. An owner gets its own back at once, and so does everybody that of a command line which was killed here.

    Somebody else's is RunLocked until it expires.
    """
    now = datetime.now(UTC)
    with engine.begin() as connection:
        held = connection.execute(select(LEASES).where(LEASES.c.name == name).with_for_update()).mappings().first()
        if held is None:
            connection.execute(insert(LEASES).values(name=name, owner=owner, token=1, expires_at=now + LEASE_TTL))
        elif held["owner"] == owner or held["expires_at"] <= now or is_gone(held["owner"].removeprefix("cli:")):
            values = {"owner": owner, "token": held["token"] + 1, "expires_at": now + LEASE_TTL}
            connection.execute(update(LEASES).where(LEASES.c.name == name).values(**values))
        else:
            raise RunLocked(
                f"{name} is being worked on by {held['owner']}; its lease ends at {held['expires_at']:%H:%M:%S} UTC unless it is renewed. "
                "Wait for it, or stop that run first."
            )


def renew_lease(engine: Engine, name: str, owner: str, until: datetime | None = None) -> None:
    """Push a held lease's end out, never in; nothing happens when somebody else holds it by now."""
    until = until or datetime.now(UTC) + LEASE_TTL
    with engine.begin() as connection:
        mine = (LEASES.c.name == name, LEASES.c.owner == owner, LEASES.c.expires_at < until)
        connection.execute(update(LEASES).where(*mine).values(expires_at=until))


def release_lease(engine: Engine, name: str, owner: str) -> None:
    """Give a lease back; releasing what is not held does nothing."""
    with engine.begin() as connection:
        connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.owner == owner))
