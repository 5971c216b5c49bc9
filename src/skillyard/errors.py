"""Every error Skillyard raises on purpose: what was found, where, what is allowed, what to do next.

``Terminal`` errors will fail again if tried again; ``Transient`` ones may pass. The Airflow edge turns the first
into a failed task and the second into a retry.
"""

from collections.abc import Iterable
from difflib import get_close_matches

MANY_NAMES, NEAR_NAMES = 40, 8
"""Of more allowed names than the first, a message lists only as many of the nearest as the second."""


class SkillyardError(Exception):
    """The base of all of them. Arguments are kept, so an instance pickles and prints the same everywhere."""


class Terminal:
    """Trying again changes nothing: a person has to act."""


class Transient:
    """Trying again may help."""


class ConfigError(SkillyardError, Terminal):
    """A file, a variable or a parameter holds something that is not allowed."""


class UnknownName(ConfigError):
    """A skill, tier, profile, team or table that does not exist."""

    def __init__(self, kind: str, name: str, allowed: Iterable[str]) -> None:
        self.kind, self.name, self.allowed = kind, name, tuple(sorted(allowed))
        super().__init__(kind, name, self.allowed)

    def __str__(self) -> str:
        close = get_close_matches(self.name, self.allowed, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        n_allowed = len(self.allowed)
        if n_allowed > MANY_NAMES:
            near = get_close_matches(self.name, self.allowed, n=NEAR_NAMES, cutoff=0.3) or self.allowed[:NEAR_NAMES]
            return f"unknown {self.kind} {self.name!r}.{hint} Allowed: {', '.join(near)} … ({n_allowed} in all)."
        return f"unknown {self.kind} {self.name!r}.{hint} Allowed: {', '.join(self.allowed) or 'none yet'}."


class MissingKey(ConfigError):
    """A deployment needs a secret that is not set; raised before any call."""

    def __init__(self, variable: str, deployment: str) -> None:
        self.variable, self.deployment = variable, deployment
        super().__init__(variable, deployment)

    def __str__(self) -> str:
        return f"deployment {self.deployment!r} needs {self.variable}: set it in the environment, or choose another profile."


class Unpriced(ConfigError):
    """A model has no price on a day: it is never called, and its calls are never counted as free."""


class DayRefused(ConfigError):
    """Days of the ledger are not what they should be: their tables stay as they were, those of all other days were made."""


class InboxError(ConfigError):
    """The inbox does not exist or cannot be read."""


class StorageError(SkillyardError, Transient):
    """An object could not be read or written this time."""


class StorageRefused(SkillyardError, Terminal):
    """The store refuses to be read: no permission, wrong credentials, no such bucket."""


class StateUnavailable(SkillyardError, Transient):
    """The state store is locked, out of reach, or refuses its transactions. No request leaves without its row: the task stops here."""


class ObjectMissing(SkillyardError, Terminal):
    """An object that should be there is not."""


class LakeNotWritable(SkillyardError, Terminal):
    """The lake refuses writes (permissions, a full disk): found before any call is paid."""


class PublishConflict(SkillyardError, Terminal):
    """An object of this run and part exists with other rows: two different runs claim the same name."""


class ValidationFailed(SkillyardError, Terminal):
    """A table's expectations failed: nothing was published, the tables stand as they were."""


class SchemaMismatch(SkillyardError, Terminal):
    """Rows do not have the table's frozen schema."""


class RunLocked(SkillyardError, Transient):
    """Another run of the same skill on the same lake is at work."""


class RunIncomplete(SkillyardError, Terminal):
    """The run published what it had, but items are left pending through failure."""


class CountMismatch(SkillyardError, Terminal):
    """planned is not results + rejects + pending: something vanished or was doubled."""


class LakeUnsound(SkillyardError, Terminal):
    """The check of the lake found rows lost, doubled or damaged, or objects that are no part of a table."""


class AirflowFailed(SkillyardError, Terminal):
    """The local Airflow could not start, or something that ran in it failed."""
