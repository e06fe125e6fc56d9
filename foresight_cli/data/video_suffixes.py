"""Under which suffixes video files are looked for."""

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
