"""The output tables: their schemas, and the only code that writes, validates and reads them.

``from skillyard.lake import read`` is the analyst's way in; the engine reads through ``skillyard.lake.read``, which takes an open lake.
"""

from skillyard.lake.analyst import read

__all__ = ["read"]
