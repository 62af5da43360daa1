"""Who reacts to what, and how work is resumed. Below the shell, all that knows Celery.

It comes into the apps by their doors. A message carries at most an id and says only
"look again", so every task here may run twice, late, or not at all: a sweep looks anyway.
"""
