"""Reads of the todos database. Nothing here writes."""
