"""What goes wrong with a skill's files (a person has to act) and with a model's answer (the router may act)."""

from skillyard.errors import ConfigError, SkillyardError, Terminal


class SkillError(ConfigError):
    """A file of a skill, or one of the lists beside the skills, holds something that is not allowed."""

    others: "tuple[SkillError, ...]" = ()
    """What else is wrong in the same file; for who mends it, and not kept when the error is pickled."""

    def __init__(self, file: str, field: str, message: str, allowed: tuple[str, ...] = ()) -> None:
        self.file, self.field, self.message, self.allowed = file, field, message, allowed
        super().__init__(file, field, message, allowed)

    def __str__(self) -> str:
        where = f"{self.file}: {self.field}" if self.field else self.file
        hint = f" Allowed: {', '.join(self.allowed)}." if self.allowed else ""
        return f"{where}: {self.message}.{hint}"


class OutputError(SkillyardError, Terminal):
    """An answer does not count. ``kind`` is ``schema_error``, ``refusal`` or ``truncated``; each may escalate."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(kind, message)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"
