"""The reference pages in docs/reference, made from the models and the planner's source."""
