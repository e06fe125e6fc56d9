"""Suffixes of video files."""

SUFFIXES = (".3g2", ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".ts", ".webm")
"""MPEG program streams (.mpg, .mpeg, .vob) are left out because FFmpeg gives other frames after a seek than from the
beginning; .wmv and .ogv because FFmpeg cannot encode their usual codecs, so that they cannot be tested."""
