"""The three apps. Each has its own database, and the same shape as the others."""
