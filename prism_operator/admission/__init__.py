"""What a webhook answers: warnings, and denials of what more than one object shows. Pure.

The schemas and rules of the CRDs answer for single objects; without a webhook every denial here
is a condition on the object instead.
"""
