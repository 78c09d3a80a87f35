"""What every room uses: the words of requests, jobs and models, and the database session."""
