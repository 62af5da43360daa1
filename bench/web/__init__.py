"""What the measured web server runs: all of epis, and the alternatives beside it."""
