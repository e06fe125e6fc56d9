"""The verdict: criteria, each of which compares one estimate with a threshold by its bound, and the rule over them."""
