"""HorizontalPodAutoscaler and KEDA, as their controllers decide."""
