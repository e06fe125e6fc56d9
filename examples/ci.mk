# A gate for continuous integration: include it in your Makefile, then run `make bridge`.
# It fails (foresight's exit status 3) if the verdict on the committed latents is PIVOT or INCONCLUSIVE.
FORESIGHT ?= foresight
CACHE     ?= outputs/cache
# the latents, if not of qwen25vl and ltxv: source=precomputed source.model.path=a.npz target=...
LATENTS   ?=

.PHONY: bridge
bridge:
	$(FORESIGHT) cache verify cache_dir=$(CACHE)
	$(FORESIGHT) analyze experiment=quick cache_dir=$(CACHE) $(LATENTS)
	$(FORESIGHT) report fail_on=inconclusive
