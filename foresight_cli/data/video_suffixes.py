"""Under which suffixes video files are looked for."""

SUFFIXES = (".3g2", ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".ts", ".webm")
"""Not among them are MPEG program streams (.mpg, .mpeg, .vob), of which FFmpeg gives other frames after a seek than
from the beginning, and .wmv and .ogv, whose usual codecs it decodes but cannot encode, so that no test can be made."""
