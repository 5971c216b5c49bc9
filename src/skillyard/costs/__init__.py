"""What it costs: the price book, the daily attribution of the ledger, and the report."""
