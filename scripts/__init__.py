"""What builds the files that ship with foresight, kept beside it so that anyone can build them again."""
