"""Who runs beside us: programs of the system, Python libraries in an environment of their own, and the floor in C."""
