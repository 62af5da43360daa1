"""Keeps the parts of epis running: what dies is restarted, and all stop in order."""
