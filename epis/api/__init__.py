"""The HTTP shell that all apps share: errors, health, metrics, the schema and the way in."""

CUT_OFF = "epis.body_is_cut_off"  # in the environment of a request: its sender died within it
