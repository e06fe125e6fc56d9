# A gate for continuous integration: include it in a Makefile of yours, then run `make bridge`.
# It fails (status 3) where the verdict on the committed latents is PIVOT or INCONCLUSIVE.
FORESIGHT ?= foresight
CACHE     ?= outputs/cache

.PHONY: bridge
bridge:
	$(FORESIGHT) cache verify cache_dir=$(CACHE)
	$(FORESIGHT) analyze experiment=quick cache_dir=$(CACHE)
	$(FORESIGHT) report fail_on=inconclusive
