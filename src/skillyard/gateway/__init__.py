"""Everything that touches a provider or the state store: deployments, attempts, answers, the ledger."""
