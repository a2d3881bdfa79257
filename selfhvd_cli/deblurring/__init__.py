"""Parts of the deblurring story: what is asked for and what is told."""
