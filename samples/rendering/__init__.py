"""Turns the sources of the samples into PDF, DOCX and PNG files whose bytes are the same at every run."""
