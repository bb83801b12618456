// What sweeps draw: the front, and where replicas flap.
