"""Which tier an item starts on, and why."""
