"""The four kinds of ``prism.io/v1alpha1`` and the names of everything the operator touches."""
