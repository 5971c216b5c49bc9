"""Providers' bills and cost reports beside the ledger."""
