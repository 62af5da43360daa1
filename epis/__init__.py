"""The shell of epis: knows every part; no part knows it."""
