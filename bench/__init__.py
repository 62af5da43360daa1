"""What epis does beside what its users would pick instead, measured in one run.

`make bench` starts everything on folders and ports of its own, measures chapter by chapter in
alternating rounds, and writes `docs/benchmarks.md`, its charts and every raw figure. No part
of epis knows of it, and it is not needed to run epis.
"""
