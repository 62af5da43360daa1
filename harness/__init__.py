"""What `bench` and `faults` have in common: an epis of their own, started as anybody starts it,
and a little arithmetic.

Nothing that runs imports it.
"""
