"""What `bench` and `faults` have in common: an epis of their own, started as anybody starts it.

Nothing that runs imports it.
"""
