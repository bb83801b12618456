"""A cluster in memory and in virtual time, in which the operator's own code runs."""
