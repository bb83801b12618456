"""Whether the in-memory API server answers as a real kube-apiserver does.

Random request sequences, a third of them invalid or conflicting, go to both; status codes, bodies,
warnings and watch events are compared after renumbering what legitimately differs (``normal``).

    python -m e2e.conformance --seed 1 --requests 5000 [--kubeconfig FILE]
"""
