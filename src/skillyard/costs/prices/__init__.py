"""The price book: what everything costs, from when until when."""
