#!/usr/bin/env bash
# Extraction on a Ray cluster, submitted from any machine: bash examples/ray_job.sh http://HEAD:8265 s3://bucket/foresight
# The nodes need foresight-latents[ray,s3], the pictures under the same path or on the store, and the store's credentials.
set -euo pipefail
head=${1:?the dashboard of the head, for example http://HEAD:8265}
cache=${2:?a folder that all nodes share, or a store such as s3://bucket/foresight}
ray job submit --address "$head" --entrypoint-num-cpus 1 -- \
  foresight extract model=qwen25vl layer=all pooling=all runner=ray runner.address=auto \
  runner.gpus_per_worker=1 runner.cpus_per_worker=4 cache_dir="$cache"
