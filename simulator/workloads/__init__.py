"""What clients and queues demand of pods, and what becomes of it."""
