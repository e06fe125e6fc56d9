"""What a reader sees of the results: figures, ``FINDINGS.md`` and a summary on the terminal."""
