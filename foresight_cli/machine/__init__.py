"""The machine: its devices, memory and clock, hashes of files, and progress on the terminal."""
