"""The pieces of HTTP that every app's `api/` needs: pages, conditions, who asks."""
