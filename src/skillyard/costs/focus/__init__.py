"""The bill in FOCUS, the FinOps Open Cost and Usage Specification."""
