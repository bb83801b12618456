"""What should be, computed from what is observed. Pure: no clock, client, logger or randomness."""
