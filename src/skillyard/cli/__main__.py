"""``python -m skillyard.cli``."""

from skillyard.cli import main

main()
