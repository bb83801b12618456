"""KEDA 2.21: its scale loop, its fallback, its triggers, and the HPA that its controller keeps."""
