"""Stage 2, beforehand: what the values of a table are, and what would become of them. Nothing is raised here."""
