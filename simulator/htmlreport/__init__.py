"""Reports: a run, a comparison or a sweep as one HTML file that needs nothing else."""
