"""Why a pod is where it is, why there are so many replicas, why a node stays.

The scenario is run to the instant in question; then the deciding code itself is asked again, by
these modules, about what it saw. Nothing here decides a second time in another way.
"""
