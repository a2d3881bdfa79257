"""What an adaptation consists of beside its training: the job, the clips, the networks, the pictures."""
