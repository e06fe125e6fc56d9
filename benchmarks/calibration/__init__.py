"""How often the verdict errs, on made-up spaces whose truth is known."""
