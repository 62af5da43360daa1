"""The PostgreSQL and the Valkey that epis brings along, for trying, developing and testing.

Their programs come from wheels; nothing on the machine is touched but one folder. Knows
nothing of Django. Production names real servers instead, and then nothing here runs.
"""
