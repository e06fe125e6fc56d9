"""What to type next: commands that run as they are printed, built from settings and from what was typed."""
