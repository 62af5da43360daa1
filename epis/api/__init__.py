"""The HTTP shell that all apps share: errors, health, metrics, the schema and the way in."""
