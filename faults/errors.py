"""Why a run cannot go on. The message is one line, for the person who started it."""


class CannotRun(Exception):
    """Something is missing, or did not come in time."""
