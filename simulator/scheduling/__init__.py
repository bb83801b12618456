"""kube-scheduler's default profile of Kubernetes 1.37: filters, scores, sampling, preemption.

``tests/vectors/scheduler.jsonl.gz`` and ``sampling.jsonl.gz`` are what the real one decided.
"""
