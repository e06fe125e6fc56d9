#!/usr/bin/env bash
# One node of a Slurm cluster, all its GPUs: sbatch examples/slurm.sh /shared/foresight
# Killed, requeued or submitted again, it resumes where it was: finished shards are kept.
#SBATCH --job-name=foresight
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --mem=256G
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail
cache=${1:?a folder that all nodes share, or a store such as s3://bucket/foresight}
foresight extract model=qwen25vl layer=all pooling=all runner.workers="${SLURM_GPUS_ON_NODE:-1}" cache_dir="$cache"
foresight extract model=ltxv pooling=all runner.workers="${SLURM_GPUS_ON_NODE:-1}" cache_dir="$cache"
foresight analyze cache_dir="$cache"
foresight report
