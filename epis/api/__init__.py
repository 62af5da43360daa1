"""The HTTP shell that all apps share: errors, health, metrics, the schema and the way in."""

# In the environment of a request:
CUT_OFF = "epis.body_is_cut_off"  # its sender died within it
CROWDED = "epis.too_many_bodies"  # as many others wait for their bodies as may
