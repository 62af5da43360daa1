"""The pieces of HTTP that every app's `api/` needs: pages of a list, and conditional requests."""
