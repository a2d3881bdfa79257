"""Networks as in their papers, parameter keys unchanged."""
