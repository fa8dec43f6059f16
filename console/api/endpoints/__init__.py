"""What the routes do, one file a subject."""
