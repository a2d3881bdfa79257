"""Which weights exist, where they are, and how they get here."""
