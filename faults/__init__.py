"""Breaks a running epis in every way that it says it survives, and judges it from outside.

`python -m faults` starts epis as `manage.py up` does, on folders of its own, drives it over HTTP
only, kills, freezes, cuts and floods its parts meanwhile, and then holds the recorded history
against the databases. Nothing in epis knows of it.
"""
