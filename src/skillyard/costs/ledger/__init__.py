"""The ledger summed up: days as lines, operations, single calls."""
