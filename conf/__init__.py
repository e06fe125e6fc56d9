"""The configuration that ships with foresight: one primary config a stage, one folder a group."""
