"""Why a run cannot go on. The message is one line, for the person who started it."""


class CannotMeasure(Exception):
    """Something is missing, did not come in time, or would make the figures untrue."""
