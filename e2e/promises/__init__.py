"""What a user is promised, one file a promise; on kind, Docker Desktop, or without Docker."""
