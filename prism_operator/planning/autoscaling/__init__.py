"""Who decides a Deployment's number of replicas, and what is made so that somebody can."""
