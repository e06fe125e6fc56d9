"""Scripts that build the files shipped with foresight, so that anyone can build them again."""
