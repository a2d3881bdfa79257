"""What comparing two videos is made of: the job, and the footage both give."""
