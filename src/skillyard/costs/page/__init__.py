"""The cost report as one self-contained page."""
