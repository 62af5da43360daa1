"""Writes to the todos database. One function is one command and one transaction."""
