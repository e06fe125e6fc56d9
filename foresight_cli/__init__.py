"""foresight: can a small adapter carry one model's latents to another's, and how sure is that?"""

__version__ = "0.2.0"
