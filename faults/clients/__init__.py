"""The load: sensible clients, who send what was not answered again until it is."""
