"""foresight: can a small adapter carry one model's latents to another's, and how sure are we?"""

__version__ = "0.1.0"
