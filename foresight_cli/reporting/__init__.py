"""Reports of the results: figures, ``FINDINGS.md``, ``report.html`` and a summary on the terminal."""
