"""Where the month stands and where it is going."""
