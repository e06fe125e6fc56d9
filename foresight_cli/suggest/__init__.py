"""Commands to type next: they run as printed, and are built from settings and from the typed words."""
