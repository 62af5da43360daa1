"""Writes to the users database. One function is one command and one transaction."""
