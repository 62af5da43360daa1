#!/usr/bin/env python
"""The command line of epis: `python manage.py help` lists what there is."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "epis.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if "--traceback" in sys.argv:
            raise
        reason = next(iter(str(error).splitlines()), "no reason given")
        sys.exit(f"A database did not answer: {reason}\nIs epis running, and with this EPIS_DATA?")
